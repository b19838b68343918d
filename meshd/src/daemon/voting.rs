//! `mesh voters`: who votes, and who shall.
//!
//! A wish is a new policy: the one that stands with one thing changed and the next serial, signed by an admin.
//! Two admins that change it at once make two policies with one serial, of which one is
//! refused: nothing that was wished is lost unseen.

use mesh_control::command::{Command, Outcome};
use mesh_model::api::v1::{
    ErrorCode, Family, Voter, VoterTargetRequest, VoterWish, VoterWishRequest, Voters,
};
use mesh_model::trust::{VoterPolicy, VoterTarget, Wish};
use mesh_model::{MemberId, Signed};

use super::refusal::{Answer, refusal};
use super::target::resolve;
use super::{Daemon, Mesh};

impl Daemon {
    /// Who votes.
    pub(crate) async fn voters(&self) -> Answer<Voters> {
        Ok(self.mesh()?.voters())
    }

    /// Says how many shall vote.
    pub(crate) async fn set_voter_target(&self, request: VoterTargetRequest) -> Answer<Voters> {
        let target = request.target.map(target).transpose()?;
        self.set_voters(|policy| policy.target = target).await
    }

    /// Says what is wanted of one member.
    pub(crate) async fn set_voter_wish(&self, request: VoterWishRequest) -> Answer<Voters> {
        let member = resolve(&self.mesh()?.view(), &request.member, Family::V6)?.0.id;
        self.set_voters(|policy| wish(policy, member, request.wish)).await
    }

    /// Has the policy that stands agreed with one thing changed.
    async fn set_voters(&self, change: impl FnOnce(&mut VoterPolicy)) -> Answer<Voters> {
        let mesh = self.mesh()?;
        let admin_secret = self.admin_secret("say who votes").await?;
        let policy = mesh.group.read(|state, _| state.next_policy(change));
        let command = Command::SetVoters(Signed::seal(&policy, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::VotersSet(_));
        let hint = "see what stands with `mesh voters list`, and try again";
        let set = mesh.carry_out(command, "who votes", is_done, hint);
        self.unless_stopping(set).await??;
        Ok(mesh.voters())
    }
}

/// The target of `number` voters.
pub(super) fn target(number: u8) -> Answer<VoterTarget> {
    VoterTarget::of(number).ok_or_else(|| {
        refusal(
            ErrorCode::BadRequest,
            format!("`target` is {number}; 1, 3, 5 or 7 members can vote"),
            "an even number needs a larger majority and survives no more failures",
        )
    })
}

/// Has `policy` say what is wanted of `member`.
pub(super) fn wish(policy: &mut VoterPolicy, member: MemberId, wish: VoterWish) {
    match wish {
        VoterWish::Auto => drop(policy.wishes.remove(&member)),
        VoterWish::Always => drop(policy.wishes.insert(member, Wish::Always)),
        VoterWish::Never => drop(policy.wishes.insert(member, Wish::Never)),
    }
}

impl Mesh {
    fn voter_policy(&self) -> Option<VoterPolicy> {
        self.group.read(|state, _| state.voters().policy().cloned())
    }

    fn voters(&self) -> Voters {
        let policy = self.voter_policy();
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
                ready: seen.map(|seen| seen.is_some_and(|follower| follower.ready)),
                lag: seen.flatten().and_then(|follower| follower.lag),
            }
        };
        Voters {
            target: policy.as_ref().and_then(|policy| policy.target).map(VoterTarget::number),
            serial: policy.as_ref().map_or(0, |policy| policy.serial),
            members: view.members.iter().map(voter).collect(),
        }
    }
}
