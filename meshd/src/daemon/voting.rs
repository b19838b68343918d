//! `mesh voters`: who votes, and who shall.
//!
//! A wish is a new policy: the one that stands with one thing changed and the next serial, signed by an admin.
//! Two admins that change it at once make two policies with one serial, of which one is
//! refused: nothing that was wished is lost unseen.

use mesh_control::command::{Command, Outcome};
use mesh_control::drafting::{DraftError, Drafter};
use mesh_model::Signed;
use mesh_model::api::v1::{Voter, VoterTargetRequest, VoterWish, VoterWishRequest, Voters};
use mesh_model::trust::{VoterPolicy, VoterTarget, Wish};

use super::refusal::Answer;
use super::{Daemon, Mesh};

impl Daemon {
    /// Who votes.
    pub(crate) async fn voters(&self) -> Answer<Voters> {
        Ok(self.mesh()?.voters())
    }

    /// Says how many shall vote.
    pub(crate) async fn set_voter_target(&self, request: VoterTargetRequest) -> Answer<Voters> {
        self.set_voters(|drafter| drafter.voter_target(request.target)).await
    }

    /// Says what is wanted of one member.
    pub(crate) async fn set_voter_wish(&self, request: VoterWishRequest) -> Answer<Voters> {
        self.set_voters(|drafter| drafter.voter_wish(&request.member, request.wish)).await
    }

    /// Has the policy that stands agreed with one thing changed.
    async fn set_voters(
        &self,
        change: impl FnOnce(&Drafter<'_>) -> Result<VoterPolicy, DraftError>,
    ) -> Answer<Voters> {
        let mesh = self.mesh()?;
        let policy = mesh.drafted(change)?;
        let admin_secret = self.admin_secret("say who votes").await?;
        let command = Command::SetVoters(Signed::seal(&policy, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::VotersSet(_));
        let hint = "see what stands with `mesh voters list`, and try again";
        let set = mesh.carry_out(command, "who votes", is_done, hint);
        self.unless_stopping(set).await??;
        Ok(mesh.voters())
    }
}

impl Mesh {
    fn voters(&self) -> Voters {
        let (policy, without_right) =
            self.group.read(|state, _| (state.voters().policy().cloned(), state.without_right()));
        let wish = |member| match policy.as_ref().and_then(|policy| policy.wishes.get(member)) {
            None => VoterWish::Auto,
            Some(Wish::Always) => VoterWish::Always,
            Some(Wish::Never) => VoterWish::Never,
        };
        let voters = self.group.status().voters;
        let followers = self.group.followers();
        let view = self.group.views().borrow().clone();
        let voter = |(id, member): (_, &mesh_model::view::MemberView)| {
            let seen = followers.as_ref().map(|followers| followers.get(id));
            Voter {
                member: *id,
                name: member.name.clone(),
                vote: voters.contains(id),
                wish: wish(id),
                without_right: without_right.contains(id),
                region: member.region(),
                ready: seen.map(|seen| seen.is_some_and(|follower| follower.ready)),
                lag: seen.flatten().and_then(|follower| follower.lag),
                steady_s: seen.flatten().and_then(|follower| Some(follower.unbroken?.as_secs())),
                rtt_us: seen
                    .flatten()
                    .and_then(|follower| follower.round_trip?.as_micros().try_into().ok()),
            }
        };
        Voters {
            target: policy.as_ref().and_then(|policy| policy.target).map(VoterTarget::number),
            serial: policy.as_ref().map_or(0, |policy| policy.serial),
            members: view.members.iter().map(voter).collect(),
        }
    }
}
