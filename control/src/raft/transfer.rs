//! Handing the lead to another voter because somebody asked.
//!
//! ```text
//! Group::transfer ─ leads? ──yes──> may it be? ──> "you next" ──> to ──> wins the next term
//!                      │                └─ no voter, not ready, too soon: refused
//!                      └──no──> ask the leader, once ──> it does the above
//!  then: wait until `to` is seen to lead
//! ```
//!
//! **Who may ask.** Whoever may change things at the leader's own daemon, at any time. Other hosts' daemons
//! ask on behalf of their operators, and the leader cannot know an operator from an intruder: a member that
//! was broken into could have the lead moved about without end, and every move is a moment in which nothing
//! is agreed. Asking for a vote or the root key would keep honest operators of plain members out and a
//! broken voter in. So anybody present may ask, and a leader gives nothing away for a stranger's word before
//! it has led for [`REST`]. That bounds the moves of all askers and all leaders together,
//! because the next leader has only just begun. Refusals are counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_model::{Fault, MemberId, Term};
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::type_config::TypeConfigExt as _;
use serde::{Deserialize, Serialize};

use super::group::{Group, Inner, leadership};
use super::rpc::{HandOverReply, Reply, Request};
use super::status::Leadership;
use super::types::{Instant, Types};

/// How long a leader leads before another host may ask it to stop. A transfer costs a fraction of a second in
/// which nothing is agreed, so even asked for without end it costs a few percent of the time.
const REST: Duration = Duration::from_secs(10);

/// The pause between two tries to find a leader that answers.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// How long the leader may take to say whether it will: it waits for the change of voters that is under way.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Why the leader does not hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HandOverRefusal {
    /// A leader must have a vote.
    #[error("{0} has no vote, and only a voter can lead")]
    NotAVoter(MemberId),
    /// It would not win, or lead without the last entries.
    #[error("{0} does not answer the supervisor, or lacks part of the log")]
    NotReady(MemberId),
    /// There is one voter.
    #[error("the supervisor is the only voter, so nobody else can lead")]
    NobodyElse,
    /// None of the other voters is there.
    #[error("none of the other voters answers the supervisor and holds the whole log")]
    NobodyReady,
    /// Another host asked, and the leader has led for a moment only.
    #[error(
        "the supervisor has only just begun to lead; other hosts may ask it again in {wait_ms} ms"
    )]
    TooSoon {
        /// How much longer, in milliseconds.
        wait_ms: u64,
    },
}

/// Why the lead is not known to have been handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The leader refused. Nothing happened.
    #[error(transparent)]
    Refused(#[from] HandOverRefusal),
    /// No leader was found, or it has no majority of the voters.
    #[error("no supervisor with a majority of the voters could be reached")]
    NoQuorum,
    /// The old leader let go, and another than the one meant won.
    #[error("{0} leads now: the member meant did not win the election")]
    Elsewhere(MemberId),
    /// Nobody was seen to take over in time. It may still come.
    #[error("nobody was seen to take over in time")]
    Timeout,
    /// Agreement on this host has ended.
    #[error("agreement on this host has ended")]
    Stopped,
}

impl TransferError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(HandOverRefusal::NotAVoter(_) | HandOverRefusal::TooSoon { .. }) => {
                Fault::Local
            }
            _ => Fault::World,
        }
    }
}

/// How long somebody has led, and whom it turned away.
#[derive(Default)]
pub(super) struct Succession {
    began: Mutex<Option<(Term, Instant)>>,
    refused: AtomicU64,
}

impl Succession {
    /// Leadership changed at `at`, in `term`.
    pub(super) fn begin(&self, term: Term, at: Instant) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some((term, at));
    }

    /// When leadership in `term` was first seen as it is.
    pub(super) fn began(&self, term: Term) -> Option<Instant> {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.filter(|(of, _)| *of == term).map(|(_, at)| at)
    }

    /// How many transfers were refused as too soon.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Refuses another host's wish if the leader of `term` has led for less than `rest`.
    fn check_rest(&self, term: Term, rest: Duration) -> Result<(), HandOverRefusal> {
        let led = self.began(term).map_or(Duration::ZERO, |at| at.elapsed());
        let wait = rest.saturating_sub(led);
        if wait.is_zero() {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(HandOverRefusal::TooSoon {
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Group {
    /// Has `to` lead, or the best of the other voters; returns once it is seen to, within
    /// [`Timing::propose`](super::Timing). That it leads already is a success.
    pub async fn transfer(&self, to: Option<MemberId>) -> Result<Leadership, TransferError> {
        let inner = &*self.inner();
        let transfer = async {
            let (from_term, to) = inner.have_handed_over(to).await?;
            inner.see_leading(to, from_term).await
        };
        let transfer = Box::pin(inner.unless_ended(transfer));
        match Types::timeout(inner.timing.propose, transfer).await {
            Ok(result) => result.unwrap_or(Err(TransferError::Stopped)),
            Err(_) if inner.confirmed_leadership().leader.is_none() => Err(TransferError::NoQuorum),
            Err(_) => Err(TransferError::Timeout),
        }
    }

    /// How often this host, leading, refused other hosts' wishes as too soon.
    pub fn transfers_refused(&self) -> u64 {
        self.inner().succession.refused()
    }
}

impl Inner {
    /// Finds the leader and has it begin; the term it ends and who shall follow.
    async fn have_handed_over(
        &self,
        to: Option<MemberId>,
    ) -> Result<(Term, MemberId), TransferError> {
        loop {
            let reply = match self.confirmed_leadership().leader {
                Some(leader) if leader == self.me => Some(self.hand_over_to(to, None).await),
                Some(leader) => self.ask_to_hand_over(leader, to).await,
                None => None,
            };
            match reply {
                Some(HandOverReply::Begun { term, to }) => return Ok((term, to)),
                Some(HandOverReply::Refused(refusal)) => return Err(refusal.into()),
                Some(HandOverReply::NotLeader) | None => self.leader_change_or(TRY_AGAIN).await,
            }
        }
    }

    async fn ask_to_hand_over(
        &self,
        leader: MemberId,
        to: Option<MemberId>,
    ) -> Option<HandOverReply> {
        match self.peers.ask(leader, Request::HandOver(to), ANSWER_LIMIT).await {
            Ok(Reply::HandOver(reply)) => Some(reply),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader could not be asked to hand over");
                None
            }
        }
    }

    /// Hands over, if this host leads and may. `asked_by` is the other host that wants it.
    pub(super) async fn hand_over_to(
        &self,
        to: Option<MemberId>,
        asked_by: Option<MemberId>,
    ) -> HandOverReply {
        // A change of voters takes two entries: not between them.
        let _stepping = self.stewardship.step_by_step().await;
        let now = self.confirmed_leadership();
        if now.leader != Some(self.me) {
            return HandOverReply::NotLeader;
        }
        if to == Some(self.me) {
            return HandOverReply::Begun { term: now.term, to: self.me };
        }
        match self.successor(to, asked_by, now.term) {
            Ok(to) => {
                tracing::info!(%to, ?asked_by, "hands over the lead");
                self.hand_over(to).await;
                HandOverReply::Begun { term: now.term, to }
            }
            Err(refusal) => {
                tracing::debug!(?to, ?asked_by, %refusal, "keeps the lead");
                HandOverReply::Refused(refusal)
            }
        }
    }

    /// Who leads next: `to` if it can, or who is closest behind.
    fn successor(
        &self,
        to: Option<MemberId>,
        asked_by: Option<MemberId>,
        term: Term,
    ) -> Result<MemberId, HandOverRefusal> {
        let mut others = self.membership().voters;
        others.remove(&self.me);
        if let Some(to) = to
            && !others.contains(&to)
        {
            return Err(HandOverRefusal::NotAVoter(to));
        }
        if others.is_empty() {
            return Err(HandOverRefusal::NobodyElse);
        }
        others.retain({
            let ready = self.ready();
            move |voter| ready.contains(voter)
        });
        let to = match to {
            Some(to) => others.contains(&to).then_some(to).ok_or(HandOverRefusal::NotReady(to)),
            None => self.furthest(&others).ok_or(HandOverRefusal::NobodyReady),
        }?;
        if asked_by.is_some() {
            self.succession.check_rest(term, REST)?;
        }
        Ok(to)
    }

    /// Waits until `to` is seen to lead, or somebody else in a term after `from_term`.
    async fn see_leading(
        &self,
        to: MemberId,
        from_term: Term,
    ) -> Result<Leadership, TransferError> {
        let mut server = self.raft.server_metrics();
        loop {
            server.borrow_and_update();
            let now = leadership(&self.raft);
            match now.leader {
                Some(leader) if leader == to => return Ok(now),
                Some(leader) if now.term > from_term => {
                    return Err(TransferError::Elsewhere(leader));
                }
                _ => {}
            }
            server.changed().await.map_err(|_| TransferError::Stopped)?;
        }
    }
}
