//! Steps, from situations written down and from all there are among four members.

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
        absent: &BTreeSet::new(),
        target: LEAST_TARGET,
        wishes: &BTreeMap::new(),
        regions: &BTreeMap::new(),
        standings: &BTreeMap::new(),
        rested: true,
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
        absent: &BTreeSet::new(),
        target: LEAST_TARGET,
        wishes: &BTreeMap::new(),
        regions: &BTreeMap::new(),
        standings: &BTreeMap::new(),
        rested: true,
    })
}

/// One that has answered for long.
fn long_there() -> Standing {
    let minute = std::time::Duration::from_secs(60);
    Standing::of(10 * minute, None, minute)
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
            absent: &BTreeSet::new(),
            target: LEAST_TARGET,
            wishes: &BTreeMap::new(),
            regions: &BTreeMap::new(),
            standings: &BTreeMap::new(),
            rested: true,
        })
    };
    assert_eq!(half_done(&[1, 4, 6], &[]), set(&[1, 4, 6]), "those who vote already");
    assert_eq!(half_done(&[1, 4, 6, 8], &[]), set(&[1, 4, 6]), "before anybody is added");
    assert_eq!(half_done(&[1, 4, 6], &[8]), set(&[1, 4, 6]), "or removed");
    assert_eq!(half_done(&[1, 4], &[]), set(&[1]));
}

#[test]
fn a_change_that_strands_on_those_who_leave_is_finished_with_them() {
    // All that voted are leaving; of those that stay one is out of reach, and the others do not follow yet.
    let half_done = |ready: &[u64]| {
        next_step(&Roles {
            leader: MemberId(1),
            members: &ids(&[2, 8, 9]),
            voters: &ids(&[1, 2, 4, 6]),
            changing: true,
            learners: &ids(&[]),
            ready: &ids(ready),
            lost: &ids(&[]),
            absent: &BTreeSet::new(),
            target: LEAST_TARGET,
            wishes: &BTreeMap::new(),
            regions: &BTreeMap::new(),
            standings: &BTreeMap::new(),
            rested: true,
        })
    };
    assert_eq!(half_done(&[2, 4, 6]), set(&[2]), "the one that stays answers");
    assert_eq!(half_done(&[4, 6]), set(&[1, 4, 6]));
    assert_eq!(half_done(&[4]), set(&[1]));
    assert_eq!(
        step_when(1, &[2, 8, 9], &[1, 4, 6], &[2], &[4, 6]),
        Some(Step::AddLearner(MemberId(8)))
    );
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
fn where_voters_become_fewer_the_leader_stays_before_those_that_are_wanted() {
    let step = |members: &[u64], voters: &[u64], ready: &[u64], wanted: u64, target: usize| {
        let (members, voters) = (ids(members), ids(voters));
        next_step(&Roles {
            leader: MemberId(1),
            members: &members,
            voters: &voters,
            changing: false,
            learners: &members.difference(&voters).copied().collect(),
            ready: &ids(ready),
            lost: &ids(&[]),
            absent: &BTreeSet::new(),
            target,
            wishes: &BTreeMap::from([(MemberId(wanted), Wish::Always)]),
            regions: &BTreeMap::new(),
            standings: &BTreeMap::new(),
            rested: true,
        })
    };
    let (three, one) = (LEAST_TARGET, 1);
    assert_eq!(step(&[1, 4], &[1, 4, 6], &[4], 4, three), set(&[1]), "6 goes, 4 just answered");
    assert_eq!(step(&[1, 4], &[1, 4, 6], &[6], 4, three), set(&[1]), "or did not");
    assert_eq!(step(&[1, 4, 6], &[1, 4, 6], &[4, 6], 4, one), set(&[1]), "fewer shall vote");
    assert_eq!(step(&[1, 4], &[1], &[4], 4, three), set(&[4]), "it gets the vote afterwards");
    assert_eq!(step(&[4, 8], &[1, 4, 6], &[8], 8, three), set(&[8]), "the leader goes too");
    assert_eq!(step(&[4, 8], &[1, 4, 6], &[8], 4, three), None, "the one that is wanted is away");
    assert_eq!(
        step(&[1, 4, 6, 8], &[1, 4, 6, 8, 9], &[4, 8, 9], 6, 5),
        set(&[1, 4, 8]),
        "and makes room for one that answers"
    );
}

#[test]
fn a_voter_that_answers_is_kept_before_one_that_does_not() {
    assert_eq!(step_when(1, &[4, 6], &[1, 4, 6], &[], &[6]), set(&[6]));
    assert_eq!(step_when(1, &[1, 4, 6, 8], &[1, 4, 6], &[8], &[6, 8]), None, "but not replaced");
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
            absent: &BTreeSet::new(),
            target: LEAST_TARGET,
            wishes: &BTreeMap::new(),
            regions: &BTreeMap::new(),
            standings: &BTreeMap::new(),
            rested: true,
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
    assert_eq!(step_when(1, &[4, 6, 8], &[4, 6, 8], &[1], &[6]), Some(Step::HandOver(MemberId(6))));
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
        comes_to_rest(bits, LEAST_TARGET, &BTreeMap::new(), &BTreeMap::new());
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
            comes_to_rest(bits, 1, &wishes, &BTreeMap::new());
            comes_to_rest(bits, 3, &wishes, &BTreeMap::new());
        }
    }
}

#[test]
fn steps_lead_to_rest_wherever_members_stand() {
    for places in ["aaab", "aabb", "aabc", "abaa", "-aab", "a-ab", "aa--"] {
        let region = |place: char| place.is_alphabetic().then(|| place.to_string().parse().ok())?;
        let regions = (1..).map(MemberId).zip(places.chars());
        let regions = regions.filter_map(|(id, place)| Some((id, region(place)?))).collect();
        for wishes in [vec![], vec![(1, Wish::Always)], vec![(4, Wish::Never)]] {
            let wishes = wishes.into_iter().map(|(id, wish)| (MemberId(id), wish)).collect();
            for bits in (0u32..1 << 17).step_by(11) {
                comes_to_rest(bits, LEAST_TARGET, &wishes, &regions);
            }
        }
    }
}

/// Four members, any of which may be present, vote, follow or be dead.
fn comes_to_rest(
    bits: u32,
    target: usize,
    wishes: &BTreeMap<MemberId, Wish>,
    regions: &BTreeMap<MemberId, Region>,
) {
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
        let standings = ready.iter().map(|id| (*id, long_there())).collect();
        let roles = Roles {
            leader,
            members: &members,
            voters: &voters,
            changing,
            learners: &learners,
            ready: &ready,
            lost: &lost,
            absent: &BTreeSet::new(),
            target,
            wishes,
            regions,
            standings: &standings,
            rested: true,
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

#[test]
fn a_larger_mesh_has_more_voters_and_does_not_change_them_with_every_member() {
    for (members, target) in [(1, 3), (9, 3), (10, 5), (49, 5), (50, 7), (1000, 7)] {
        assert_eq!(usual_target(members, 3), target, "{members} members");
    }
    for (members, voting, target) in [(7, 5, 5), (6, 5, 3), (40, 7, 7), (39, 7, 5), (6, 7, 3)] {
        assert_eq!(usual_target(members, voting), target, "{members} members, {voting} voting");
    }
}
