//! The leaderships this host saw: when each began and ended, and why.
//!
//! ```text
//! started ──> voted(m3) ──> elected ──> fell silent ──> voted(m1) ──> elected ...
//!                              └──> transferred(m3), retired(m3): handed over in good order
//! ```
//!
//! Every host writes down what it saw itself, so two hosts may tell different stories: one that was cut
//! off has "fell silent" where the others have nothing. Causes come from what a host can know: a voter
//! hears its leader say "you next" to the successor, a learner does not and calls the same change an
//! election. Kept in memory, from the start of the process on; the mesh's decisions are in its audit trail.

use std::collections::{BTreeSet, VecDeque};

use mesh_model::{MemberId, Term};

use super::status::{Leadership, Role};

/// How many transitions are kept: an election leaves three or four, and a mesh that has more than one
/// an hour is ill, so this is two days of an ill one and years of another. At 48 bytes each, 12 kB. The
/// oldest makes room and is counted.
pub const MAX_TRANSITIONS: usize = 256;

/// Why leadership, or this host's part in it, became what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So it was when this host began to look.
    Started,
    /// An election: this host gave its vote to this member, perhaps itself.
    Voted(MemberId),
    /// The leader won an election.
    Elected,
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
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl History {
    pub(super) fn new(me: MemberId) -> Self {
        let transitions = VecDeque::new();
        Self { me, transitions, forgotten: 0, last: None, led: None, announced: None }
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
        let Some(cause) = cause else { return false };
        if self.transitions.len() >= MAX_TRANSITIONS {
            self.transitions.pop_front();
            self.forgotten += 1;
        }
        self.transitions.push_back(Transition { at_ms: known.at_ms, now, cause });
        before.is_none_or(|before| (before.term, before.leader) != (now.term, now.leader))
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
            None => Cause::Elected,
            Some(said) if known.voters.contains(&said.from) => Cause::Transferred(said.from),
            Some(said) => Cause::Retired(said.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: MemberId = MemberId(1);
    const OTHER: MemberId = MemberId(4);

    fn led(role: Role, term: Term, leader: Option<MemberId>) -> Leadership {
        Leadership { role, term, leader }
    }

    /// What `history` makes of `now`, with `candidate` voted for and both members voters.
    fn seen(history: &mut History, now: Leadership, candidate: Option<MemberId>) -> Option<Cause> {
        let known = history.tell().0.len();
        let voters = [ME, OTHER].into();
        history.observe(now, &Circumstances { at_ms: 7, candidate, voters: &voters });
        let (told, _) = history.tell();
        assert!(told.len() <= known + 1);
        told.get(known).map(|transition| transition.cause)
    }

    #[test]
    fn an_election_is_told_from_its_vote_to_its_winner() {
        let mut history = History::new(ME);
        let at = led(Role::Follower, 2, Some(OTHER));
        assert_eq!(seen(&mut history, at, None), Some(Cause::Started));
        assert_eq!(seen(&mut history, at, None), None, "nothing new");
        let silent = led(Role::Follower, 2, None);
        assert_eq!(seen(&mut history, silent, None), Some(Cause::FellSilent(OTHER)));
        let asks = led(Role::Candidate, 2, None);
        assert_eq!(seen(&mut history, asks, None), None, "whether anybody would vote for it");
        let voted = led(Role::Candidate, 3, None);
        assert_eq!(seen(&mut history, voted, Some(ME)), Some(Cause::Voted(ME)));
        let leads = led(Role::Leader, 3, Some(ME));
        assert_eq!(seen(&mut history, leads, None), Some(Cause::Elected));
    }

    #[test]
    fn a_leader_that_is_heard_again_was_not_elected_again() {
        let mut history = History::new(ME);
        let leads = led(Role::Leader, 3, Some(ME));
        seen(&mut history, leads, None);
        let alone = led(Role::Follower, 3, None);
        assert_eq!(seen(&mut history, alone, None), Some(Cause::LostMajority));
        assert_eq!(seen(&mut history, leads, None), Some(Cause::Heard));
    }

    #[test]
    fn a_host_that_starts_finds_its_leader_and_sees_the_next_one_elected() {
        let mut history = History::new(ME);
        let waits = led(Role::Learner, 2, None);
        assert_eq!(seen(&mut history, waits, None), Some(Cause::Started));
        let found = led(Role::Learner, 3, Some(OTHER));
        assert_eq!(seen(&mut history, found, None), Some(Cause::Heard));
        let next = led(Role::Learner, 4, Some(MemberId(9)));
        assert_eq!(seen(&mut history, next, None), Some(Cause::Elected));
    }

    #[test]
    fn a_transfer_is_known_by_its_announcement_and_only_if_it_came_to_pass() {
        let mut history = History::new(ME);
        seen(&mut history, led(Role::Follower, 2, Some(OTHER)), None);
        history.announce(2, OTHER, ME);
        seen(&mut history, led(Role::Candidate, 3, None), Some(ME));
        let leads = led(Role::Leader, 3, Some(ME));
        assert_eq!(seen(&mut history, leads, None), Some(Cause::Transferred(OTHER)));

        history.announce(3, ME, OTHER);
        let third = led(Role::Follower, 4, Some(MemberId(9)));
        assert_eq!(seen(&mut history, third, None), Some(Cause::Elected), "another won");
        let late = led(Role::Follower, 5, Some(OTHER));
        assert_eq!(seen(&mut history, late, None), Some(Cause::Elected), "and the term was over");
    }

    #[test]
    fn a_leader_that_gave_up_its_vote_has_retired() {
        let mut history = History::new(ME);
        let gone = MemberId(9);
        seen(&mut history, led(Role::Follower, 2, Some(gone)), None);
        history.announce(2, gone, OTHER);
        let next = led(Role::Follower, 3, Some(OTHER));
        assert_eq!(seen(&mut history, next, None), Some(Cause::Retired(gone)));
    }

    #[test]
    fn votes_that_come_and_go_are_told() {
        let mut history = History::new(ME);
        seen(&mut history, led(Role::Learner, 2, Some(OTHER)), None);
        let votes = led(Role::Follower, 2, Some(OTHER));
        assert_eq!(seen(&mut history, votes, None), Some(Cause::GotVote));
        let follows = led(Role::Learner, 2, Some(OTHER));
        assert_eq!(seen(&mut history, follows, None), Some(Cause::LostVote));
        let ended = led(Role::Stopped, 2, None);
        assert_eq!(seen(&mut history, ended, None), Some(Cause::Stopped));
        assert_eq!(seen(&mut history, ended, None), None);
    }

    #[test]
    fn the_oldest_makes_room_and_is_counted() {
        let mut history = History::new(ME);
        for term in 0..=MAX_TRANSITIONS as u64 {
            seen_last(&mut history, term);
        }
        let (told, forgotten) = history.tell();
        assert_eq!((told.len(), forgotten), (MAX_TRANSITIONS, 1));
        assert_eq!(told[0].now.term, 1);
    }

    fn seen_last(history: &mut History, term: Term) {
        let voters = BTreeSet::new();
        let known = Circumstances { at_ms: 0, candidate: None, voters: &voters };
        history.observe(led(Role::Follower, term, Some(OTHER)), &known);
    }
}
