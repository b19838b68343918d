//! Who votes: what the leader does next so that Raft's membership follows the mesh's.
//!
//! The agreed state says who is a member. Raft's membership says who takes part in agreement: a few vote, and
//! as many follow the leader as may soon have to vote. All others follow by [`sync`](crate::sync), so that what a leader
//! sends does not grow with the mesh. The leader brings the second in line with the first, one step at a
//! time, and any leader at any time continues where another left off, because a step is a function of
//! nothing but the two. A change of voters takes two entries; one that was left half way is finished
//! before anything else.
//!
//! The rule: an odd number of voters, the most that are to be had, up to what the operator's policy says
//! or, without one, [`usual_target`]. An even number
//! needs a larger majority and survives no more failures. Voters stay voters as long as they are
//! members, so that the set does not churn. New ones are taken from the region where the fewest vote (`balance`); of those in one,
//! who has answered for clearly longer without a pause, then who is clearly nearer ([`Standing`]), then the lowest id, because
//! that has been a member longest. Only once they have caught up: a voter that is not there counts against the
//! majority from its first moment.
//!
//! **Candidates.** The leader feeds, besides the voters, one learner for each vote that is to be given away and [`SPARES`] more. One
//! that is silent, or may not vote, has its place taken by another; where there is no other it keeps it. So does one when nobody
//! follows from a region that a vote would move to.
//!
//! **Wishes.** The policy may name members that vote before all others, and members that never do. The first
//! get a vote as soon as they are ready, the second lose theirs as soon as others can do without them. Where
//! as many voters go as come, they do so one at a time. Where the voters become fewer the leader stays before those that are wanted,
//! and those stay only if they answer: one of them may have died a moment ago, and where too few of the rest are left nothing
//! would be agreed any more, not even what made them fewer. Whoever is wanted gets a vote afterwards: a learner is ready only
//! with the entry that took its vote, so it was there after that.
//!
//! **Dead voters.** A voter that has been silent for the settle time is lost, and its vote goes to a learner
//! that is ready; one at a time, so that each exchange is agreed by a set of voters that differs from the
//! last by one. One that is silent for a moment keeps its vote. With nobody to take its place a lost voter
//! stays one: two of three votes that can be had survive no more than two of two, and when it comes back
//! they are three. A lost voter that comes back follows, and votes again when there is room.
//!
//! **Never below a working quorum.** No set of voters is asked for of which a majority does not answer, unless
//! it is the one there is: it could agree on nothing, not even on the set after it. A change that was begun and
//! whose new voters fell silent is finished with those who are there, even if they are about to leave.

mod balance;
mod learners;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::{Region, Wish};

use self::balance::{Seats, with_one_moved};
use self::learners::{missing_candidate, surplus_learner};
pub use self::standing::Standing;
use super::history::reason::{Grounds, Measured};

/// How many voters a small mesh has: three survive the loss of one, and a supervisor's work is small.
pub const LEAST_TARGET: usize = 3;

/// How many voters larger meshes have, from how many members on, and down to how many they keep them.
///
/// Five survive the loss of two, and a mesh of ten has members in more places than three. Seven survive three;
/// of fifty hosts some are always being rebooted. Each voter more makes every commit wait for one more disk, so
/// there it ends. A mesh that grows and shrinks by a few members shall not change its voters with each of them.
const LARGER_TARGETS: [(usize, usize, usize); 2] = [(7, 50, 40), (5, 10, 7)];

/// How many learners there are besides those that are about to vote. A voter that is lost is replaced at once if one
/// of them is ready, and a second may be lost with it: hosts fail in pairs, a rack or a site at a time. Each more would cost
/// the leader a copy of every entry and three heartbeats a second, for a failure that the first two outlast.
pub const SPARES: usize = 2;

/// How many voters a mesh of `members`, of which `voting` vote, shall have unless the policy says otherwise.
pub fn usual_target(members: usize, voting: usize) -> usize {
    let larger = LARGER_TARGETS
        .into_iter()
        .find(|(target, from, keep)| members >= *from || voting >= *target && members >= *keep);
    larger.map_or(LEAST_TARGET, |(target, ..)| target)
}

/// What the leader sees when it considers its next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles<'a> {
    /// The leader itself.
    pub leader: MemberId,
    /// Present members, from the agreed state.
    pub members: &'a BTreeSet<MemberId>,
    /// Raft's voters.
    pub voters: &'a BTreeSet<MemberId>,
    /// Raft has two sets of voters, which together are `voters`: one is being exchanged for another.
    pub changing: bool,
    /// Raft's learners.
    pub learners: &'a BTreeSet<MemberId>,
    /// Those, voters or learners, that hold nearly all of the log and answered lately.
    pub ready: &'a BTreeSet<MemberId>,
    /// Voters and learners that have been silent for the settle time.
    pub lost: &'a BTreeSet<MemberId>,
    /// Members that gossip takes for dead.
    pub absent: &'a BTreeSet<MemberId>,
    /// How many voters there shall be, an odd number.
    pub target: usize,
    /// What the operator wants of single members.
    pub wishes: &'a BTreeMap<MemberId, Wish>,
    /// Where members stand of whom the admins said so.
    pub regions: &'a BTreeMap<MemberId, Region>,
    /// What speaks for those that answer, voters and learners.
    pub standings: &'a BTreeMap<MemberId, Standing>,
    /// The voters have been the same for so long that a vote may move to another region.
    pub rested: bool,
}

impl<'a> Roles<'a> {
    /// What speaks for the next change of voters, with those that have no right to vote and for how long the lost ones have
    /// been silent.
    pub(super) fn grounds(
        &self,
        without_right: &'a BTreeSet<MemberId>,
        silent: &'a BTreeMap<MemberId, Duration>,
    ) -> Grounds<'a> {
        let Self { leader, members, wishes, target, regions, .. } = *self;
        Grounds {
            present: members,
            without_right,
            wishes,
            target,
            leader: Some(leader),
            measured: Some(Measured { silent, regions }),
        }
    }

    fn wishes_always(&self, member: &MemberId) -> bool {
        self.wishes.get(member) == Some(&Wish::Always)
    }

    /// What speaks for `member`. Where a voter is does not: distance takes no vote away.
    fn standing(&self, member: &MemberId) -> Standing {
        let standing = self.standings.get(member).copied().unwrap_or(Standing::UNKNOWN);
        if self.voters.contains(member) { standing.anywhere() } else { standing }
    }

    /// Whether `member` may vote: it is present, and the operator has nothing against it.
    fn may_vote(&self, member: &MemberId) -> bool {
        self.members.contains(member) && self.wishes.get(member) != Some(&Wish::Never)
    }

    /// Whether a majority of `voters` is there.
    fn works(&self, voters: &BTreeSet<MemberId>) -> bool {
        let there = |id: &&MemberId| **id == self.leader || self.ready.contains(id);
        2 * voters.iter().filter(there).count() > voters.len()
    }
}

/// One change of Raft's membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let a new member follow.
    AddLearner(MemberId),
    /// Change who votes. Former voters that are members go on as learners.
    SetVoters(BTreeSet<MemberId>),
    /// Stop sending the log to one that left.
    Remove(MemberId),
    /// Let this voter lead: the leader has no vote any more.
    HandOver(MemberId),
}

/// The next step, if Raft's membership is not yet what it should be.
pub fn next_step(roles: &Roles<'_>) -> Option<Step> {
    if !roles.voters.contains(&roles.leader) {
        let ready = roles.voters.intersection(roles.ready).next();
        return ready.or(roles.voters.first()).copied().map(Step::HandOver);
    }
    let voters = wanted_voters(roles);
    // A change of voters takes two entries. Whoever led may have gone after the first; until the second
    // nothing is agreed without a majority of either set.
    if roles.changing && !chosen(roles, roles.lost).is_empty() {
        let voters = if voters.is_empty() { those_there(roles) } else { voters };
        return Some(Step::SetVoters(voters));
    }
    if let Some(candidate) = missing_candidate(roles) {
        return Some(Step::AddLearner(candidate));
    }
    // With nobody left the mesh is over; the last voter keeps what there is.
    if !voters.is_empty() && voters != *roles.voters {
        return Some(Step::SetVoters(voters));
    }
    let gone = roles.learners.difference(roles.members).next().copied();
    gone.or_else(|| surplus_learner(roles)).map(Step::Remove)
}

/// Who should vote; nobody when that cannot be had now.
fn wanted_voters(roles: &Roles<'_>) -> BTreeSet<MemberId> {
    let voters = chosen(roles, &BTreeSet::new());
    if voters == *roles.voters && !roles.changing {
        return with_one_replaced(roles).or_else(|| with_one_moved(roles)).unwrap_or(voters);
    }
    // A leader that was just elected has heard nobody yet: only who is lost is not waited for.
    let choices = [voters, chosen(roles, roles.lost)];
    choices
        .into_iter()
        .map(|choice| one_exchange(roles, choice))
        .find(|voters| roles.works(voters))
        .unwrap_or_default()
}

/// As many as should vote of those that may, the best first, `without` some.
fn chosen(roles: &Roles<'_>, without: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    // When voters have to go, the leader is the last, because its going costs an election, and those
    // that do not answer are the first: a vote that stays with one of them is a vote lost.
    let may_stay = |id: &&MemberId| roles.may_vote(id) && !without.contains(id);
    let staying = roles.voters.iter().filter(may_stay).copied();
    let (leader, others): (Vec<MemberId>, Vec<_>) = staying.partition(|id| *id == roles.leader);
    let (answering, silent) = others.into_iter().partition(|id| roles.ready.contains(id));
    let mut seats = Seats::default();
    let mut candidates = Vec::new();
    for rank in [leader, answering, silent] {
        candidates.extend(seats.fill(roles, rank));
    }
    let newcomers = newcomers(roles, &mut seats);
    candidates.extend(newcomers.into_iter().filter(|id| !without.contains(id)));
    let number = largest_odd_upto(candidates.len().min(roles.target));
    let shrinks = number < roles.voters.len();
    // Whom the operator wants comes first, unless the voters become fewer (see the module); among equals the order stays.
    candidates.sort_by_key(|id| match shrinks {
        true => *id != roles.leader && !(roles.wishes_always(id) && roles.ready.contains(id)),
        false => !roles.wishes_always(id),
    });
    candidates.into_iter().take(number).collect()
}

/// Voters that answer, whether or not they should vote.
///
/// When everybody else is saying goodbye, those that stay may be out of reach, and nobody can be let in to
/// follow before the change is finished. So it is finished with those who are there; their goodbyes wait until
/// somebody can take over.
fn those_there(roles: &Roles<'_>) -> BTreeSet<MemberId> {
    let there = |id: &&MemberId| **id != roles.leader && roles.ready.contains(id);
    let others: Vec<MemberId> = roles.voters.iter().filter(there).copied().collect();
    let number = largest_odd_upto((1 + others.len()).min(roles.target));
    std::iter::once(roles.leader).chain(others).take(number).collect()
}

/// Learners that may vote, the best first, beside those that have `seats`.
fn newcomers<'a>(roles: &Roles<'a>, seats: &mut Seats<'a>) -> Vec<MemberId> {
    let may = |id: &&MemberId| roles.may_vote(id) && roles.ready.contains(id);
    seats.fill(roles, roles.learners.iter().filter(may).copied().collect())
}

/// The first step from the voters to `wanted`: all of it, or one exchange where several would be due.
fn one_exchange(roles: &Roles<'_>, wanted: BTreeSet<MemberId>) -> BTreeSet<MemberId> {
    let mut leaving: Vec<MemberId> = roles.voters.difference(&wanted).copied().collect();
    if roles.changing || wanted.len() != roles.voters.len() || leaving.len() < 2 {
        return wanted;
    }
    // The leader last, because its going costs an election; those that are not there first.
    leaving.sort_by_key(|id| (*id == roles.leader, roles.ready.contains(id)));
    let mut voters = roles.voters.clone();
    voters.remove(&leaving[0]);
    voters.extend(wanted.difference(roles.voters).next());
    voters
}

/// The voters with one that is lost exchanged for a learner, if there are both and a majority before and after.
fn with_one_replaced(roles: &Roles<'_>) -> Option<BTreeSet<MemberId>> {
    let mut voters = roles.voters.clone();
    let lost = roles.lost.iter().find(|id| **id != roles.leader && voters.contains(id))?;
    let newcomer = newcomers(roles, &mut Seats::held(roles)).into_iter().next()?;
    voters.remove(lost);
    voters.insert(newcomer);
    (roles.works(roles.voters) && roles.works(&voters)).then_some(voters)
}

fn largest_odd_upto(number: usize) -> usize {
    if number % 2 == 1 { number } else { number.saturating_sub(1) }
}

#[cfg(test)]
mod tests;
