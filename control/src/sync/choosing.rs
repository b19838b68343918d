//! Whom to ask next, and whom not to ask for a while.

use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::wire::sync::MAX_INSTEAD;
use rand::RngExt as _;

use super::asking::HURRY;
use super::source::Source;
use super::{Distance, MAX_PREFERRED, Moment, Sync};

/// How long nobody relies on what a member says it has applied, after it led to nothing.
const UNRELIABLE: Duration = Duration::from_secs(60);

/// How many sources have to lack what a member says it has before that member is doubted.
const SOURCES_TRIED: u8 = 2;

/// The most suggestions kept of busy sources.
const MAX_SUGGESTED: usize = 4 * MAX_INSTEAD;

/// The least is asked first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Whoever fell silent comes after all that have not: hosts go down together.
    doubt: u32,
    /// It has not told of more than this member has: that may be all it ever told, before it was gone.
    is_behind: bool,
    /// Levels below agreement, as far as this member can know; the leader has enough to do.
    tier: u8,
    distance: Distance,
}

impl Sync {
    fn rank(&self, member: MemberId, source: &Source) -> Rank {
        Rank {
            doubt: source.silences().min(3) + u32::from(source.reliability() < 25),
            is_behind: source.applied <= self.own,
            tier: match (self.leader == Some(member), self.fed.contains(&member)) {
                (false, true) => 0,
                (true, _) => 1,
                (false, false) => 2,
            },
            distance: Distance::of(source.round_trip()),
        }
    }

    /// Whom the operator prefers, whom this member follows, whom a busy source named, and then the best of all. But whoever sent
    /// what waits for its proof is asked before anybody else: it would be dropped, and its proof waited for anew.
    pub(super) fn choose(&mut self, now: Moment) -> Option<MemberId> {
        let sources = &self.sources;
        let free = |member: &MemberId| sources.get(member).is_some_and(|one| one.may_be_asked(now));
        let waited_for = self.following.iter().filter(|_| self.drafted > self.own);
        let known = waited_for.chain(&self.preferred).chain(&self.following);
        let known = known.copied().find(free);
        if known.is_some() {
            return known;
        }
        while let Some(member) = self.suggested.pop_front() {
            if free(&member) {
                return Some(member);
            }
        }
        let free = self.sources.iter().filter(|(_, source)| source.may_be_asked(now));
        let ranked: Vec<_> = free.map(|(id, source)| (self.rank(*id, source), *id)).collect();
        let drawn = ranked.into_iter().map(|(rank, id)| ((rank, self.rng.random::<u32>()), id));
        drawn.min().map(|(_, member)| member)
    }

    /// Whom to ask for something else than news, best first: its source, those it prefers, then as it would choose. None that
    /// is dead.
    pub fn candidates(&self) -> Vec<MemberId> {
        let mut others: Vec<_> = self.sources.iter().filter(|(_, source)| !source.dead).collect();
        others.sort_by_key(|(member, source)| {
            let follows = self.following == Some(**member);
            let preferred = self.preferred.iter().position(|other| other == *member);
            (!follows, preferred.unwrap_or(MAX_PREFERRED), self.rank(**member, source))
        });
        others.into_iter().map(|(member, _)| *member).collect()
    }

    /// A busy source named these.
    pub(super) fn suggest(&mut self, instead: Vec<MemberId>) {
        for member in instead {
            if self.suggested.len() == MAX_SUGGESTED {
                self.suggested.pop_front();
            }
            if self.sources.contains_key(&member) && !self.suggested.contains(&member) {
                self.suggested.push_back(member);
            }
        }
    }

    /// `member` is followed no more, if it was.
    pub(super) fn leave(&mut self, member: MemberId) {
        if self.following == Some(member) {
            self.follow_nobody();
        }
    }

    /// Whoever it followed may be gone: what that one sent waits for no proof any more.
    pub(super) fn follow_nobody(&mut self) {
        self.following = None;
        self.drafted = 0;
    }

    /// `member` did not answer in time.
    pub(super) fn give_up_on(&mut self, member: MemberId, now: Moment) {
        if let Some(source) = self.sources.get_mut(&member) {
            source.silent(now);
        }
        self.leave(member);
    }

    /// Whether what waits for its proof is kept though gossip told of more: nobody else that answers can be asked. Those that never did may
    /// be out of reach, and the proof would have to be waited for anew.
    pub(super) fn holds_out(&self, now: Moment) -> bool {
        let waits = self.following.is_some() && self.drafted > self.own;
        let mut others = self.sources.iter().filter(|(member, _)| Some(**member) != self.following);
        waits && !others.any(|(_, source)| source.may_be_asked(now) && source.answers())
    }

    /// There is news elsewhere that `member` has not told of. If the next source does not know of it either, whoever said so is
    /// not relied upon for a while: one member must not keep all others changing their sources, and one that withholds
    /// news must not make liars of those that tell of it.
    pub(super) fn look_elsewhere(&mut self, member: MemberId, now: Moment) {
        if let Some(source) = self.sources.get_mut(&member) {
            source.idle(now);
        }
        if let Some(mut hurry) = self.hurry.take() {
            hurry.left += 1;
            hurry.at = now + HURRY;
            if hurry.left < SOURCES_TRIED {
                self.hurry = Some(hurry);
            } else if let Some(teller) = self.sources.get_mut(&hurry.by) {
                teller.unreliable_until = Some(now + UNRELIABLE);
            }
        }
        self.leave(member);
    }
}
