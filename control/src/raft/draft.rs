//! Entries that were pulled and are not believed yet, and what proves them.
//!
//! ```text
//! this host's replica, or a pulled snapshot
//!    └─ a copy, entry by entry ──> at an index that voters signed: is it what they say?
//! ```
//!
//! **Whose word counts.** A majority of the voters this host knows: those of the last entry it has proven. Where the pulled
//! entries change who votes, they count for what comes after them. So trust goes from electorate to electorate,
//! and none of them has to be believed by its successor's word alone.
//!
//! The change itself takes two entries, and is signed by those who vote until then as well as those who vote after it.
//!
//! A host that was away while more than half of the voters it knows were replaced finds no such majority. After a while it takes
//! the word of the voters that the entries themselves name, if each is one it knows or one that a voter it knows vouches
//! for: what [`speaker`](super::speaker) asks of a leader.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::codec::{self, CodecError};
use mesh_model::trust::MeshRoot;
use mesh_model::wire::sync::{Checkpoint, Claim, Lead, MAX_CHECKPOINTS, News, Place};
use mesh_model::{Edition, LogIndex, MemberId, Signed};

use super::records::EntryRecord;
use super::replica::Replica;
use super::snapshot::{SnapshotError, peek_meta};
use super::types::{Entry, Payload, place_of};
use crate::sync::{common_lead, majority};

/// The most entries a draft holds: whoever lacks more is sent a snapshot, because no source keeps more.
const MAX_DRAFT: usize = 2048;

/// The most they may come to, in bytes as they were sent. They grow to about twice that when decoded.
const MAX_DRAFT_BYTES: usize = 8 << 20;

/// The most signers that this host asks about: two sets of seven voters, while one is exchanged for the other.
const MAX_SIGNERS: usize = 14;

/// Why pulled entries were not taken. The source's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DraftError {
    #[error(transparent)]
    Malformed(#[from] CodecError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the entries do not follow what was asked for")]
    Gap,
    #[error("a snapshot that nobody asked for, and that leads no further")]
    Useless,
    #[error("the snapshot does not follow from what was agreed before")]
    Contradiction,
    #[error("more entries than may wait for their proof")]
    TooMuch,
    #[error("the entries lead to another state at index {0} than the voters signed")]
    Refuted(LogIndex),
}

/// A snapshot as it came, and what is in it.
pub(super) struct Base {
    pub(super) bytes: Vec<u8>,
    pub(super) replica: Replica,
}

/// What one source sent; see the [module](self).
#[derive(Default)]
pub(super) struct Draft {
    pub(super) base: Option<Base>,
    pub(super) entries: Vec<Entry>,
    words: Vec<Signed<Checkpoint>>,
    bytes: usize,
}

/// How far a draft is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) upto: LogIndex,
    /// Whom those that signed it took for elected.
    pub(super) lead: Lead,
}

impl Draft {
    /// The last entry in it, or of `own` if it is empty.
    pub(super) fn end(&self, own: Option<Place>) -> Option<Place> {
        let last = self.entries.last().map(|entry| entry.log_id);
        let last = last.or_else(|| self.base.as_ref()?.replica.applied);
        last.map(place_of).or(own)
    }

    /// Whether its entries begin where a host ends that holds all up to `place`, or it has a state from beyond that.
    pub(super) fn follows(&self, place: Option<Place>) -> bool {
        let next = next_index(place);
        match (&self.base, self.entries.first()) {
            (Some(base), _) => base.replica.index() >= next,
            (None, Some(first)) => first.log_id.index == next,
            (None, None) => true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.base.is_none() && self.entries.is_empty()
    }

    /// Adds what the source sent to what `own` holds; whether the whole state was `asked` for. `false` if there is nothing new in it:
    /// a source says again what may not have arrived.
    pub(super) fn add(
        &mut self,
        news: News,
        asked: bool,
        own: &Replica,
        (root, reads): (&MeshRoot, Edition),
    ) -> Result<bool, DraftError> {
        let mut is_new = !news.entries.is_empty();
        if let Some(bytes) = news.snapshot {
            // Before anything is expanded: it is long, and whoever sends one that was not asked for sends many.
            let last = peek_meta(&bytes)?.last_log_id;
            if last <= own.applied && !asked {
                return Err(DraftError::Useless);
            }
            let replica = Replica::open(&bytes, root)?.read_up_to(reads)?;
            if replica.index() < own.index() || !replica.state.continues(&own.state) {
                return Err(DraftError::Contradiction);
            }
            // One that leads no further would replace what this host has for nothing.
            if replica.index() > own.index() {
                *self = Self { base: Some(Base { bytes, replica }), ..Self::default() };
                is_new = true;
            }
        }
        for (place, bytes) in news.entries.iter().enumerate() {
            let record: EntryRecord = match codec::decode_up_to(bytes, reads.0) {
                // What can be read is taken, and counts once it is proven.
                Err(unread) if unread.is_newer() && place > 0 => break,
                decoded => decoded?,
            };
            let end = self.end(own.place());
            let entry = record.open()?;
            let follows = entry.log_id.index == next_index(end)
                && entry.log_id.leader_id.term >= end.map_or(0, |end| end.term);
            if !follows {
                return Err(DraftError::Gap);
            }
            self.bytes += bytes.len();
            if self.entries.len() == MAX_DRAFT || self.bytes > MAX_DRAFT_BYTES {
                return Err(DraftError::TooMuch);
            }
            self.entries.push(entry);
        }
        let unheard = |word: &Signed<Checkpoint>| !self.words.contains(word);
        let words: Vec<_> = news.checkpoints.into_iter().filter(unheard).collect();
        is_new |= !words.is_empty();
        self.words.extend(words);
        let surplus = self.words.len().saturating_sub(2 * MAX_CHECKPOINTS);
        self.words.drain(..surplus);
        Ok(is_new)
    }

    /// The words that came with it.
    pub(super) fn words(&self) -> &[Signed<Checkpoint>] {
        &self.words
    }

    /// Members that signed what follows `own` by their own account, and vote by what is in the draft; so many that a source cannot
    /// have this host ask about everybody.
    pub(super) fn signers(&self, own: &Replica) -> BTreeSet<MemberId> {
        let signers: BTreeSet<MemberId> =
            self.words.iter().filter_map(|word| Some(word.peek().ok()?.member)).collect();
        let base = self.base.as_ref().map_or(own, |base| &base.replica);
        let named = self.entries.iter().filter_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some(membership.voter_ids().map(MemberId)),
            _ => None,
        });
        // The last first: they vote today.
        let named = named.collect::<Vec<_>>().into_iter().rev().flatten().chain(base.voters());
        let signed = named.filter(|voter| signers.contains(voter));
        let mut asked = BTreeSet::new();
        for voter in signed {
            if asked.len() == MAX_SIGNERS {
                break;
            }
            asked.insert(voter);
        }
        asked
    }

    /// Who votes once what is in it up to `upto` has been applied to `own`.
    pub(super) fn voters_at(&self, own: &Replica, upto: LogIndex) -> BTreeSet<MemberId> {
        let base = self.base.as_ref().map_or(own, |base| &base.replica);
        let entries = self.entries.iter().filter(|entry| entry.log_id.index <= upto);
        let named = entries.filter_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some(membership),
            _ => None,
        });
        named.last().map_or_else(|| base.voters(), |last| last.voter_ids().map(MemberId).collect())
    }

    /// Who is a member no more once all of it has been applied to `own`: by its own word or an admin's, which no source can make up.
    pub(super) fn departed(&self, own: &Replica) -> BTreeSet<MemberId> {
        let mut copy = self.base.as_ref().map_or_else(|| own.clone(), |base| base.replica.clone());
        for entry in &self.entries {
            copy.apply(entry);
        }
        copy.state.members().departed().keys().copied().collect()
    }

    /// How far the draft is proven, for a host that holds `own`.
    pub(super) fn prove(
        &self,
        own: &Replica,
        leniency: &Leniency,
    ) -> Result<Option<Proven>, DraftError> {
        let mut said: BTreeMap<LogIndex, Vec<(Checkpoint, &Signed<Checkpoint>)>> = BTreeMap::new();
        for signed in &self.words {
            if let Ok(word) = signed.peek() {
                said.entry(word.at.index).or_default().push((word, signed));
            }
        }
        let mut copy = self.base.as_ref().map_or_else(|| own.clone(), |base| base.replica.clone());
        let mut jury = Jury { electorate: successors(own), leniency };
        let mut proven = None;
        let judge = |copy: &Replica, jury: &mut Jury<'_>| -> Result<Option<Proven>, DraftError> {
            let Some(words) = said.get(&copy.index()) else { return Ok(None) };
            let found = jury.weigh(copy, own, words)?;
            if found.is_some() {
                jury.electorate = successors(copy);
            }
            Ok(found)
        };
        if self.base.is_some() {
            proven = judge(&copy, &mut jury)?.or(proven);
        }
        for entry in &self.entries {
            copy.apply(entry);
            proven = judge(&copy, &mut jury)?.or(proven);
        }
        Ok(proven)
    }
}

/// Where what follows `place` is in the log.
fn next_index(place: Option<Place>) -> LogIndex {
    place.map_or(0, |place| place.index + 1)
}

/// Those whose majority decides what follows what `replica` has applied: where one set of voters is being exchanged for another,
/// both have agreed to that, and the old one may hear no more of it.
fn successors(replica: &Replica) -> Vec<BTreeSet<MemberId>> {
    replica.electorate().pop().into_iter().collect()
}

/// Whom else to believe, when those this host knows have not signed in time.
#[derive(Debug, Default)]
pub(super) struct Leniency {
    /// Long enough without a proof.
    pub(super) granted: bool,
    /// Voters it knows, those of the set that is being exchanged among them, and such that one of them vouched for.
    pub(super) believed: BTreeSet<MemberId>,
}

/// Those whose word counts.
struct Jury<'a> {
    electorate: Vec<BTreeSet<MemberId>>,
    leniency: &'a Leniency,
}

impl Jury<'_> {
    /// Whether enough of `words` say what `copy` is. Keys are those in `copy`: each is signed from the root.
    fn weigh(
        &self,
        copy: &Replica,
        own: &Replica,
        words: &[(Checkpoint, &Signed<Checkpoint>)],
    ) -> Result<Option<Proven>, DraftError> {
        let Some(mark) = copy.mark() else { return Ok(None) };
        let mut agreeing = BTreeMap::new();
        let mut differing: BTreeMap<Claim, BTreeSet<MemberId>> = BTreeMap::new();
        for (word, signed) in words {
            let member = word.member;
            let places = [&own.state, &copy.state].into_iter();
            let mut keys = places.filter_map(|state| state.members().present().get(&member));
            let genuine = word.mesh == copy.state.founding().root.mesh
                && keys.any(|member| signed.open(&member.record().identity).is_ok());
            match word.claim() == mark {
                _ if !genuine => {}
                true => drop(agreeing.insert(member, word.lead)),
                false if word.encoding == mark.encoding => {
                    differing.entry(word.claim()).or_default().insert(member);
                }
                false => {}
            }
        }
        let refuted = |others: &BTreeSet<MemberId>| {
            majority(&self.electorate, |voter| others.contains(voter))
        };
        if differing.values().any(refuted) {
            return Err(DraftError::Refuted(mark.at.index));
        }
        let known = majority(&self.electorate, |voter| agreeing.contains_key(voter));
        let knows = |voter: &MemberId| {
            self.leniency.believed.contains(voter)
                || self.electorate.iter().any(|set| set.contains(voter))
        };
        let named = copy.electorate();
        let vouched = || majority(&named, |voter| agreeing.contains_key(voter) && knows(voter));
        if !(known || self.leniency.granted && vouched()) {
            return Ok(None);
        }
        // One alone could name a leader that there will never be. Where they do not agree on one they soon do on a later entry.
        let lead = common_lead(agreeing, if known { &self.electorate } else { &named });
        // No voter speaks of an entry of a later term than the leader it follows.
        let lead = lead.filter(|lead| lead.term >= mark.at.term);
        Ok(lead.map(|lead| Proven { upto: mark.at.index, lead }))
    }
}

#[cfg(test)]
mod tests;
