//! `mesh invites`: what was made of the invites, and taking one back with whom it brought in.

use mesh_control::command::{Command, Outcome};
use mesh_control::state::{InviteEntry, State};
use mesh_model::api::v1::{
    InviteInfo, InviteState, Invites, MemberName, RevokeReply, RevokeRequest,
};
use mesh_model::trust::Ruling;
use mesh_model::view::MemberView;
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{InviteId, Signed};

use super::refusal::Answer;
use super::{Daemon, Mesh};
use crate::io::clock;

impl Daemon {
    /// The invites the mesh remembers.
    pub(crate) async fn invites(&self) -> Answer<Invites> {
        let mesh = self.mesh()?;
        let now_ms = clock::wall_ms();
        let (mut invites, applied) = mesh.group.read(|state, applied| {
            let entries = state.invites().iter();
            let infos = entries.map(|(id, entry)| info(state, *id, entry, now_ms));
            (infos.collect::<Vec<InviteInfo>>(), applied)
        });
        invites.sort_by_key(|invite| (invite.created_ms, invite.invite));
        Ok(Invites { invites, applied })
    }

    /// Takes an invite back, and bans whom it admitted if that is wanted.
    pub(crate) async fn revoke_invite(&self, request: RevokeRequest) -> Answer<RevokeReply> {
        let mesh = self.mesh()?;
        let revocation = mesh.drafted(|drafter| drafter.revocation(&request.invite))?;
        let invite = revocation.invite;
        let admin_secret = self.admin_secret("revoke invites").await?;
        let command = Command::Revoke(Signed::seal(&revocation, &admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::InviteRevoked(_));
        let hint = "`mesh invites` lists them";
        let revoked = mesh.carry_out(command, "revoking an invite", is_done, hint);
        // From that index on nobody comes in by it, so whoever did is known here now.
        let mut index = self.unless_stopping(revoked).await??;
        let (mut banned, mut left_out) = (Vec::new(), None);
        if request.with_members {
            let to_ban;
            (to_ban, left_out) = self.brought_in(&mesh, invite).await?;
            for member in to_ban {
                let reason = format!("came in by invite {invite}, which was revoked").parse().ok();
                let ruling = Ruling::Banned { until_ms: None, reason };
                let ruled = self.unless_stopping(mesh.rule(&member, ruling, &admin_secret));
                index = ruled.await??;
                banned.push(MemberName { member: member.id, name: member.name });
            }
        }
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, request.wait_ms));
        let applied_by = heard.await??;
        Ok(RevokeReply { invite, banned, left_out, index, applied_by })
    }

    /// The members that came in by `invite` and are to be banned, and this host if it did.
    async fn brought_in(
        &self,
        mesh: &Mesh,
        invite: InviteId,
    ) -> Answer<(Vec<MemberView>, Option<MemberName>)> {
        let (bans, now_ms) = (self.bans().await?, clock::wall_ms());
        Ok(mesh.group.read(|state, _| {
            let entry = state.invites().get(&invite);
            let info = entry.map(|entry| info(state, invite, entry, now_ms));
            let to_ban = info.map(|info| info.to_ban(&bans, Some(mesh.me)));
            let (named, left_out) = to_ban.unwrap_or_default();
            // As the state has them: the view may be behind it.
            let members = state.admitted_under(invite);
            let is_named = |member: &MemberView| named.iter().any(|one| one.member == member.id);
            (members.filter(is_named).collect(), left_out)
        }))
    }
}

fn info(state: &State, id: InviteId, entry: &InviteEntry, now_ms: u64) -> InviteInfo {
    let terms = entry.terms();
    InviteInfo {
        invite: id,
        state: match entry.check_open(now_ms, state.admins()) {
            Ok(()) => InviteState::Open,
            Err(JoinRefusal::Revoked) => InviteState::Revoked,
            Err(JoinRefusal::Used) => InviteState::Used,
            Err(_) => InviteState::Expired,
        },
        uses: terms.uses,
        used: entry.used(),
        created_ms: terms.created_ms,
        expires_ms: terms.expires_ms,
        range: terms.range,
        voter: terms.voter,
        members: state
            .admitted_under(id)
            .map(|member| MemberName { member: member.id, name: member.name })
            .collect(),
        tags: terms.tags.clone(),
    }
}
