//! `mesh ban`, `mesh unban`, `mesh remove`: what an admin rules about a member, and who has heard of it.

use std::time::{Duration, Instant};

use mesh_control::command::{Command, Outcome};
use mesh_model::api::v1::{
    AppliedBy, Ban, BanReply, BanRequest, Bans, ErrorBody, ErrorCode, RemoveReply, RemoveRequest,
    UnbanReply, UnbanRequest,
};
use mesh_model::trust::{MAX_BAN_MS, Ruling, Verdict};
use mesh_model::view::{BannedView, MemberView};
use mesh_model::{IdentitySecret, LogIndex, MemberId, Signed};

use super::refusal::{Answer, not_done, refusal};
use super::target::resolve_any;
use super::{Daemon, Mesh};
use crate::io::clock;

/// How often gossip is asked who has applied what: news of that comes once a second at most.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long this host may take to apply what was agreed, so that it shows what it was told: a heartbeat brings
/// it.
pub(super) const APPLY_LIMIT: Duration = Duration::from_secs(5);

/// The most missing members that an error names.
const NAMED: usize = 10;

/// A ruling that was agreed.
struct Judged {
    member: MemberView,
    index: LogIndex,
    applied_by: Option<AppliedBy>,
}

impl Daemon {
    /// The bans that hold.
    pub(crate) async fn bans(&self) -> Answer<Bans> {
        let view = self.mesh()?.view();
        let bans = view.banned.values().map(ban).collect();
        Ok(Bans { bans, applied: view.applied })
    }

    /// Bans a member.
    pub(crate) async fn ban(&self, request: BanRequest) -> Answer<BanReply> {
        let until_ms = request.for_s.map(until).transpose()?;
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
        let view = mesh.view();
        let member = resolve_any(&view, text)?.clone();
        if member.id == mesh.me {
            return Err(refusal(
                ErrorCode::Refused,
                "that is this host itself",
                "to take this host out of the mesh, run `mesh leave`",
            ));
        }
        if ruling == Ruling::Pardoned && !view.banned.contains_key(&member.id) {
            return Err(refusal(
                ErrorCode::Refused,
                format!("{} ({}) is not banned", member.name, member.id),
                "`mesh bans` lists who is",
            ));
        }
        let root_secret = self.root_secret("rule about members").await?;
        let ruled = self.unless_stopping(mesh.rule(&member, ruling, &root_secret));
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
        root_secret: &IdentitySecret,
    ) -> Answer<LogIndex> {
        let verdict = Verdict {
            mesh: self.view().mesh(),
            member: member.id,
            identity: member.identity,
            serial: self.group.next_serial(member.id),
            ruling,
        };
        let command = Command::Judge(Signed::seal(&verdict, root_secret));
        let applied = self.propose(command, "a ruling about a member").await?;
        if !matches!(applied.outcome, Outcome::Judged(_)) {
            let hint = "`mesh peers` and `mesh bans` show how things are";
            return Err(not_done("a verdict", &applied.outcome, hint));
        }
        self.group.applied_at_least(applied.index, APPLY_LIMIT).await;
        Ok(applied.index)
    }
}

/// When a ban of `for_s` seconds from now ends.
fn until(for_s: u64) -> Answer<u64> {
    let longest_s = MAX_BAN_MS / 1000;
    if !(1..=longest_s).contains(&for_s) {
        return Err(refusal(
            ErrorCode::BadRequest,
            format!("`for_s` is {for_s}; a ban that ends by itself lasts 1 to {longest_s} seconds"),
            "leave it out to ban for good",
        ));
    }
    Ok(clock::wall_ms().saturating_add(for_s * 1000))
}

fn ban(banned: &BannedView) -> Ban {
    Ban {
        member: banned.member.id,
        name: banned.member.name.clone(),
        identity: banned.member.identity,
        since_ms: banned.since_ms,
        until_ms: banned.until_ms,
        reason: banned.reason.clone(),
    }
}

impl Mesh {
    /// Waits for that, when somebody wants to.
    pub(super) async fn applied_by_all_within(
        &self,
        index: LogIndex,
        wait_ms: Option<u64>,
    ) -> Answer<Option<AppliedBy>> {
        match wait_ms {
            Some(wait_ms) => {
                self.applied_by_all(index, Duration::from_millis(wait_ms)).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Waits until every present member has applied the log up to `index`.
    async fn applied_by_all(&self, index: LogIndex, limit: Duration) -> Answer<AppliedBy> {
        let begun = clock::now();
        loop {
            let missing = self.not_yet_at(index).await;
            let of = self.view().members.len();
            let waited = begun.elapsed();
            if missing.is_empty() {
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Ok(AppliedBy { members: of, of, waited_ms });
            }
            if waited >= limit {
                return Err(not_everywhere(index, of, &missing, begun));
            }
            tokio::time::sleep(LOOK_AGAIN.min(limit - waited)).await;
        }
    }

    /// Present members of which it is not known that they have applied `index`, as people call them.
    async fn not_yet_at(&self, index: LogIndex) -> Vec<String> {
        let gossip = self.gossip().await;
        let view = self.view();
        let has_applied = |member: &MemberId| {
            let heard = gossip.others.iter().find(|sighting| sighting.member == *member);
            let facts = heard.and_then(|sighting| sighting.facts.as_ref());
            facts.is_some_and(|facts| facts.applied >= index)
        };
        let here = view.applied >= index;
        let others = view.members.values().filter(|member| match member.id == self.me {
            true => !here,
            false => !has_applied(&member.id),
        });
        others.map(|member| format!("{} ({})", member.name, member.id)).collect()
    }
}

fn not_everywhere(index: LogIndex, of: usize, missing: &[String], begun: Instant) -> ErrorBody {
    let named = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    refusal(
        ErrorCode::TimedOut,
        format!(
            "it is agreed at index {index}, but after {:.1} s only {} of {of} members are known to have \
             applied it; missing: {named}{more}",
            begun.elapsed().as_secs_f64(),
            of - missing.len().min(of),
        ),
        "members that are down go on as before when they come back, until they hear of it; `mesh peers` shows who is",
    )
}
