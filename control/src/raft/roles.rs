//! Who votes: what the leader does next so that Raft's membership follows the mesh's.
//!
//! The agreed state says who is a member. Raft's membership says who takes part in agreement: every
//! member follows, a few vote. The leader brings the second in line with the first, one step at a
//! time, and any leader at any time continues where another left off, because a step is a function of
//! nothing but the two. A change of voters takes two entries; one that was left half way is finished
//! before anything else.
//!
//! The rule: an odd number of voters, the most that are to be had, up to what the operator's policy says
//! or [`DEFAULT_TARGET`]. An even number
//! needs a larger majority and survives no more failures. Voters stay voters as long as they are
//! members, so that the set does not churn; new ones are taken by lowest id, because those have been
//! members longest, and only once they have caught up: a voter that is not there counts against the
//! majority from its first moment.
//!
//! **Wishes.** The policy may name members that vote before all others, and members that never do. The first
//! get a vote as soon as they are ready, the second lose theirs as soon as others can do without them. Where
//! as many voters go as come, they do so one at a time.
//!
//! **Dead voters.** A voter that has been silent for the settle time is lost, and its vote goes to a learner
//! that is ready; one at a time, so that each exchange is agreed by a set of voters that differs from the
//! last by one. One that is silent for a moment keeps its vote. With nobody to take its place a lost voter
//! stays one: two of three votes that can be had survive no more than two of two, and when it comes back
//! they are three. A lost voter that comes back follows, and votes again when there is room.
//!
//! **Never below a working quorum.** No set of voters is asked for of which a majority does not answer, unless
//! it is the one there is: it could agree on nothing, not even on the set after it.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::MemberId;
use mesh_model::trust::Wish;

/// How many voters there shall be unless the policy says otherwise: three survive the loss of one, and a
/// supervisor's work is small.
pub const DEFAULT_TARGET: usize = 3;

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
    /// Voters that have been silent for the settle time.
    pub lost: &'a BTreeSet<MemberId>,
    /// How many voters there shall be, an odd number.
    pub target: usize,
    /// What the operator wants of single members.
    pub wishes: &'a BTreeMap<MemberId, Wish>,
}

impl Roles<'_> {
    fn wishes_always(&self, member: &MemberId) -> bool {
        self.wishes.get(member) == Some(&Wish::Always)
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
        return (!voters.is_empty()).then_some(Step::SetVoters(voters));
    }
    let newcomer =
        roles.members.iter().find(|id| !roles.voters.contains(id) && !roles.learners.contains(id));
    if let Some(newcomer) = newcomer {
        return Some(Step::AddLearner(*newcomer));
    }
    // With nobody left the mesh is over; the last voter keeps what there is.
    if !voters.is_empty() && voters != *roles.voters {
        return Some(Step::SetVoters(voters));
    }
    roles.learners.difference(roles.members).next().map(|gone| Step::Remove(*gone))
}

/// Who should vote; nobody when that cannot be had now.
fn wanted_voters(roles: &Roles<'_>) -> BTreeSet<MemberId> {
    let voters = chosen(roles, &BTreeSet::new());
    if voters == *roles.voters && !roles.changing {
        return with_one_replaced(roles).unwrap_or(voters);
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
    let staying: Vec<MemberId> =
        roles.voters.iter().filter(|id| roles.may_vote(id)).copied().collect();
    let leads = |id: &MemberId| *id == roles.leader;
    let is_ready = |id: &MemberId| roles.ready.contains(id);
    let leader = staying.iter().filter(|id| leads(id));
    let answering = staying.iter().filter(|id| !leads(id) && is_ready(id));
    let silent = staying.iter().filter(|id| !leads(id) && !is_ready(id));
    let candidates = leader.chain(answering).chain(silent).copied().chain(newcomers(roles));
    let mut candidates: Vec<MemberId> = candidates.filter(|id| !without.contains(id)).collect();
    // Whom the operator wants comes first; among equals the order stays.
    candidates.sort_by_key(|id| !roles.wishes_always(id));
    let number = largest_odd_upto(candidates.len().min(roles.target));
    candidates.into_iter().take(number).collect()
}

/// Learners that may vote, the best first.
fn newcomers(roles: &Roles<'_>) -> impl Iterator<Item = MemberId> {
    let may = |id: &MemberId| roles.may_vote(id) && roles.ready.contains(id);
    let mut newcomers: Vec<MemberId> =
        roles.learners.iter().copied().filter(|id| may(id)).collect();
    newcomers.sort_by_key(|id| !roles.wishes_always(id));
    newcomers.into_iter()
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
    let newcomer = newcomers(roles).next()?;
    voters.remove(lost);
    voters.insert(newcomer);
    (roles.works(roles.voters) && roles.works(&voters)).then_some(voters)
}

fn largest_odd_upto(number: usize) -> usize {
    if number % 2 == 1 { number } else { number.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> BTreeSet<MemberId> {
        ids.iter().copied().map(MemberId).collect()
    }

    /// The next step with member 1, or the lowest voter, leading and every learner ready.
    fn step(members: &[u64], voters: &[u64], learners: &[u64]) -> Option<Step> {
        step_when(voters[0], members, voters, learners, learners)
    }

    fn step_when(
        leader: u64,
        members: &[u64],
        voters: &[u64],
        learners: &[u64],
        ready: &[u64],
    ) -> Option<Step> {
        next_step(&Roles {
            leader: MemberId(leader),
            members: &ids(members),
            voters: &ids(voters),
            changing: false,
            learners: &ids(learners),
            ready: &ids(ready),
            lost: &ids(&[]),
            target: DEFAULT_TARGET,
            wishes: &BTreeMap::new(),
        })
    }

    /// The next step with member 1 leading five members, 1, 4 and 6 voting, and those of `there` that answer;
    /// the voters among the others have been silent for long.
    fn step_among(there: &[u64], learners: &[u64]) -> Option<Step> {
        let voters = ids(&[1, 4, 6]);
        let lost: BTreeSet<MemberId> = voters.difference(&ids(there)).copied().collect();
        next_step(&Roles {
            leader: MemberId(1),
            members: &voters.union(&ids(learners)).copied().collect(),
            voters: &voters,
            changing: false,
            learners: &ids(learners),
            ready: &ids(there),
            lost: &lost,
            target: DEFAULT_TARGET,
            wishes: &BTreeMap::new(),
        })
    }

    fn set(voters: &[u64]) -> Option<Step> {
        Some(Step::SetVoters(ids(voters)))
    }

    #[test]
    fn newcomers_follow_first_and_vote_once_there_are_three() {
        assert_eq!(step(&[1], &[1], &[]), None);
        assert_eq!(step(&[1, 4], &[1], &[]), Some(Step::AddLearner(MemberId(4))));
        assert_eq!(step(&[1, 4], &[1], &[4]), None, "two voters survive no more than one");
        assert_eq!(step(&[1, 4, 6], &[1], &[4]), Some(Step::AddLearner(MemberId(6))));
        assert_eq!(step(&[1, 4, 6], &[1], &[4, 6]), set(&[1, 4, 6]));
        assert_eq!(step(&[1, 4, 6, 8], &[1, 4, 6], &[8]), None, "three are enough");
    }

    #[test]
    fn a_change_of_voters_that_was_begun_is_finished_first() {
        let half_done = |members: &[u64], learners: &[u64]| {
            next_step(&Roles {
                leader: MemberId(1),
                members: &ids(members),
                voters: &ids(&[1, 4, 6]),
                changing: true,
                learners: &ids(learners),
                ready: &ids(&[4, 6]),
                lost: &ids(&[]),
                target: DEFAULT_TARGET,
                wishes: &BTreeMap::new(),
            })
        };
        assert_eq!(half_done(&[1, 4, 6], &[]), set(&[1, 4, 6]), "those who vote already");
        assert_eq!(half_done(&[1, 4, 6, 8], &[]), set(&[1, 4, 6]), "before anybody is added");
        assert_eq!(half_done(&[1, 4, 6], &[8]), set(&[1, 4, 6]), "or removed");
        assert_eq!(half_done(&[1, 4], &[]), set(&[1]));
    }

    #[test]
    fn a_learner_that_is_behind_gets_no_vote() {
        assert_eq!(step_when(1, &[1, 4, 6], &[1], &[4, 6], &[4]), None);
        assert_eq!(step_when(1, &[1, 4, 6, 8], &[1], &[4, 6, 8], &[4, 8]), set(&[1, 4, 8]));
    }

    #[test]
    fn a_voter_that_leaves_is_replaced_and_forgotten() {
        assert_eq!(step(&[1, 6, 8], &[1, 4, 6], &[8]), set(&[1, 6, 8]));
        assert_eq!(step(&[1, 6], &[1, 4, 6], &[]), set(&[1]));
        assert_eq!(step(&[1, 6, 8], &[1, 6, 8], &[4]), Some(Step::Remove(MemberId(4))));
    }

    #[test]
    fn the_leader_keeps_its_vote_when_others_must_give_theirs_up() {
        assert_eq!(step_when(6, &[4, 6], &[1, 4, 6], &[], &[]), set(&[6]));
    }

    #[test]
    fn a_voter_that_answers_is_kept_before_one_that_does_not() {
        assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[6]), set(&[6]));
        assert_eq!(
            step_when(1, &[1, 4, 6, 8], &[1, 4, 6], &[8], &[6, 8]),
            None,
            "but not replaced"
        );
    }

    #[test]
    fn lost_voters_are_replaced_one_at_a_time_by_learners_that_are_there() {
        assert_eq!(step_among(&[1, 4, 8], &[8, 9]), set(&[1, 4, 8]));
        assert_eq!(step_among(&[1, 4, 9], &[8, 9]), set(&[1, 4, 9]));
        assert_eq!(step_among(&[1, 4, 6, 8], &[8, 9]), None, "nobody is lost");
        assert_eq!(step_among(&[1, 4], &[8, 9]), None, "nobody could take over");
        assert_eq!(step_among(&[1, 4], &[]), None, "nobody is left, and two of three are enough");
        assert_eq!(step_among(&[1, 8, 9], &[8, 9]), None, "one of three agrees on nothing");
    }

    #[test]
    fn a_vote_is_not_left_to_one_that_is_lost_while_another_answers() {
        // The leader goes, and the other voter does not answer; the learner does.
        let leaving = |lost: &[u64]| {
            next_step(&Roles {
                leader: MemberId(1),
                members: &ids(&[4, 8]),
                voters: &ids(&[1, 4, 6]),
                changing: false,
                learners: &ids(&[8]),
                ready: &ids(&[8]),
                lost: &ids(lost),
                target: DEFAULT_TARGET,
                wishes: &BTreeMap::new(),
            })
        };
        assert_eq!(leaving(&[]), None, "the other may still answer");
        assert_eq!(leaving(&[4]), set(&[8]));
    }

    #[test]
    fn a_leader_that_leaves_hands_over_to_the_others() {
        assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[4]), set(&[4]));
        assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[]), None, "neither is there");
        assert_eq!(step_when(1, &[4], &[1], &[4], &[4]), set(&[4]));
        assert_eq!(step_when(1, &[4], &[1], &[4], &[]), None, "nobody could take over yet");
        assert_eq!(
            step_when(1, &[4, 6, 8], &[4, 6, 8], &[1], &[6]),
            Some(Step::HandOver(MemberId(6)))
        );
        assert_eq!(step_when(1, &[4], &[4], &[1], &[]), Some(Step::HandOver(MemberId(4))));
    }

    #[test]
    fn the_vote_is_not_left_to_those_who_do_not_answer() {
        assert_eq!(step_when(1, &[4], &[1, 4, 6], &[], &[6]), None, "6 leaves too");
        assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[]), None);
        assert_eq!(step_when(1, &[4, 6, 8], &[1, 4, 6], &[8], &[8]), None);
        assert_eq!(step_when(1, &[4, 6, 8], &[1, 4, 6], &[8], &[6, 8]), set(&[4, 6, 8]));
    }

    #[test]
    fn a_present_voter_is_not_replaced_by_an_older_member() {
        assert_eq!(step(&[1, 4, 6, 8], &[4, 6, 8], &[1]), None);
    }

    fn pick(bits: u32, shift: u32) -> BTreeSet<MemberId> {
        let picked = (0..4).filter(|i| bits >> (shift + i) & 1 == 1);
        picked.map(|i| MemberId(u64::from(i) + 1)).collect()
    }

    #[test]
    fn steps_lead_to_rest_from_anywhere() {
        for bits in 0u32..1 << 17 {
            comes_to_rest(bits, DEFAULT_TARGET, &BTreeMap::new());
        }
    }

    #[test]
    fn steps_lead_to_rest_whatever_is_wished() {
        let (always, never) = (Wish::Always, Wish::Never);
        for wishes in [
            vec![(2, never)],
            vec![(4, always)],
            vec![(1, never), (4, always)],
            vec![(1, never), (2, never), (3, never), (4, never)],
            vec![(3, always), (4, always)],
        ] {
            let wishes = wishes.into_iter().map(|(id, wish)| (MemberId(id), wish)).collect();
            // Every eleventh: 11 has no factor in common with the powers of two the bits mean.
            for bits in (0u32..1 << 17).step_by(11) {
                comes_to_rest(bits, 1, &wishes);
                comes_to_rest(bits, 3, &wishes);
            }
        }
    }

    /// Four members, any of which may be present, vote, follow or be dead.
    fn comes_to_rest(bits: u32, target: usize, wishes: &BTreeMap<MemberId, Wish>) {
        let (members, mut voters, dead) = (pick(bits, 0), pick(bits, 4), pick(bits, 8));
        let mut learners: BTreeSet<_> = pick(bits, 12).difference(&voters).copied().collect();
        let mut changing = bits >> 16 == 1;
        let all: BTreeSet<MemberId> = voters.union(&learners).copied().collect();
        let mut ready: BTreeSet<MemberId> = all.difference(&dead).copied().collect();
        // Whoever leads has a majority.
        let there = voters.intersection(&ready).count();
        let Some(&(mut leader)) = voters.intersection(&ready).next() else { return };
        if 2 * there <= voters.len() {
            return;
        }
        for round in 0.. {
            assert!(round < 20, "{members:?} never comes to rest");
            let lost = voters.intersection(&dead).copied().collect();
            let roles = Roles {
                leader,
                members: &members,
                voters: &voters,
                changing,
                learners: &learners,
                ready: &ready,
                lost: &lost,
                target,
                wishes,
            };
            match next_step(&roles) {
                None => break,
                Some(Step::AddLearner(id)) => {
                    assert!(learners.insert(id));
                    ready.extend((!dead.contains(&id)).then_some(id));
                }
                Some(Step::Remove(id)) => assert!(learners.remove(&id)),
                Some(Step::HandOver(id)) => {
                    assert!(voters.contains(&id) && !dead.contains(&id) && id != leader);
                    leader = id;
                }
                Some(Step::SetVoters(next)) => {
                    assert!(roles.works(&next), "{roles:?}: {next:?}");
                    let exchanged = next.len() == voters.len();
                    assert!(changing || !exchanged || voters.difference(&next).count() == 1);
                    learners.extend(voters.difference(&next));
                    learners = learners.difference(&next).copied().collect();
                    voters = next;
                    changing = false;
                }
            }
        }
        let may = |id: &&MemberId| members.contains(id) && wishes.get(id) != Some(&Wish::Never);
        let possible = members.iter().filter(may).count();
        if members.iter().filter(may).any(|id| !dead.contains(id)) {
            assert!(!changing, "{members:?} never have one set of voters again");
            assert!(voters.iter().all(|id| may(&id)) && learners.is_subset(&members));
            assert!(voters.len() % 2 == 1 && voters.len() <= target);
            let enough = voters.len() == largest_odd_upto(possible.min(target));
            assert!(enough || voters.is_disjoint(&dead), "too few: {members:?}, {voters:?}");
            let idle = learners.difference(&dead).filter(may).count();
            assert!(voters.is_disjoint(&dead) || idle == 0, "{members:?}: {voters:?}, {dead:?}");
            let wished = |id: &&MemberId| wishes.get(id) == Some(&Wish::Always);
            let mut waiting = learners.difference(&dead).filter(may).filter(wished);
            assert!(waiting.next().is_none() || voters.iter().all(|id| wished(&id)));
        }
    }
}
