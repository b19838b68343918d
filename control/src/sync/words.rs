//! What voters signed: how far the log is proven, and who contradicts whom.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use mesh_model::signed::SignedError;
use mesh_model::wire::sync::{Checkpoint, Claim, Lead, MAX_CHECKPOINTS};
use mesh_model::{IdentityKey, LogIndex, MemberId, MeshId, Signed};

/// How many words of each voter are kept: those of the last seconds of a busy mesh, and enough that a member which was
/// away for a moment finds one that it can follow from. Each has as many, so that nobody's words take the place of another's.
const MAX_WORDS: usize = 64;

/// How many sets of voters are remembered, the present one among them: an exchange takes two, and there is one a minute.
const MAX_ELECTORATES: usize = 8;

/// How many of this member's own marks are kept, to hold against words that come late.
const MAX_MARKS: usize = 256;

/// The most changes of voters signed at once: one exchange takes two, and there is one exchange a minute.
const MAX_CHANGES: usize = 4;

/// The most marks on the grid signed at once: 512 entries, half a second's worth of a mesh that agrees on a thousand a second. With a
/// word on each two voters have one in common however their batches end.
const MAX_ON_GRID: usize = 16;

/// The most divergences remembered, the latest: one that goes on tells the same again.
pub const MAX_DIVERGENCES: usize = 16;

/// What this member's own log led to.
pub type Mark = Claim;

/// Members that hold different states at one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Where in the log.
    pub index: LogIndex,
    /// Who says what of it.
    pub parties: BTreeMap<MemberId, Claim>,
}

impl Divergence {
    /// Whether those of the parties that are still members differ. It ends with the membership of whoever is wrong.
    pub fn stands(&self, is_member: impl Fn(&MemberId) -> bool) -> bool {
        let claims = self.parties.iter().filter(|(party, _)| is_member(party));
        claims.map(|(_, claim)| claim).collect::<BTreeSet<_>>().len() > 1
    }
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
    /// It does not vote there.
    #[error("a checkpoint of a member that does not vote there")]
    NoVote,
}

/// The words of voters, by index.
#[derive(Debug)]
pub struct Words {
    mesh: MeshId,
    me: MemberId,
    said: BTreeMap<LogIndex, BTreeMap<MemberId, (Checkpoint, Signed<Checkpoint>)>>,
    /// With whether this member voted there.
    marks: BTreeMap<LogIndex, (Mark, bool)>,
    /// Who votes from which index on, by this member's own log.
    electorates: BTreeMap<LogIndex, BTreeSet<MemberId>>,
    divergences: Vec<Divergence>,
    /// Those that nobody was told of yet.
    untold: Vec<Divergence>,
    /// Who signed two things of one index, since somebody asked last. Voters, so there are a few.
    two_faced: BTreeSet<MemberId>,
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
        let (said, marks, electorates) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (divergences, untold, two_faced) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { mesh, me, said, marks, electorates, divergences, untold, two_faced }
    }

    /// Takes a word of the member whose key is `key`. `true` if it was new.
    pub fn take(
        &mut self,
        signed: &Signed<Checkpoint>,
        member: MemberId,
        key: &IdentityKey,
    ) -> Result<bool, WordError> {
        if self.holds(signed, member) {
            return Ok(false);
        }
        let checkpoint = signed.open(key)?;
        if checkpoint.member != member || checkpoint.mesh != self.mesh {
            return Err(WordError::NotOwn);
        }
        let index = checkpoint.at.index;
        if !self.may_speak(member, index)? {
            return Ok(false);
        }
        // The first counts. Whoever says another thing later has nobody wait for its next word.
        if let Some((first, _)) = self.said.get(&index).and_then(|said| said.get(&member)) {
            if first.contradicts(&checkpoint) {
                self.two_faced.insert(member);
            }
            return Ok(false);
        }
        self.compare(&checkpoint);
        self.said.entry(index).or_default().insert(member, (checkpoint, signed.clone()));
        self.forget_oldest_of(member);
        Ok(self.said.get(&index).is_some_and(|said| said.contains_key(&member)))
    }

    /// Whether this very word of `member` was taken before. Members tell each other what they have heard, and checking a signature
    /// is the dearest part of hearing it again.
    fn holds(&self, signed: &Signed<Checkpoint>, member: MemberId) -> bool {
        let said = |word: Checkpoint| self.said.get(&word.at.index)?.get(&member);
        signed.peek().ok().and_then(said).is_some_and(|(_, taken)| taken == signed)
    }

    /// Whether `member` has a say at `index`. What this member knows nothing of, before all it remembers and after all it has, is
    /// nobody's fault.
    fn may_speak(&self, member: MemberId, index: LogIndex) -> Result<bool, WordError> {
        let Some((_, voters)) = self.electorates.range(..=index).next_back() else {
            return Ok(false);
        };
        match voters.contains(&member) {
            true => Ok(true),
            false if self.last_mark().is_none_or(|mark| mark.at.index < index) => Ok(false),
            false => Err(WordError::NoVote),
        }
    }

    fn forget_oldest_of(&mut self, member: MemberId) {
        let held = self.said.iter().filter(|(_, words)| words.contains_key(&member));
        let held: Vec<LogIndex> = held.map(|(index, _)| *index).collect();
        let surplus = held.len().saturating_sub(MAX_WORDS);
        for index in &held[..surplus] {
            if let Some(words) = self.said.get_mut(index) {
                words.remove(&member);
            }
        }
        self.said.retain(|_, words| !words.is_empty());
    }

    /// This member's own log leads to `mark`, where `voters` vote.
    pub fn note(&mut self, mark: Mark, voters: &BTreeSet<MemberId>) {
        let index = mark.at.index;
        let said = self.said.get(&index).into_iter().flatten();
        let differs = |(_, (word, _)): &(&MemberId, &(Checkpoint, _))| {
            word.encoding == mark.encoding && word.claim() != mark
        };
        let differing: Vec<_> =
            said.filter(differs).map(|(member, (word, _))| (*member, word.claim())).collect();
        if !differing.is_empty() {
            let parties = differing.into_iter().chain([(self.me, mark)]);
            self.diverged(index, parties.collect());
        }
        self.marks.insert(index, (mark, voters.contains(&self.me)));
        while self.marks.len() > MAX_MARKS {
            self.marks.pop_first();
        }
        self.note_voters(index, voters);
    }

    /// From `index` on `voters` vote.
    fn note_voters(&mut self, index: LogIndex, voters: &BTreeSet<MemberId>) {
        let before = self.electorates.range(..=index).next_back();
        if before.is_some_and(|(_, before)| before == voters) {
            return;
        }
        self.electorates.insert(index, voters.clone());
        while self.electorates.len() > MAX_ELECTORATES {
            self.electorates.pop_first();
        }
        let remembered: BTreeSet<_> = self.electorates.values().flatten().copied().collect();
        for words in self.said.values_mut() {
            words.retain(|member, _| remembered.contains(member));
        }
        self.said.retain(|_, words| !words.is_empty());
    }

    /// This member's last mark.
    pub fn last_mark(&self) -> Option<&Mark> {
        self.marks.last_key_value().map(|(_, (mark, _))| mark)
    }

    /// Which of its marks after `index` and up to `upto` this member is to sign: the last, those that all members have, at every
    /// `grid`th index, and those where it voted and who votes changed: whoever follows from before needs them.
    pub fn to_sign(&self, index: LogIndex, upto: LogIndex, grid: u64) -> Vec<Mark> {
        let (mut changes, mut on_grid, mut last) = (Vec::new(), Vec::new(), None);
        let mut electorate =
            self.marks.range(..=index).next_back().map(|(_, (mark, _))| mark.electorate);
        let after = (Bound::Excluded(index), Bound::Included(upto.max(index)));
        for (mark, votes) in self.marks.range(after).map(|(_, mark)| mark) {
            let changed = electorate.is_some_and(|before| before != mark.electorate);
            electorate = Some(mark.electorate);
            if !votes {
                continue;
            }
            if changed {
                changes.push(*mark);
            }
            if mark.at.index.is_multiple_of(grid) {
                on_grid.push(*mark);
            }
            last = Some(*mark);
        }
        changes.drain(..changes.len().saturating_sub(MAX_CHANGES));
        on_grid.drain(..on_grid.len().saturating_sub(MAX_ON_GRID));
        let mut marks: Vec<Mark> = changes.into_iter().chain(on_grid).chain(last).collect();
        marks.sort_by_key(|mark| mark.at.index);
        marks.dedup();
        marks
    }

    /// What a majority of `electorate` says of `index`.
    pub fn proof(&self, index: LogIndex, electorate: &[BTreeSet<MemberId>]) -> Option<Claim> {
        let said = self.said.get(&index)?;
        let claims: BTreeSet<Claim> = said.values().map(|(word, _)| word.claim()).collect();
        claims.into_iter().find(|claim| {
            let agrees = |(word, _): &(Checkpoint, _)| word.claim() == *claim;
            majority(electorate, |member| said.get(member).is_some_and(agrees))
        })
    }

    /// Whom a majority of `electorate` took for elected when it signed what this member's own log led to at `index`. One alone
    /// could name a leader that there will never be, and a term after which there is none; and who votes alone now was one of
    /// several, perhaps, when it spoke of an index that nobody had reached.
    pub fn lead(&self, index: LogIndex, electorate: &[BTreeSet<MemberId>]) -> Option<Lead> {
        let claim = self.proven_at(index, electorate)?;
        let said = self.said.get(&index)?.iter();
        let agreeing = said.filter(|(_, (word, _))| word.claim() == claim);
        common_lead(agreeing.map(|(member, (word, _))| (*member, word.lead)).collect(), electorate)
    }

    /// The furthest that a majority of `electorate` and this member's own log agree on.
    pub fn proven(&self, electorate: &[BTreeSet<MemberId>]) -> Option<Claim> {
        self.said.keys().rev().find_map(|index| self.proven_at(*index, electorate))
    }

    /// What a majority of `electorate` and this member's own log say of `index`, if that is the same.
    fn proven_at(&self, index: LogIndex, electorate: &[BTreeSet<MemberId>]) -> Option<Claim> {
        let claim = self.proof(index, electorate)?;
        (self.marks.get(&index)?.0 == claim).then_some(claim)
    }

    /// What was said of indexes after `after`, as it was signed; the latest, as many as one answer holds. Nothing of what this
    /// member does not have itself.
    pub fn tell(&self, after: LogIndex) -> Vec<Signed<Checkpoint>> {
        let Some(last) = self.last_mark().map(|mark| mark.at.index) else { return Vec::new() };
        let said = self.said.range(..=last).rev().take_while(|(index, _)| **index > after);
        let words = said.flat_map(|(_, words)| words.values().map(|(_, signed)| signed.clone()));
        words.take(MAX_CHECKPOINTS).collect()
    }

    /// The last that `member` said.
    pub fn last_of(&self, member: MemberId) -> Option<&Signed<Checkpoint>> {
        self.said.values().rev().find_map(|said| said.get(&member).map(|(_, signed)| signed))
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

    /// Those that came since this was asked last.
    pub fn untold(&mut self) -> Vec<Divergence> {
        std::mem::take(&mut self.untold)
    }

    /// Who signed two things of one index that no correct member can both have said, since this was asked last.
    pub fn two_faced(&mut self) -> BTreeSet<MemberId> {
        std::mem::take(&mut self.two_faced)
    }

    /// Holds `word` against all that was said of its index.
    fn compare(&mut self, word: &Checkpoint) {
        let index = word.at.index;
        let said = self.said.get(&index).into_iter().flatten();
        let mut parties: BTreeMap<MemberId, Claim> = said
            .filter(|(_, (other, _))| other.contradicts(word))
            .map(|(member, (other, _))| (*member, other.claim()))
            .collect();
        if let Some((mark, _)) = self.marks.get(&index)
            && mark.encoding == word.encoding
            && *mark != word.claim()
        {
            parties.insert(self.me, *mark);
        }
        if !parties.is_empty() {
            parties.insert(word.member, word.claim());
            self.diverged(index, parties);
        }
    }

    fn diverged(&mut self, index: LogIndex, parties: BTreeMap<MemberId, Claim>) {
        if let Some(known) = self.divergences.iter_mut().find(|known| known.index == index) {
            known.parties.extend(parties);
            return;
        }
        for list in [&mut self.divergences, &mut self.untold] {
            if list.len() == MAX_DIVERGENCES {
                list.remove(0);
            }
            list.push(Divergence { index, parties: parties.clone() });
        }
    }
}

/// The lead that a majority of `electorate` names, of those that `named` one.
pub fn common_lead(
    named: BTreeMap<MemberId, Lead>,
    electorate: &[BTreeSet<MemberId>],
) -> Option<Lead> {
    let leads: BTreeSet<Lead> = named.values().copied().collect();
    leads.into_iter().find(|lead| majority(electorate, |member| named.get(member) == Some(lead)))
}
