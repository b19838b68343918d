//! A host that starts asks the others what it signed before it has a say in an election.
//!
//! The others count on what a voter has on its disk. A whole old copy of that disk looks right from within, and a host that goes on
//! with it has forgotten entries it acknowledged and votes it gave. But a voter signs what its log led to as soon as that is flushed
//! (`notary`), and others keep its word. The signature is its own, so nobody can make it up:
//!
//! ```text
//! starts, its disk ends at 1040 ──Attest──> voters it knows      gives no vote, asks for none, signs nothing
//!                               <── its own word on 1038 ──      that is on its disk
//!  most of them, with itself, and the others had their time      votes and signs
//!                               <── its own word on 1100 ──      its disk is an old copy: agreement ends here, for good
//! ```
//!
//! Most of the voters, because fewer could elect nobody either. A sole voter asks nobody. Its word comes back to it all the same,
//! with any answer about checkpoints, and says as much then as it does at the start.
//!
//! What is not found: what was acknowledged in the quarter of a second before the last word; and what nobody that answers remembers, for
//! words are kept in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{LogIndex, MemberId, Signed};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::group::Inner;
use super::rpc::RpcError;
use super::runtime::Runtime;
use super::testimony::sets_of_voters;
use super::types::{Instant, Types};
use super::watch as ordered;
use crate::sync::majority;

/// The first pause before one that did not answer is asked again, and the longest. Hosts that start together find each other within a
/// few of the first, which are shorter than an election; one that is out of reach for hours asks now and then.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long the others are waited for once most have answered: a tunnel that has to be made anew after a start is there within a second.
/// Whoever remembers may be among them.
const LINGER: Duration = Duration::from_secs(2);

/// How often it is looked whether others vote by now, if nothing else happens.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

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
    /// They know of nothing that its disk does not have.
    Current,
    /// It signed what its disk does not have.
    Old,
}

impl Recollection {
    /// Of a host whose disk ends at `ends`.
    pub(super) fn new(ends: LogIndex) -> Self {
        Self { ends, signed: AtomicU64::new(0), stage: ordered::channel(Stage::Asking).0 }
    }

    /// Whether this host may give its vote, ask for others' and sign. Once it was fed what it lacked, and signed that again, no word tells
    /// any more that it lacked it.
    pub(super) fn is_current(&self) -> bool {
        *self.stage.borrow_watched() == Stage::Current
    }

    /// An error if it may not.
    pub(super) fn check(&self) -> Result<(), RpcError> {
        self.is_current().then_some(()).ok_or(RpcError::Recollecting)
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
        if [Stage::Asking, Stage::Current]
            .into_iter()
            .any(|from| self.recollection.turn(from, Stage::Old))
        {
            let (db, ends, signed) = (Arc::clone(&self.db), self.recollection.ends, word.at.index);
            drop(Runtime::spawn(async move { db.condemn(ends, signed).await }));
        }
    }
}

/// The task that asks; see the [module](self).
pub(super) struct Recollecting {
    inner: Arc<Inner>,
    asked: BTreeSet<MemberId>,
    answered: BTreeSet<MemberId>,
    /// Until when the others are waited for, once most have answered.
    until: Option<Instant>,
}

impl Recollecting {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, asked: BTreeSet::new(), answered: BTreeSet::new(), until: None }
    }

    /// Until all have answered, or most have and the others had their time, or Raft has ended.
    pub(super) async fn run(mut self) {
        let mut server = self.inner.raft.server_metrics();
        let mut asking = FuturesUnordered::new();
        while !self.is_over() {
            for voter in self.unheard() {
                if self.asked.insert(voter) {
                    asking.push(ask(Arc::clone(&self.inner), voter));
                }
            }
            let answer = async {
                match asking.next().await {
                    Some(voter) => voter,
                    None => std::future::pending().await,
                }
            };
            let sleep = Runtime::sleep_until(self.until.unwrap_or(Types::now() + LOOK_AGAIN));
            match Runtime::select3(answer, server.changed(), sleep).await {
                Select3::First(voter) => drop(self.answered.insert(voter)),
                Select3::Second(Err(_)) => return,
                Select3::Second(Ok(())) | Select3::Third(()) => {}
            }
        }
        if self.inner.recollection.turn(Stage::Asking, Stage::Current) {
            self.inner.testimony.tell();
        }
    }

    /// Whether enough have answered, and the others had their time.
    fn is_over(&mut self) -> bool {
        let voters = {
            let server = self.inner.raft.server_metrics();
            let server = server.borrow_watched();
            sets_of_voters(server.membership_config.membership())
        };
        let me = self.inner.me;
        if !majority(&voters, |voter| *voter == me || self.answered.contains(voter)) {
            // There are others by now.
            self.until = None;
            return false;
        }
        let now = Types::now();
        self.unheard().is_empty() || *self.until.get_or_insert(now + LINGER) <= now
    }

    /// Those that have not answered yet.
    fn unheard(&self) -> BTreeSet<MemberId> {
        let mut unheard = self.inner.known_voters();
        unheard.retain(|voter| *voter != self.inner.me && !self.answered.contains(voter));
        unheard
    }
}

/// Asks `voter` until it answers.
async fn ask(inner: Arc<Inner>, voter: MemberId) -> MemberId {
    let mut pause = PAUSE;
    while !inner.ask_words(voter, inner.recollection.ends).await {
        Runtime::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
    voter
}

#[cfg(test)]
mod tests;
