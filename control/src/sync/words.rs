//! What voters signed: how far the log is proven, and who contradicts whom.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::signed::SignedError;
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{Checkpoint, Claim, Lead, MAX_CHECKPOINTS};
use mesh_model::{IdentityKey, LogIndex, MemberId, MeshId, Signed};

/// How many indexes words are kept for: those of the last seconds of a busy mesh, and enough that a member which was
/// away for a moment finds one that it can follow from.
const MAX_INDEXES: usize = 64;

/// The most words kept for one index: seven voters, and seven that are being exchanged for them.
const MAX_WORDS: usize = 14;

/// How many of this member's own marks are kept, to hold against words that come late.
const MAX_MARKS: usize = 256;

/// The most changes of voters signed at once: one exchange takes two, and there is one exchange a minute.
const MAX_CHANGES: usize = 4;

/// The most divergences remembered: the first says all, the others say that it goes on.
pub const MAX_DIVERGENCES: usize = 16;

/// What this member's own log led to.
pub type Mark = Claim;

/// Members that hold different states at one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Where in the log.
    pub index: LogIndex,
    /// Who holds what there.
    pub parties: BTreeMap<MemberId, StateHash>,
}

/// Why a checkpoint was not taken. Its bearer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Not signed by whom it names.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// About another mesh or another member than the signer.
    #[error("a checkpoint of somebody else")]
    NotOwn,
    /// There are as many for this index as there can be voters.
    #[error("more checkpoints for one index than there are voters")]
    TooMany,
}

/// The words of voters, by index; see the [module](self).
#[derive(Debug)]
pub struct Words {
    mesh: MeshId,
    me: MemberId,
    said: BTreeMap<LogIndex, BTreeMap<MemberId, (Checkpoint, Signed<Checkpoint>)>>,
    /// With whether this member voted there.
    marks: BTreeMap<LogIndex, (Mark, bool)>,
    divergences: Vec<Divergence>,
}

/// Whether `of` has more than half of each set of voters.
pub fn majority(electorate: &[BTreeSet<MemberId>], of: impl Fn(&MemberId) -> bool) -> bool {
    let has = |voters: &BTreeSet<MemberId>| {
        2 * voters.iter().filter(|voter| of(voter)).count() > voters.len()
    };
    !electorate.is_empty() && electorate.iter().all(has)
}

impl Words {
    /// Nothing said yet.
    pub fn new(mesh: MeshId, me: MemberId) -> Self {
        let (said, marks) = (BTreeMap::new(), BTreeMap::new());
        Self { mesh, me, said, marks, divergences: Vec::new() }
    }

    /// Takes a word of the member whose key is `key`. `true` if it was new.
    pub fn take(
        &mut self,
        signed: &Signed<Checkpoint>,
        member: MemberId,
        key: &IdentityKey,
    ) -> Result<bool, WordError> {
        let checkpoint = signed.open(key)?;
        if checkpoint.member != member || checkpoint.mesh != self.mesh {
            return Err(WordError::NotOwn);
        }
        let index = checkpoint.at.index;
        if self.said.len() == MAX_INDEXES
            && !self.said.contains_key(&index)
            && self.said.first_key_value().is_some_and(|(oldest, _)| index < *oldest)
        {
            return Ok(false);
        }
        let said = self.said.entry(index).or_default();
        let known = said.get(&member).is_some_and(|(before, _)| !before.contradicts(&checkpoint));
        if known {
            return Ok(false);
        }
        if said.len() == MAX_WORDS && !said.contains_key(&member) {
            return Err(WordError::TooMany);
        }
        self.compare(&checkpoint);
        let said = self.said.entry(index).or_default();
        said.insert(member, (checkpoint, signed.clone()));
        while self.said.len() > MAX_INDEXES {
            self.said.pop_first();
        }
        Ok(true)
    }

    /// This member's own log leads to `mark`, where it `votes` or not.
    pub fn note(&mut self, mark: Mark, votes: bool) {
        let index = mark.at.index;
        let said = self.said.get(&index).into_iter().flatten();
        let differs = |(_, (word, _)): &(&MemberId, &(Checkpoint, _))| {
            word.encoding == mark.encoding && word.claim() != mark
        };
        let differing: Vec<_> =
            said.filter(differs).map(|(member, (word, _))| (*member, word.state)).collect();
        if !differing.is_empty() {
            let parties = differing.into_iter().chain([(self.me, mark.state)]);
            self.diverged(index, parties.collect());
        }
        self.marks.insert(index, (mark, votes));
        while self.marks.len() > MAX_MARKS {
            self.marks.pop_first();
        }
    }

    /// This member's last mark.
    pub fn last_mark(&self) -> Option<&Mark> {
        self.marks.last_key_value().map(|(_, (mark, _))| mark)
    }

    /// Which of its marks after `index` this member is to sign: the last, the last that all members have, at every
    /// `grid`th index, and those where it voted and who votes changed: whoever follows from before needs them.
    pub fn to_sign(&self, index: LogIndex, grid: u64) -> Vec<Mark> {
        let mut marks: Vec<Mark> = Vec::new();
        let (mut on_grid, mut last) = (None, None);
        let mut electorate =
            self.marks.range(..=index).next_back().map(|(_, (mark, _))| mark.electorate);
        for (mark, votes) in self.marks.range(index.saturating_add(1)..).map(|(_, mark)| mark) {
            let changed = electorate.is_some_and(|before| before != mark.electorate);
            electorate = Some(mark.electorate);
            if !votes {
                continue;
            }
            if changed {
                marks.push(*mark);
            }
            if mark.at.index.is_multiple_of(grid) {
                on_grid = Some(*mark);
            }
            last = Some(*mark);
        }
        let surplus = marks.len().saturating_sub(MAX_CHANGES);
        marks.drain(..surplus);
        marks.extend(on_grid);
        marks.extend(last);
        marks.sort_by_key(|mark| mark.at.index);
        marks.dedup();
        marks
    }

    /// What a majority of `electorate` says of `index`.
    pub fn proof(
        &self,
        index: LogIndex,
        electorate: &[BTreeSet<MemberId>],
    ) -> Option<(Claim, Lead)> {
        self.proof_by(index, electorate, |_| true)
    }

    /// The same, by those only that `counts`.
    pub fn proof_by(
        &self,
        index: LogIndex,
        electorate: &[BTreeSet<MemberId>],
        counts: impl Fn(&MemberId) -> bool,
    ) -> Option<(Claim, Lead)> {
        let said = self.said.get(&index)?;
        let claims: BTreeSet<Claim> = said.values().map(|(word, _)| word.claim()).collect();
        claims.into_iter().find_map(|claim| {
            let agrees = |member: &MemberId| {
                counts(member) && said.get(member).is_some_and(|(word, _)| word.claim() == claim)
            };
            if !majority(electorate, agrees) {
                return None;
            }
            let voted = |member: &&MemberId| electorate.iter().any(|set| set.contains(member));
            let signers = said.iter().filter(|(member, _)| voted(member) && agrees(member));
            // A voter's word on who was elected is as good as its word on an append.
            let lead = signers.map(|(_, (word, _))| word.lead).max()?;
            Some((claim, lead))
        })
    }

    /// The furthest that a majority of `electorate` and this member's own log agree on.
    pub fn proven(&self, electorate: &[BTreeSet<MemberId>]) -> Option<Claim> {
        self.said.keys().rev().find_map(|index| {
            let (claim, _) = self.proof(*index, electorate)?;
            (self.marks.get(index)?.0 == claim).then_some(claim)
        })
    }

    /// Indexes after `after` that something was said of, oldest first.
    pub fn indexes(&self, after: LogIndex) -> impl DoubleEndedIterator<Item = LogIndex> + '_ {
        self.said.range(after.saturating_add(1)..).map(|(index, _)| *index)
    }

    /// What was said of indexes after `after`, as it was signed; the latest, as many as one answer holds.
    pub fn tell(&self, after: LogIndex) -> Vec<Signed<Checkpoint>> {
        let said = self.said.range(after.saturating_add(1)..).rev();
        let words = said.flat_map(|(_, words)| words.values().map(|(_, signed)| signed.clone()));
        words.take(MAX_CHECKPOINTS).collect()
    }

    /// What was said of `index`.
    pub fn at(&self, index: LogIndex) -> Vec<Signed<Checkpoint>> {
        let said = self.said.get(&index).into_iter().flatten();
        said.map(|(_, (_, signed))| signed.clone()).collect()
    }

    /// Who contradicted whom, oldest first.
    pub fn divergences(&self) -> &[Divergence] {
        &self.divergences
    }

    /// Holds `word` against all that was said of its index.
    fn compare(&mut self, word: &Checkpoint) {
        let index = word.at.index;
        let said = self.said.get(&index).into_iter().flatten();
        let mut parties: BTreeMap<MemberId, StateHash> = said
            .filter(|(_, (other, _))| other.contradicts(word))
            .map(|(member, (other, _))| (*member, other.state))
            .collect();
        if let Some((mark, _)) = self.marks.get(&index)
            && mark.encoding == word.encoding
            && *mark != word.claim()
        {
            parties.insert(self.me, mark.state);
        }
        if !parties.is_empty() {
            parties.insert(word.member, word.state);
            self.diverged(index, parties);
        }
    }

    fn diverged(&mut self, index: LogIndex, parties: BTreeMap<MemberId, StateHash>) {
        if let Some(known) = self.divergences.iter_mut().find(|known| known.index == index) {
            known.parties.extend(parties);
        } else if self.divergences.len() < MAX_DIVERGENCES {
            self.divergences.push(Divergence { index, parties });
        }
    }
}
