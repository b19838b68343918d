//! A host that starts asks the others what it signed before it has a say in an election.
//!
//! The others count on what a voter has on its disk. A whole old copy of that disk looks right from within, and a host that goes on
//! with it has forgotten entries it acknowledged and votes it gave. But a voter signs what its log led to as soon as that is flushed
//! (`notary`), and others keep its word. The signature is its own, so nobody can make it up:
//!
//! ```text
//! starts, its disk ends at 1040 ──Attest──> voters it knows      gives no vote and asks for none
//!                               <── its own word on 1038 ──      that is on its disk
//!             with itself, most of them have answered            votes from here on
//!             all of them have, or had their time                signs
//!                               <── its own word on 1100 ──      its disk is an old copy: agreement ends here, for good
//! ```
//!
//! Most of the voters, because fewer could elect nobody either: whoever cannot reach them is not missed. A sole voter asks nobody.
//! Its word comes back to it all the same, with any answer about checkpoints, and says as much then as it does at the start.
//!
//! What is not found: what was acknowledged in the quarter of a second before the last word, and what nobody remembers, for words are kept
//! in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{LogIndex, MemberId, Signed};
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::async_runtime::{AsyncRuntime as _, Instant as _};
use openraft::type_config::TypeConfigExt as _;

use super::group::Inner;
use super::rpc::RpcError;
use super::runtime::Runtime;
use super::testimony::sets_of_voters;
use super::types::Types;
use super::watch as ordered;
use crate::sync::majority;

/// The pause before those that did not answer are asked again. Hosts that start together find each other within a few of these, and an
/// election takes longer than one.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// How long those that did not answer at once are asked after most others did, before this host signs anything: a tunnel that has
/// to be made anew after a start is there within a second.
const LINGER: Duration = Duration::from_secs(2);

/// What this host knows of what it signed.
pub(super) struct Recollection {
    /// Where its disk ended when it started.
    ends: LogIndex,
    /// The last that it signed since.
    signed: AtomicU64,
    stage: ordered::Sender<Stage>,
}

/// How far this host is with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not heard from enough of the others.
    Asking,
    /// Most of them know of nothing that its disk does not have; the rest is still asked.
    Voting,
    /// Nobody is asked any more.
    Current,
    /// It signed what its disk does not have.
    Old,
}

impl Recollection {
    /// Of a host whose disk ends at `ends`.
    pub(super) fn new(ends: LogIndex) -> Self {
        Self { ends, signed: AtomicU64::new(0), stage: ordered::channel(Stage::Asking).0 }
    }

    /// Whether this host may give its vote and ask for others'.
    pub(super) fn may_vote(&self) -> bool {
        matches!(*self.stage.borrow_watched(), Stage::Voting | Stage::Current)
    }

    /// An error if it may not.
    pub(super) fn check(&self) -> Result<(), RpcError> {
        self.may_vote().then_some(()).ok_or(RpcError::Recollecting)
    }

    /// Whether it may sign. Once it was fed what it lacked, and signed that again, no word tells any more that it lacked it.
    pub(super) fn may_sign(&self) -> bool {
        *self.stage.borrow_watched() == Stage::Current
    }

    /// Waits until it may.
    #[cfg(test)]
    pub(super) async fn done(&self) {
        let done = self.stage.subscribe().wait_until(|stage| *stage == Stage::Current).await;
        done.expect("it lasts as long as the host");
    }

    /// This host signs what its log led to at `index`, which is on its disk.
    pub(super) fn note_signed(&self, index: LogIndex) {
        self.signed.fetch_max(index, Ordering::Relaxed);
    }

    /// Goes from one stage to the next; whether it was in that one.
    fn turn(&self, from: Stage, to: Stage) -> bool {
        self.stage.send_if_modified(|stage| {
            let turns = *stage == from;
            if turns {
                *stage = to;
            }
            turns
        })
    }

    /// Whether this host must have had an entry at `index` that it did not start with, if it signed that.
    fn lacks(&self, index: LogIndex) -> bool {
        index > self.ends.max(self.signed.load(Ordering::Relaxed))
    }
}

impl Inner {
    /// Somebody brings a word of a member: if it is this host's own, on what its disk does not have, agreement ends here.
    pub(super) fn recollect(&self, signed: &Signed<Checkpoint>) {
        // In another epoch the log may end before: what its admins gave up nobody counts on.
        let says_more = |word: &Checkpoint| {
            word.member == self.me
                && self.recollection.lacks(word.at.index)
                && self.epoch.has_term(word.lead.term)
                && word.mesh == self.view().mesh()
        };
        if !signed.peek().is_ok_and(|word| says_more(&word)) {
            return;
        }
        let Ok(word) = signed.open(&self.key.public()) else { return };
        let ways = [Stage::Asking, Stage::Voting, Stage::Current];
        if ways.into_iter().any(|from| self.recollection.turn(from, Stage::Old)) {
            let (db, ends, signed) = (Arc::clone(&self.db), self.recollection.ends, word.at.index);
            drop(Runtime::spawn(async move { db.condemn(ends, signed).await }));
        }
    }
}

/// The task that asks; see the [module](self).
pub(super) struct Recollecting {
    inner: Arc<Inner>,
    answered: BTreeSet<MemberId>,
}

impl Recollecting {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, answered: BTreeSet::new() }
    }

    /// Until all have answered, or most have and the others had their time, or Raft has ended.
    pub(super) async fn run(mut self) {
        let mut voting_since = None;
        while self.inner.ended().is_none() {
            self.vote_if_enough();
            let is_all = self.unheard().is_empty();
            if self.inner.recollection.may_vote() {
                let since = *voting_since.get_or_insert_with(Types::now);
                if is_all || since.elapsed() >= LINGER {
                    self.inner.recollection.turn(Stage::Voting, Stage::Current);
                    return;
                }
            }
            self.ask_around().await;
            if !self.unheard().is_empty() || is_all {
                Runtime::sleep(PAUSE).await;
            }
        }
    }

    /// This host votes once those that answered are, with it, most of those that vote as far as it knows by now.
    fn vote_if_enough(&self) {
        let metrics = self.inner.raft.server_metrics();
        let voters = sets_of_voters(metrics.borrow_watched().membership_config.membership());
        if majority(&voters, |voter| *voter == self.inner.me || self.answered.contains(voter)) {
            self.inner.recollection.turn(Stage::Asking, Stage::Voting);
        }
    }

    /// Those that have not answered yet.
    fn unheard(&self) -> BTreeSet<MemberId> {
        let mut unheard = self.inner.known_voters();
        unheard.retain(|voter| *voter != self.inner.me && !self.answered.contains(voter));
        unheard
    }

    /// Asks them, all at once: those that are gone would each take their time to say nothing.
    async fn ask_around(&mut self) {
        let (inner, unheard) = (Arc::clone(&self.inner), self.unheard());
        let (inner, ends) = (&inner, inner.recollection.ends);
        let mut asked: FuturesUnordered<_> = unheard
            .into_iter()
            .map(|voter| async move { (voter, inner.ask_words(voter, ends).await) })
            .collect();
        while let Some((voter, has_answered)) = asked.next().await {
            if has_answered {
                self.answered.insert(voter);
                self.vote_if_enough();
            }
        }
    }
}

#[cfg(test)]
mod tests;
