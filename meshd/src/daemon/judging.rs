//! `mesh ban`, `mesh unban`, `mesh remove`: what an admin rules about a member.

use mesh_control::command::{Command, Outcome};
use mesh_model::api::v1::{
    AppliedBy, Ban, BanKind, BanReply, BanRequest, Bans, RemoveReply, RemoveRequest, UnbanReply,
    UnbanRequest,
};
use mesh_model::trust::Ruling;
use mesh_model::view::{BannedView, MemberView};
use mesh_model::{IdentitySecret, LogIndex, Signed};

use super::refusal::Answer;
use super::{Daemon, Mesh};

/// A ruling that was agreed.
struct Judged {
    member: MemberView,
    index: LogIndex,
    applied_by: Option<AppliedBy>,
}

impl Daemon {
    /// The bans and exclusions that hold.
    pub(crate) async fn bans(&self) -> Answer<Bans> {
        let view = self.mesh()?.view();
        let bans = view.banned.values().map(ban).collect();
        Ok(Bans { bans, applied: view.applied })
    }

    /// Bans a member.
    pub(crate) async fn ban(&self, request: BanRequest) -> Answer<BanReply> {
        let mesh = self.mesh()?;
        let until_ms = request
            .for_s
            .map(|for_s| mesh.drafted(|drafter| drafter.ban_end(for_s)))
            .transpose()?;
        let ruling = Ruling::Banned { until_ms, reason: request.reason };
        let Judged { member, index, applied_by } =
            self.judge(&request.member, ruling, request.wait_ms).await?;
        Ok(BanReply { member: member.id, name: member.name, until_ms, index, applied_by })
    }

    /// Ends a member's ban.
    pub(crate) async fn unban(&self, request: UnbanRequest) -> Answer<UnbanReply> {
        let Judged { member, index, applied_by } =
            self.judge(&request.member, Ruling::Pardoned, request.wait_ms).await?;
        Ok(UnbanReply { member: member.id, name: member.name, index, applied_by })
    }

    /// Removes a member for good.
    pub(crate) async fn remove(&self, request: RemoveRequest) -> Answer<RemoveReply> {
        let Judged { member, index, applied_by } =
            self.judge(&request.member, Ruling::Removed, request.wait_ms).await?;
        Ok(RemoveReply { member: member.id, name: member.name, index, applied_by })
    }

    /// Has `ruling` about the member that `text` means agreed.
    async fn judge(&self, text: &str, ruling: Ruling, wait_ms: Option<u64>) -> Answer<Judged> {
        let mesh = self.mesh()?;
        let member = mesh.drafted(|drafter| drafter.about(text, &ruling).cloned())?;
        let admin_secret = self.admin_secret("rule about members").await?;
        let ruled = self.unless_stopping(mesh.rule(&member, ruling, &admin_secret));
        let index = ruled.await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, wait_ms));
        let applied_by = heard.await??;
        Ok(Judged { member, index, applied_by })
    }
}

impl Mesh {
    /// Has `ruling` about `member` agreed; where it stands in the log.
    pub(super) async fn rule(
        &self,
        member: &MemberView,
        ruling: Ruling,
        admin_secret: &IdentitySecret,
    ) -> Answer<LogIndex> {
        let verdict = self.drafted(|drafter| Ok(drafter.verdict(member, ruling)))?;
        let command = Command::Judge(Signed::seal(&verdict, admin_secret));
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Judged(_));
        let hint = "`mesh peers` and `mesh bans` show how things are";
        self.carry_out(command, "a ruling about a member", is_done, hint).await
    }
}

/// A ban or an exclusion in the words of the API.
pub(super) fn ban(banned: &BannedView) -> Ban {
    let exclusion = banned.exclusion.clone();
    let kind = if exclusion.is_some() { BanKind::Exclusion } else { BanKind::Ban };
    let (reporters, misconduct) =
        exclusion.map(|it| (it.reporters, it.misconduct)).unwrap_or_default();
    Ban {
        member: banned.member.id,
        name: banned.member.name.clone(),
        identity: banned.member.identity,
        since_ms: banned.since_ms,
        until_ms: banned.until_ms,
        reason: banned.reason.clone(),
        kind,
        reporters: reporters.into_iter().collect(),
        misconduct: misconduct.into_iter().collect(),
    }
}
