//! Who votes: what the leader does next so that Raft's membership follows the mesh's.
//!
//! The agreed state says who is a member. Raft's membership says who takes part in agreement: every
//! member follows, a few vote. The leader brings the second in line with the first, one step at a
//! time, and any leader at any time continues where another left off, because a step is a function of
//! nothing but the two. A change of voters takes two entries; one that was left half way is finished
//! before anything else.
//!
//! The rule: an odd number of voters, the most that are to be had, up to [`MAX_VOTERS`]. An even number
//! needs a larger majority and survives no more failures. Voters stay voters as long as they are
//! members, so that the set does not churn; new ones are taken by lowest id, because those have been
//! members longest, and only once they have caught up: a voter that is not there counts against the
//! majority from its first moment. For the same reason no change is begun that most of the new voters
//! could not agree to: it would bind the old ones too, and nobody could lead until those come back.

use std::collections::BTreeSet;

use mesh_model::MemberId;

/// The most voters: three survive the loss of one, and a supervisor's work is small.
pub const MAX_VOTERS: usize = 3;

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
    if roles.changing && !voters.is_empty() {
        return Some(Step::SetVoters(voters));
    }
    let newcomer =
        roles.members.iter().find(|id| !roles.voters.contains(id) && !roles.learners.contains(id));
    if let Some(newcomer) = newcomer {
        return Some(Step::AddLearner(*newcomer));
    }
    // With nobody left the mesh is over; the last voter keeps what there is.
    if voters != *roles.voters && can_agree(&voters, roles) {
        return Some(Step::SetVoters(voters));
    }
    roles.learners.difference(roles.members).next().map(|gone| Step::Remove(*gone))
}

/// Who should vote.
fn wanted_voters(roles: &Roles<'_>) -> BTreeSet<MemberId> {
    // When voters have to go, the leader is the last, because its going costs an election, and those
    // that do not answer are the first: a vote that stays with one of them is a vote lost.
    let staying: BTreeSet<MemberId> = roles.voters.intersection(roles.members).copied().collect();
    let leads = |id: &MemberId| *id == roles.leader;
    let is_ready = |id: &MemberId| roles.ready.contains(id);
    let leader = staying.iter().filter(|id| leads(id));
    let answering = staying.iter().filter(|id| !leads(id) && is_ready(id));
    let silent = staying.iter().filter(|id| !leads(id) && !is_ready(id));
    let newcomers = roles.learners.iter().filter(|id| roles.members.contains(id) && is_ready(id));
    let candidates: Vec<MemberId> =
        leader.chain(answering).chain(silent).chain(newcomers).copied().collect();
    let number = largest_odd_upto(candidates.len().min(MAX_VOTERS));
    candidates.into_iter().take(number).collect()
}

/// Whether a majority of `voters` is there.
fn can_agree(voters: &BTreeSet<MemberId>, roles: &Roles<'_>) -> bool {
    let there = |id: &&MemberId| **id == roles.leader || roles.ready.contains(id);
    voters.iter().filter(there).count() * 2 > voters.len()
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
                ready: &ids(learners),
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
    fn a_leader_that_leaves_hands_over_to_the_others() {
        assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[4, 6]), set(&[4]));
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

    #[test]
    fn steps_lead_to_rest_from_anywhere() {
        for bits in 0u32..8192 {
            let pick = |shift: u32| -> BTreeSet<MemberId> {
                (0..4)
                    .filter(|i| bits >> (shift + i) & 1 == 1)
                    .map(|i| MemberId(u64::from(i) + 1))
                    .collect()
            };
            let (members, mut voters, mut learners) = (pick(0), pick(4), pick(8));
            learners = learners.difference(&voters).copied().collect();
            let mut changing = bits >> 12 == 1;
            let Some(&(mut leader)) = voters.first() else { continue };
            for round in 0.. {
                assert!(round < 20, "{members:?} never comes to rest");
                let ready = &learners | &voters;
                let roles = Roles {
                    leader,
                    members: &members,
                    voters: &voters,
                    changing,
                    learners: &learners,
                    ready: &ready,
                };
                match next_step(&roles) {
                    None => break,
                    Some(Step::AddLearner(id)) => assert!(learners.insert(id)),
                    Some(Step::Remove(id)) => assert!(learners.remove(&id)),
                    Some(Step::HandOver(id)) => {
                        assert!(voters.contains(&id) && id != leader);
                        leader = id;
                    }
                    Some(Step::SetVoters(next)) => {
                        learners.extend(voters.difference(&next));
                        learners = learners.difference(&next).copied().collect();
                        voters = next;
                        changing = false;
                    }
                }
            }
            if !members.is_empty() {
                assert!(!changing, "{members:?} never have one set of voters again");
                assert!(voters.is_subset(&members) && learners.is_subset(&members));
                assert_eq!(voters.len(), largest_odd_upto(members.len().min(MAX_VOTERS)));
            }
        }
    }
}
