//! Getting something agreed.
//!
//! ```text
//! propose ─ leader? ──yes──> stamp ──> log ── majority ──> applied: index and outcome
//!              │                └─ made up? refused at once
//!              └──no──> ask the leader, once ──> it does the above, or says who leads
//!                          └─ somebody else leads meanwhile: ask that one instead
//! ```
//!
//! Elections, lost replies and a leader that steps down are waited out by trying again until the time is
//! up; commands are idempotent, so a try that went through unseen does no harm.

use std::time::Duration;

use mesh_model::{Fault, LogIndex, MemberId};
use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::async_runtime::{AsyncRuntime as _, Instant as _, Select2};
use openraft::errors::{ClientWriteError, RaftError};
use openraft::type_config::TypeConfigExt as _;

use super::editions::HeldBack;
use super::farewell::Leaving;
use super::group::{Group, Inner, leadership};
use super::rpc::{ProposeReply, Reply, Request};
use super::runtime::Runtime;
use super::status::Role;
use super::types::{Instant, Types};
use crate::command::{Command, Outcome, Proposal};

/// The pause between two tries: a new leader is known within one, and ten of them a second load nobody.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// How long a leader works on a forwarded proposal before it says "undecided".
pub(super) const FORWARD_LIMIT: Duration = Duration::from_secs(3);

/// What a forwarding member adds to that for the way there and back.
const FORWARD_TRAVEL: Duration = Duration::from_millis(500);

/// How long to wait for members that have not said which editions they read: gossip has told a new leader, or of a new member,
/// within a round or two.
const WORD_LIMIT: Duration = Duration::from_secs(3);

/// An agreed proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its place in the log, or of the last entry before it if it was refused without one. The leader has
    /// applied it; this host will.
    pub index: LogIndex,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a proposal is not known to be agreed. It may be all the same, unless it was never sent anywhere;
/// proposing it again is harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader was found, or it could not reach a majority of the voters.
    #[error("no supervisor with a majority of the voters could be reached")]
    NoQuorum,
    /// There is a leader, but it did not answer in time.
    #[error("the supervisor did not answer in time")]
    Timeout,
    /// The member that is to leave, or to be banned, holds the only vote, and nobody else could take over yet.
    #[error("no other member can take over the vote of {0} yet")]
    NoSuccessor(MemberId),
    /// The member that is to be banned or removed is the last one: it would keep the only vote.
    #[error("{0} is the last member, and would keep the only vote")]
    LastMember(MemberId),
    /// Agreement on this host has ended.
    #[error("agreement on this host has ended")]
    Stopped,
    /// Members hold different states at this index, and nobody comes in until somebody has looked why.
    #[error(
        "members hold different states at index {0}; who is a member stays as it is until that is settled"
    )]
    Diverged(LogIndex),
    /// Members are too old to read it.
    #[error(transparent)]
    HeldBack(Box<HeldBack>),
}

impl ProposeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::World
    }
}

/// What one try here came to.
pub(super) enum Tried {
    Applied(Applied),
    NotLeader(Option<MemberId>),
    /// This host leads, and others could not read it.
    HeldBack(HeldBack),
}

/// An error if `held` will not change by waiting, or has not.
fn wait_for_word(held: HeldBack, since: &mut Option<Instant>) -> Result<(), ProposeError> {
    let since = *since.get_or_insert(Types::now());
    match held.older.is_empty() && since.elapsed() < WORD_LIMIT {
        true => Ok(()),
        false => Err(ProposeError::HeldBack(Box::new(held))),
    }
}

impl Group {
    /// Has `proposal` agreed on, wherever the leader is, within [`Timing::propose`](super::Timing).
    pub async fn propose(&self, proposal: Proposal) -> Result<Applied, ProposeError> {
        let inner = &*self.inner();
        if let Some(index) = inner.frozen_against(&proposal) {
            return Err(ProposeError::Diverged(index));
        }
        let trying = Box::pin(inner.unless_ended(inner.propose_until_decided(&proposal)));
        match Types::timeout(inner.timing.propose, trying).await {
            Ok(Some(Ok(applied))) => Ok(applied),
            // Whatever else stood in its way, this is why it stays there.
            _ if inner.ended().is_some() => Err(ProposeError::Stopped),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => Err(ProposeError::Stopped),
            Err(_) => Err(inner.why_undecided(&proposal)),
        }
    }
}

impl Inner {
    async fn propose_until_decided(&self, proposal: &Proposal) -> Result<Applied, ProposeError> {
        let mut waits_since = None;
        loop {
            let leader = match self.propose_here(proposal.clone()).await? {
                Tried::Applied(applied) => return Ok(applied),
                Tried::NotLeader(leader) => leader,
                Tried::HeldBack(held) => {
                    wait_for_word(held, &mut waits_since)?;
                    self.leader_change_or(TRY_AGAIN).await;
                    continue;
                }
            };
            let Some(leader) = leader.filter(|leader| *leader != self.me) else {
                self.leader_change_or(TRY_AGAIN).await;
                continue;
            };
            if let Some(held) = self.held_back_by(leader, proposal) {
                return Err(ProposeError::HeldBack(Box::new(held)));
            }
            // One that has died does not answer, but its successor does.
            let asked = Box::pin(self.forward(leader, proposal.clone()));
            match Runtime::select2(asked, self.successor_of(leader)).await {
                Select2::First(Ok(Some(Tried::Applied(applied)))) => return Ok(applied),
                Select2::First(Ok(Some(Tried::HeldBack(held)))) => {
                    wait_for_word(held, &mut waits_since)?;
                    self.leader_change_or(TRY_AGAIN).await;
                }
                Select2::First(Err(refused)) => return Err(refused),
                Select2::First(Ok(_)) => self.leader_change_or(TRY_AGAIN).await,
                Select2::Second(()) => {}
            }
        }
    }

    /// One try on this host alone.
    ///
    /// The leader stamps: a member with a clock far ahead would have every invite expire, for good.
    pub(super) async fn propose_here(&self, mut proposal: Proposal) -> Result<Tried, ProposeError> {
        if let Some(index) = self.frozen_against(&proposal) {
            return Err(ProposeError::Diverged(index));
        }
        if let Some(held) = self.held_back(&proposal) {
            let led = leadership(&self.raft);
            return Ok(match led.role {
                Role::Leader => Tried::HeldBack(held),
                // It may be elected this moment, and would write it unasked.
                _ => Tried::NotLeader(led.leader),
            });
        }
        proposal.at_ms = self.wall.wall_ms();
        if let Some(refused) = self.refuse_unwritten(&proposal).await {
            return Ok(Tried::Applied(refused));
        }
        let _leaving = match self.would_lose(&proposal) {
            None => None,
            Some(member) => match self.retire_if_leading(member, &proposal.command).await? {
                Ok(leaving) => Some(leaving),
                Err(leader) => return Ok(Tried::NotLeader(leader)),
            },
        };
        match self.raft.client_write(proposal).await {
            Ok(written) => {
                let outcome = written.data.expect("a proposal always has an outcome");
                Ok(Tried::Applied(Applied { index: written.log_id.index, outcome }))
            }
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(forward)
                | ClientWriteError::LogEntryDiscarded(forward),
            )) => Ok(Tried::NotLeader(forward.leader_id.map(MemberId))),
            Err(RaftError::APIError(error)) => {
                // Only changes of membership have other errors.
                tracing::error!(%error, "a proposal failed in a way it cannot");
                Ok(Tried::NotLeader(None))
            }
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
        }
    }

    /// Keeps `member`, which `goodbye` takes out of the mesh, from voting; or who leads instead of this host.
    async fn retire_if_leading(
        &self,
        member: MemberId,
        goodbye: &Command,
    ) -> Result<Result<Leaving<'_>, Option<MemberId>>, ProposeError> {
        let led = || leadership(&self.raft);
        if led().role != Role::Leader {
            // It may be elected this moment, and would write it while `member` votes.
            return Ok(Err(led().leader));
        }
        match self.retire(member, goodbye).await {
            Ok(leaving) => Ok(Ok(leaving)),
            Err(stays) if led().role == Role::Leader => Err(stays),
            Err(_) => Ok(Err(led().leader)),
        }
    }

    /// The refusal of a proposal that anybody could have made up, without a place in the log: what a
    /// stranger says at some member's door shall not be written to every voter's disk.
    ///
    /// `None` when it has to be agreed on, or this host does not lead. That it leads is confirmed by a
    /// majority first, and all that was agreed before is applied then: the refusal is the one the log
    /// would have come to.
    async fn refuse_unwritten(&self, proposal: &Proposal) -> Option<Applied> {
        if leadership(&self.raft).role != Role::Leader {
            return None;
        }
        self.replica.lock().state.would_refuse(proposal)?;
        Box::pin(self.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await.ok()?;
        let replica = self.replica.lock();
        let outcome = Outcome::Refused(replica.state.would_refuse(proposal)?);
        Some(Applied { index: replica.index(), outcome })
    }

    /// `None` if it may come to something elsewhere, or later.
    async fn forward(
        &self,
        leader: MemberId,
        proposal: Proposal,
    ) -> Result<Option<Tried>, ProposeError> {
        let limit = FORWARD_LIMIT + FORWARD_TRAVEL;
        match self.peers.ask(leader, Request::Propose(proposal), limit).await {
            Ok(Reply::Propose(ProposeReply::Applied { index, outcome })) => {
                Ok(Some(Tried::Applied(Applied { index, outcome })))
            }
            Ok(Reply::Propose(ProposeReply::HeldBack(held))) => Ok(Some(Tried::HeldBack(held))),
            Ok(Reply::Propose(ProposeReply::Diverged(index))) => Err(ProposeError::Diverged(index)),
            Ok(Reply::Propose(ProposeReply::NoSuccessor(member))) => {
                Err(ProposeError::NoSuccessor(member))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader could not be asked");
                Ok(None)
            }
        }
    }

    /// The member that `proposal` takes out of the mesh, if whoever may say so has signed it: only then may
    /// it change who votes.
    fn would_lose(&self, proposal: &Proposal) -> Option<MemberId> {
        self.replica.lock().state.would_lose(proposal)
    }

    /// Until somebody else leads, at most for `limit`.
    pub(super) async fn leader_change_or(&self, limit: Duration) {
        let before = self.raft.server_metrics().borrow_watched().current_leader;
        // Nobody new is not an error: the caller tries again either way.
        let _ = Types::timeout(limit, self.other_leader(before)).await;
    }

    /// Until somebody other than `leader` leads. One that hands over names its successor while it still leads itself, and
    /// that it does is no news.
    async fn successor_of(&self, leader: MemberId) {
        let now = self.raft.server_metrics().borrow_watched().current_leader;
        if now == Some(self.me.0) {
            self.other_leader(now).await;
        }
        self.other_leader(Some(leader.0)).await;
    }

    async fn other_leader(&self, before: Option<u64>) {
        let mut server = self.raft.server_metrics();
        loop {
            let leader = server.borrow_and_update().current_leader;
            if leader.is_some() && leader != before {
                return;
            }
            if server.changed().await.is_err() {
                // Raft has ended, which whoever waits hears of otherwise.
                return std::future::pending().await;
            }
        }
    }

    fn why_undecided(&self, proposal: &Proposal) -> ProposeError {
        match self.confirmed_leadership().leader {
            None => ProposeError::NoQuorum,
            Some(leader) if leader == self.me => match self.would_lose(proposal) {
                Some(member) => ProposeError::NoSuccessor(member),
                None => ProposeError::Timeout,
            },
            Some(_) => ProposeError::Timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::super::fixture::{GUEST, founder_store, in_virtual_time, invitation, start};
    use super::*;

    /// A proposal would be passed on to whom it named again and again, without time passing.
    #[test]
    fn one_that_has_named_a_successor_and_leads_still_is_none_itself() {
        in_virtual_time(async {
            let founder = start(founder_store(MemoryDisk::new()), 2).await;
            founder.propose(invitation()).await.expect("agreed, so it leads");
            let inner = founder.inner();
            let waited = Types::timeout(TRY_AGAIN, inner.successor_of(GUEST)).await;
            assert!(waited.is_err(), "nobody else leads");
            founder.shutdown().await;
        });
    }
}
