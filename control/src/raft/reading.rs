//! Reading what is agreed now, and how old it is what this host shows anyway.
//!
//! ```text
//! read ─ leader? ──yes──> confirmed by a majority: "all up to index i was agreed when you asked"
//!           │                                         │
//!           └──no──> ask the leader, once ────────────┴──> wait until this host has applied i
//! ```
//!
//! A host shows its own replica at once: without a leader, without a packet. That may lack what was agreed a
//! moment ago, and on a host that is cut off what was agreed since. A linearisable read (Raft's dissertation,
//! section 6.4: ReadIndex) costs the leader one round of heartbeats. Readers that come while one is under way
//! share the next, so that a member that asks without end has the leader send one round after another and
//! no more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_model::{Fault, LogIndex, MemberId};
use openraft::ReadPolicy;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::RaftError;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner, leadership};
use super::rpc::{Reply, Request};
use super::status::Role;
use super::types::Types;

/// The pause between two tries: as for proposals.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// How long the leader may take to be confirmed: it hears from its voters within a heartbeat or has none.
const CONFIRM_LIMIT: Duration = Duration::from_secs(1);

/// What a member that asks it adds to that for the way there and back.
const TRAVEL: Duration = Duration::from_millis(500);

/// Why it is not known what is agreed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader was found, or it could not reach a majority of the voters.
    #[error("no supervisor with a majority of the voters could be reached")]
    NoQuorum,
    /// It is known how far the others are, but this host has not applied that much yet.
    #[error("this host has not caught up with index {0} in time")]
    Behind(LogIndex),
    /// Agreement on this host has ended.
    #[error("agreement on this host has ended")]
    Stopped,
}

impl ReadError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::World
    }
}

/// How new what this host shows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The last applied index.
    pub applied: LogIndex,
    /// For how long nothing was heard of the leader, or of a majority by the leader itself: what was agreed since
    /// may be missing. `None` when nothing was heard since the start.
    pub age: Option<Duration>,
}

/// Confirmations that this host leads, one at a time.
#[derive(Default)]
pub(super) struct Confirmations {
    begun: AtomicU64,
    /// The last one's number, and what was agreed when it was asked for; `None` where it failed.
    last: tokio::sync::Mutex<(u64, Option<LogIndex>)>,
}

impl Group {
    /// Waits until this host has applied everything that was agreed before the call, within
    /// [`Timing::propose`](super::Timing); how far that is.
    pub async fn catch_up(&self) -> Result<LogIndex, ReadError> {
        let inner = &*self.inner();
        let (mut agreed, mut applied) = (None, None);
        let reading = async {
            let index = inner.read_index().await?;
            agreed = Some(index);
            let mut views = inner.views.clone();
            if views.wait_until(|view| view.applied >= index).await.is_ok() {
                applied = Some(index);
            }
            Ok(())
        };
        let reading = Box::pin(inner.unless_ended(reading));
        let read = Types::timeout(inner.timing.propose, reading).await;
        match (read, applied, agreed) {
            (Ok(Some(Err(error))), ..) => Err(error),
            (_, Some(index), _) => Ok(index),
            _ if inner.ended().is_some() => Err(ReadError::Stopped),
            (_, None, Some(index)) => Err(ReadError::Behind(index)),
            _ => Err(ReadError::NoQuorum),
        }
    }

    /// How new what this host shows is.
    pub fn freshness(&self) -> Freshness {
        let inner = &*self.inner();
        Freshness { applied: inner.view().applied, age: inner.silence() }
    }
}

impl Inner {
    /// How far the log is agreed now.
    async fn read_index(&self) -> Result<LogIndex, ReadError> {
        loop {
            let index = match leadership(&self.raft) {
                now if now.role == Role::Leader => self.confirmed_index().await?,
                now => match now.leader.filter(|leader| *leader != self.me) {
                    Some(leader) => self.ask_read_index(leader).await,
                    None => None,
                },
            };
            if let Some(index) = index {
                return Ok(index);
            }
            self.leader_change_or(TRY_AGAIN).await;
        }
    }

    /// How far the log is agreed, once a majority of the voters has confirmed that this host leads; `None` when it
    /// does not.
    pub(super) async fn confirmed_index(&self) -> Result<Option<LogIndex>, ReadError> {
        let asked = self.confirmations.begun.load(Ordering::SeqCst);
        let mut last = self.confirmations.last.lock().await;
        if last.0 > asked {
            // It began after this one was asked for.
            return Ok(last.1);
        }
        last.0 = self.confirmations.begun.fetch_add(1, Ordering::SeqCst) + 1;
        last.1 = None;
        let confirming = Box::pin(self.raft.ensure_linearizable(ReadPolicy::ReadIndex));
        match Types::timeout(CONFIRM_LIMIT, confirming).await {
            Ok(Ok(read)) => last.1 = Some(read.index()),
            Ok(Err(RaftError::Fatal(_))) => return Err(ReadError::Stopped),
            Ok(Err(RaftError::APIError(_))) | Err(_) => {}
        }
        Ok(last.1)
    }

    /// What `leader` says of how far the log is agreed, once a majority has confirmed that it leads; `None` if it does not lead, or does not
    /// answer.
    pub(super) async fn ask_read_index(&self, leader: MemberId) -> Option<LogIndex> {
        match self.peers.ask(leader, Request::ReadIndex, CONFIRM_LIMIT + TRAVEL).await {
            Ok(Reply::ReadIndex(index)) => index,
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader could not be asked how far it is");
                None
            }
        }
    }

    pub(super) fn silence(&self) -> Option<Duration> {
        let metrics = self.raft.metrics();
        let led_by_itself = leadership(&self.raft).role == Role::Leader;
        if led_by_itself && self.membership().voters.iter().eq([&self.me]) {
            return Some(Duration::ZERO);
        }
        let heard = match led_by_itself {
            true => metrics.borrow_watched().last_quorum_acked.map(|at| *at),
            false => self.contact.latest(),
        };
        heard.map(|at| at.elapsed())
    }
}
