//! The leaderships this host saw, and the votes that were given and taken: when each began and ended, and why.
//!
//! ```text
//! started ──> voted(m3) ──> elected ──> fell silent ──> voted(m1) ──> elected ...
//!                              └──> transferred(m3), retired(m3): handed over in good order
//! ```
//!
//! Every host writes down what it saw itself, so two hosts may tell different stories: one that was cut
//! off has "fell silent" where the others have nothing. Causes come from what a host can know: a voter
//! hears its leader say "you next" to the successor, a learner does not and calls the same change an
//! election. Why a vote was given or taken [`reason`] says: all of it on the host that led. The shell keeps the history from one
//! start to the next ([`keeping`]); the mesh's decisions are in its audit trail.

pub(super) mod chronicle;
mod keeping;
pub(super) mod reason;

use std::collections::{BTreeSet, VecDeque};

use mesh_model::{LogIndex, MemberId, Term};
use serde::{Deserialize, Serialize};

pub use self::keeping::MAX_KEPT;
use self::reason::Grounds;
pub use self::reason::Reason;
use super::status::{Leadership, Role};

/// How many transitions are kept: an election leaves three or four, and a mesh that has more than one
/// an hour is ill, so this is two days of an ill one and years of another. At 64 bytes each, 16 kB. The
/// oldest makes room and is counted.
pub const MAX_TRANSITIONS: usize = 256;

/// Why leadership, or this host's part in it, became what it is, or who votes changed. Kept in a file: new kinds go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// So it was when this host began to look.
    Started,
    /// An election: this host gave its vote to this member, perhaps itself.
    Voted(MemberId),
    /// The leader won an election, after this one had led, as far as this host knows who had.
    Elected(Option<MemberId>),
    /// The leader was handed the lead by this one, as somebody asked it to.
    Transferred(MemberId),
    /// The same, because this one has no vote any more: it leaves, or shall not vote.
    Retired(MemberId),
    /// This leader was not heard for longer than its lease and an election take.
    FellSilent(MemberId),
    /// This host led, and a majority of the voters did not answer it any more.
    LostMajority,
    /// The leader was heard: for the first time since this host started, or again after a silence. Nobody was
    /// elected as far as this host saw.
    Heard,
    /// This host votes now.
    GotVote,
    /// This host votes no more.
    LostVote,
    /// Agreement on this host ended.
    Stopped,
    /// This member votes since, as was agreed, for this reason.
    VoteGiven(MemberId, Reason),
    /// This member votes no more, as was agreed, for this reason.
    VoteTaken(MemberId, Reason),
}

impl Cause {
    /// Whether it is about a vote that was given or taken, and not about who leads.
    pub fn is_of_votes(&self) -> bool {
        matches!(self, Self::VoteGiven(..) | Self::VoteTaken(..))
    }
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When this host saw it, in milliseconds since the Unix epoch, by its own clock.
    pub at_ms: u64,
    /// How it is since then.
    pub now: Leadership,
    /// Why.
    pub cause: Cause,
}

/// "You next": what a leader told the voters.
#[derive(Debug, Clone, Copy)]
struct Announcement {
    term: Term,
    from: MemberId,
    to: MemberId,
}

/// What is known beside who leads.
pub(super) struct Circumstances<'a> {
    /// When, in milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
    /// Whom this host gave its vote in an election that is still open.
    pub(super) candidate: Option<MemberId>,
    /// Who votes.
    pub(super) voters: &'a BTreeSet<MemberId>,
}

/// The last [`MAX_TRANSITIONS`] changes, oldest first.
pub(super) struct History {
    me: MemberId,
    transitions: VecDeque<Transition>,
    forgotten: u64,
    last: Option<Leadership>,
    /// The leader before the last silence, with its term.
    led: Option<(Term, MemberId)>,
    announced: Option<Announcement>,
    /// Who votes, by the last change that was agreed.
    voters: Option<BTreeSet<MemberId>>,
    /// The term and the index of that change.
    voters_at: Option<(Term, LogIndex)>,
    /// Votes that were given and taken before this host knew anything of who leads, and when.
    early: Vec<(u64, Cause)>,
    /// Whom this host, leading, wants to vote, and why.
    intended: Option<(BTreeSet<MemberId>, Vec<Cause>)>,
}

impl History {
    pub(super) fn new(me: MemberId) -> Self {
        Self {
            me,
            transitions: VecDeque::new(),
            forgotten: 0,
            last: None,
            led: None,
            announced: None,
            voters: None,
            voters_at: None,
            early: Vec::new(),
            intended: None,
        }
    }

    /// This host leads and is about to have `voters` agreed on.
    pub(super) fn intend(&mut self, voters: BTreeSet<MemberId>, grounds: &Grounds<'_>) {
        let causes = self.causes(&voters, grounds);
        self.intended = Some((voters, causes));
    }

    /// That `voters` vote is agreed.
    pub(super) fn observe_voters(
        &mut self,
        voters: BTreeSet<MemberId>,
        at_ms: u64,
        grounds: &Grounds<'_>,
    ) {
        let causes = match self.intended.take_if(|(intended, _)| *intended == voters) {
            Some((_, causes)) => causes,
            None => self.causes(&voters, grounds),
        };
        self.voters = Some(voters);
        self.early.extend(causes.into_iter().map(|cause| (at_ms, cause)));
        let surplus = self.early.len().saturating_sub(MAX_TRANSITIONS);
        self.early.drain(..surplus);
        if let Some(now) = self.last {
            self.tell_early(now);
        }
    }

    fn tell_early(&mut self, now: Leadership) {
        for (at_ms, cause) in std::mem::take(&mut self.early) {
            self.push(Transition { at_ms, now, cause });
        }
    }

    /// Why `voters` vote and not those before them; nothing of the first that are seen.
    fn causes(&self, voters: &BTreeSet<MemberId>, grounds: &Grounds<'_>) -> Vec<Cause> {
        self.voters
            .as_ref()
            .map(|before| reason::causes(before, voters, grounds))
            .unwrap_or_default()
    }

    /// The leader of `term`, `from`, told the voters that `to` shall lead.
    pub(super) fn announce(&mut self, term: Term, from: MemberId, to: MemberId) {
        self.announced = Some(Announcement { term, from, to });
    }

    /// Leadership is `now`. `true` if another leader, or none, leads since.
    pub(super) fn observe(&mut self, now: Leadership, known: &Circumstances<'_>) -> bool {
        let before = self.last.replace(now);
        let cause = self.cause(before.as_ref(), &now, known);
        if let Some(leader) = now.leader {
            self.led = Some((now.term, leader));
        }
        if now.leader != Some(self.me) {
            // Whoever leads next wants what it wants for reasons of its own.
            self.intended = None;
        }
        if let Some(cause) = cause {
            self.push(Transition { at_ms: known.at_ms, now, cause });
        }
        self.tell_early(now);
        if cause.is_none() {
            return false;
        }
        before.is_none_or(|before| (before.term, before.leader) != (now.term, now.leader))
    }

    fn push(&mut self, transition: Transition) {
        if self.transitions.len() >= MAX_TRANSITIONS {
            self.transitions.pop_front();
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.transitions.push_back(transition);
    }

    /// How many transitions there were, those that are forgotten included.
    pub(super) fn count(&self) -> u64 {
        self.forgotten.saturating_add(self.transitions.len() as u64)
    }

    /// What is remembered, oldest first, and how many older ones are not.
    pub(super) fn tell(&self) -> (Vec<Transition>, u64) {
        (self.transitions.iter().copied().collect(), self.forgotten)
    }

    /// Who led in `term`, if this host saw it.
    pub(super) fn leader_of(&self, term: Term) -> Option<MemberId> {
        let seen = self.transitions.iter().rev().map(|transition| transition.now);
        seen.filter(|seen| seen.term == term).find_map(|seen| seen.leader)
    }

    /// Why `before` became `now`; `None` if that is nothing to write down.
    fn cause(
        &self,
        before: Option<&Leadership>,
        now: &Leadership,
        known: &Circumstances<'_>,
    ) -> Option<Cause> {
        let Some(before) = before else { return Some(Cause::Started) };
        if now.role == Role::Stopped {
            return (before.role != Role::Stopped).then_some(Cause::Stopped);
        }
        let same_leader = (before.term, before.leader) == (now.term, now.leader);
        match (before.leader, now.leader) {
            (_, Some(leader)) if !same_leader => Some(self.accession(before, leader, now, known)),
            (Some(leader), None) if now.term == before.term => Some(match leader == self.me {
                true => Cause::LostMajority,
                false => Cause::FellSilent(leader),
            }),
            (_, None) if now.term > before.term => known.candidate.map(Cause::Voted),
            _ => match (before.role, now.role) {
                (Role::Learner, Role::Learner) => None,
                (Role::Learner, _) => Some(Cause::GotVote),
                (_, Role::Learner) => Some(Cause::LostVote),
                _ => None,
            },
        }
    }

    /// How `leader` came to lead.
    fn accession(
        &self,
        before: &Leadership,
        leader: MemberId,
        Leadership { term, .. }: &Leadership,
        known: &Circumstances<'_>,
    ) -> Cause {
        // Who has seen neither an earlier leader nor the vote only finds that there is one.
        let found = self.led.is_none() && before.term != *term && leader != self.me;
        if found || self.led == Some((*term, leader)) {
            return Cause::Heard;
        }
        let announced = self.announced.filter(|said| said.to == leader && said.term < *term);
        // An election in between was not the one that was announced.
        let announced = announced.filter(|said| self.led == Some((said.term, said.from)));
        match announced {
            None => Cause::Elected(self.led.map(|(_, leader)| leader)),
            Some(said) if known.voters.contains(&said.from) => Cause::Transferred(said.from),
            Some(said) => Cause::Retired(said.from),
        }
    }
}

#[cfg(test)]
mod tests;
