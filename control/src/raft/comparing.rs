//! Pulling again what is held already: whether another member's log says the same.
//!
//! ```text
//! this host   ├── in the snapshot ──┤──── from ═══════════ applied ─┤
//! a source            ├─ in its own ┤──── from ═══════ proven ─┤
//!                                          entry by entry
//! ```
//!
//! For an operator who doubts a disk, or a member. Nothing is taken over: what this host applied it applied on the word of
//! a majority or of its leader, and one member's word does not undo that. Of a log that was cut off below its snapshot only
//! the state is left, which has no entries to compare.
//!
//! **Who is right** where entries differ: this host, if a majority of the voters signed what its log led to there or later.
//! Then the source is broken or cheats, and counts as one that sent what is wrong. Otherwise it is not known, and another
//! source may tell.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::codec::{self, CodecError};
use mesh_model::wire::sync::{News, Pull, Pulled};
use mesh_model::{LogIndex, MemberId, Term};
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner};
use super::records::EntryRecord;
use super::rpc::{Reply, Request};
use super::store::{LogStore, StoreError};
use super::types::{Entry, LogId, Types, place_of};

/// How long one answer may take: 64 entries on a line of 4 Mbit/s, there and back.
const ANSWER_LIMIT: Duration = Duration::from_millis(2500);

/// How long all of it may take. No member keeps more than some 2000 entries, which is 32 answers.
const LIMIT: Duration = Duration::from_secs(20);

/// How many members are asked until one has the entries. One that has not may send its whole state instead.
const MAX_ASKED: usize = 4;

/// What came of holding this host's log against another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Whose log it was held against.
    pub source: MemberId,
    /// The first index that was compared.
    pub from: LogIndex,
    /// The last. Less than this host has applied where the source cannot prove as much.
    pub upto: LogIndex,
    /// Where they differ first.
    pub difference: Option<Difference>,
}

/// Two entries at one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub index: LogIndex,
    /// What this host has there.
    pub here: Held,
    /// What the source has there; `None` when it only said that it is something else, there or before.
    pub there: Option<Held>,
    /// A majority of the voters signed what this host's log led to there or later: it is the source that is wrong.
    pub is_upheld: bool,
}

/// An entry, to tell it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The term of the leader that put it there.
    pub term: Term,
    /// A hash of it, in hexadecimal.
    pub hash: String,
}

/// Why nothing was compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// This host has not come so far.
    #[error("this host has applied the log up to index {applied}, not to {from}")]
    NotApplied {
        /// What was asked for.
        from: LogIndex,
        /// What there is.
        applied: LogIndex,
    },
    /// The entries are gone; what they led to is in the snapshot.
    #[error("this host keeps the log from index {first} on; what came before is in its snapshot")]
    NotKept {
        /// The first that is kept.
        first: LogIndex,
    },
    /// Nobody was reached that has them.
    #[error(
        "no member was reached that keeps the log from index {0} on, can prove it and has a place"
    )]
    NoSource(LogIndex),
    /// This host's log cannot be read, or agreement here has ended.
    #[error("agreement on this host has ended")]
    Stopped,
}

/// What is compared: entries of this host's own log.
struct Stretch {
    /// The entry before the first.
    before: Option<LogId>,
    from: LogIndex,
    upto: LogIndex,
}

impl Group {
    /// Pulls the entries from `from` on from another member and holds them against those this host has applied.
    pub async fn compare(&self, from: LogIndex) -> Result<Comparison, CompareError> {
        let inner = &*self.inner();
        let comparing = Box::pin(inner.unless_ended(inner.compare(from)));
        match Types::timeout(LIMIT, comparing).await {
            Ok(Some(compared)) => compared,
            Ok(None) => Err(CompareError::Stopped),
            Err(_) => Err(CompareError::NoSource(from)),
        }
    }
}

impl Inner {
    async fn compare(&self, from: LogIndex) -> Result<Comparison, CompareError> {
        let log = LogStore::new(Arc::clone(&self.db));
        let stretch = stretch(&log, from, self.view().applied)?;
        self.observe();
        let candidates = self.sync().candidates();
        for source in candidates.into_iter().take(MAX_ASKED) {
            let compared = Box::pin(self.compare_with(source, &stretch, &log)).await;
            let Some(compared) = compared.map_err(unreadable)? else { continue };
            if compared.difference.as_ref().is_some_and(|difference| difference.is_upheld) {
                let now = self.moment();
                self.sync().handle_refuted(source, now);
            }
            return Ok(compared);
        }
        Err(CompareError::NoSource(from))
    }

    /// `None` when `source` did not answer with such entries.
    async fn compare_with(
        &self,
        source: MemberId,
        stretch: &Stretch,
        log: &LogStore,
    ) -> Result<Option<Comparison>, StoreError> {
        let Stretch { from, upto, .. } = *stretch;
        let compared = |upto, difference| Some(Comparison { source, from, upto, difference });
        let (mut have, mut next) = (stretch.before, from);
        while next <= upto {
            let sent = match self.pull_again(source, have, next).await {
                Some(Sent::Entries(sent)) => sent,
                Some(Sent::Elsewhere) => {
                    let index = have.map_or(0, |id| id.index);
                    let Some(here) = log.entries(index..=index)?.pop() else { break };
                    let difference = self.difference(here, None);
                    return Ok(compared(index, Some(difference)));
                }
                None => break,
            };
            let Some(last) = sent.last().map(|entry| entry.log_id) else { break };
            let own = log.entries(next..=last.index.min(upto))?;
            if own.first().is_none_or(|first| first.log_id.index != next) {
                // It was cut off meanwhile.
                break;
            }
            let differing = own.into_iter().zip(sent).find(|(here, there)| here != there);
            if let Some((here, there)) = differing {
                let difference = self.difference(here, Some(there));
                return Ok(compared(difference.index, Some(difference)));
            }
            (have, next) = (Some(last), last.index + 1);
        }
        Ok(if next == from { None } else { compared(upto.min(next - 1), None) })
    }

    fn difference(&self, here: Entry, there: Option<Entry>) -> Difference {
        let index = here.log_id.index;
        let is_upheld = self.proven() >= index;
        Difference { index, here: held(here), there: there.map(held), is_upheld }
    }

    /// The entries that `source` has after `have`, from `next` on; `None` when it does not answer with any such.
    async fn pull_again(
        &self,
        source: MemberId,
        have: Option<LogId>,
        next: LogIndex,
    ) -> Option<Sent> {
        let have = have.map(place_of);
        let (proven, lead) = (self.proven(), self.elected());
        let request = Request::Pull(Pull { have, proven, lead, hold_ms: 0, snapshot: false });
        let news = match self.peers.ask(source, request, ANSWER_LIMIT).await {
            Ok(Reply::Pulled(Pulled::Elsewhere)) => return Some(Sent::Elsewhere),
            Ok(Reply::Pulled(pulled @ Pulled::News(_))) if pulled.check().is_err() => return None,
            Ok(Reply::Pulled(Pulled::News(news))) => news,
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(%source, %error, "a member could not be asked for its log");
                return None;
            }
        };
        self.take_words(&news.checkpoints);
        let keeps_entries = news.snapshot.is_none();
        let entries = opened(*news, next).ok().filter(|_| keeps_entries);
        entries.map(Sent::Entries)
    }
}

/// What a member told of its log.
enum Sent {
    /// At most one answer's worth; none where it can prove no more.
    Entries(Vec<Entry>),
    /// The entry before them is another there.
    Elsewhere,
}

/// The entries from `from` to what is `applied`, if this host keeps them.
fn stretch(log: &LogStore, from: LogIndex, applied: LogIndex) -> Result<Stretch, CompareError> {
    if from > applied {
        return Err(CompareError::NotApplied { from, applied });
    }
    let purged = log.purged().map_err(unreadable)?;
    let first = purged.map_or(0, |purged| purged.index + 1);
    if from < first {
        return Err(CompareError::NotKept { first });
    }
    let before = match from.checked_sub(1) {
        None => None,
        Some(index) if purged.is_some_and(|purged| purged.index == index) => purged,
        Some(index) => {
            let entries = log.entries(index..=index).map_err(unreadable)?;
            entries.first().map(|entry| entry.log_id)
        }
    };
    Ok(Stretch { before, from, upto: applied })
}

/// What `news` brings, if it begins at `next` and has no gaps.
fn opened(news: News, next: LogIndex) -> Result<Vec<Entry>, CodecError> {
    let mut entries = Vec::with_capacity(news.entries.len());
    for (index, bytes) in (next..).zip(news.entries) {
        let entry = codec::decode::<EntryRecord>(&bytes)?.open()?;
        if entry.log_id.index != index {
            return Err(CodecError::Malformed {
                name: "sync answer",
                reason: format!("entry {} in the place of {index}", entry.log_id.index),
            });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn held(entry: Entry) -> Held {
    let term = entry.log_id.leader_id.term;
    let hash = blake3::hash(&codec::encode(&EntryRecord::from(entry)));
    Held { term, hash: hash.to_hex().to_string() }
}

fn unreadable(error: StoreError) -> CompareError {
    tracing::error!(%error, "the log cannot be read");
    CompareError::Stopped
}
