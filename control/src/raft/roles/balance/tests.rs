//! Who follows, votes and moves, by where members stand.

use std::time::Duration;

use super::super::{Standing, Step, next_step};
use super::*;
use mesh_model::trust::Wish;

fn ids(ids: &[u64]) -> BTreeSet<MemberId> {
    ids.iter().copied().map(MemberId).collect()
}

fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

/// Of one that has answered for so many seconds and is so many milliseconds away.
fn standing(answered_s: u64, away_ms: u64) -> Standing {
    let (answered, away) = (Duration::from_secs(answered_s), Duration::from_millis(away_ms));
    Standing::of(answered, Some(away), Duration::from_secs(60))
}

/// Member 1 leads, everybody answers, and the voters have been the same for long.
#[derive(Clone, Default)]
struct Scene {
    regions: BTreeMap<MemberId, Region>,
    /// Without a region.
    elsewhere: BTreeSet<MemberId>,
    voters: BTreeSet<MemberId>,
    learners: BTreeSet<MemberId>,
    silent: BTreeSet<MemberId>,
    lost: BTreeSet<MemberId>,
    wishes: BTreeMap<MemberId, Wish>,
    unrested: bool,
    standings: BTreeMap<MemberId, Standing>,
}

impl Scene {
    fn new(regions: &[(&str, &[u64])], voters: &[u64], learners: &[u64]) -> Self {
        let mut scene = Self::default();
        for (name, members) in regions {
            scene.regions.extend(members.iter().map(|id| (MemberId(*id), region(name))));
        }
        Self { voters: ids(voters), learners: ids(learners), ..scene }
    }

    fn step(&self) -> Option<Step> {
        let members = self.regions.keys().chain(&self.elsewhere).copied().collect();
        let fed = self.voters.union(&self.learners).copied();
        let ready = fed.clone().filter(|id| !self.silent.contains(id) && !self.lost.contains(id));
        // All but those that are told of have answered for long.
        let known = |id: &MemberId| self.standings.get(id).copied().unwrap_or(standing(600, 3));
        let standings = fed.map(|id| (id, known(&id))).collect();
        next_step(&Roles {
            leader: MemberId(1),
            members: &members,
            voters: &self.voters,
            changing: false,
            learners: &self.learners,
            ready: &ready.collect(),
            lost: &self.lost,
            absent: &BTreeSet::new(),
            target: self.voters.len().max(3),
            wishes: &self.wishes,
            regions: &self.regions,
            standings: &standings,
            rested: !self.unrested,
        })
    }

    /// All steps to where there is nothing left to do.
    fn into_rest(mut self) -> (Vec<Step>, Self) {
        let mut steps = Vec::new();
        while let Some(step) = self.step() {
            assert!(steps.len() < 20, "{steps:?}");
            match &step {
                Step::AddLearner(id) => assert!(self.learners.insert(*id)),
                Step::Remove(id) => assert!(self.learners.remove(id)),
                Step::HandOver(id) => panic!("the leader {id} never loses its vote"),
                Step::SetVoters(voters) => {
                    self.learners.extend(self.voters.difference(voters).copied());
                    self.learners.retain(|id| !voters.contains(id));
                    self.voters.clone_from(voters);
                }
            }
            steps.push(step);
        }
        (steps, self)
    }
}

fn set(voters: &[u64]) -> Option<Step> {
    Some(Step::SetVoters(ids(voters)))
}

#[test]
fn the_first_votes_go_to_different_regions() {
    let scene = Scene::new(&[("eu", &[1, 2, 3]), ("us", &[4, 5]), ("ap", &[6])], &[1], &[]);
    let (steps, rest) = scene.into_rest();
    assert_eq!(steps[..2], [Step::AddLearner(MemberId(4)), Step::AddLearner(MemberId(6))]);
    assert_eq!(rest.voters, ids(&[1, 4, 6]));
    assert_eq!(rest.learners, ids(&[2, 5]), "and so do the spares");
}

#[test]
fn where_nobody_said_anything_the_oldest_members_vote() {
    let mut scene = Scene::new(&[], &[1], &[2, 3, 4, 5]);
    scene.elsewhere = ids(&[1, 2, 3, 4, 5]);
    assert_eq!(scene.step(), set(&[1, 2, 3]));
}

#[test]
fn a_lost_voters_place_is_taken_where_the_fewest_vote() {
    let regions: [(&str, &[u64]); 3] = [("eu", &[1, 4]), ("us", &[2, 5]), ("ap", &[3])];
    let mut scene = Scene::new(&regions, &[1, 2, 3], &[4, 5]);
    scene.lost = ids(&[2]);
    assert_eq!(scene.step(), set(&[1, 3, 5]));
    scene.silent = ids(&[5]);
    assert_eq!(scene.step(), set(&[1, 3, 4]), "rather twice in one region than not at all");
}

#[test]
fn a_vote_moves_to_a_region_that_has_none() {
    let regions: [(&str, &[u64]); 2] = [("eu", &[1, 2, 3]), ("us", &[4])];
    let scene = Scene::new(&regions, &[1, 2, 3], &[4]);
    assert_eq!(scene.step(), set(&[1, 2, 4]));
    let (steps, _) = scene.into_rest();
    assert_eq!(steps.len(), 1, "and comes to rest: two and one is as even as it gets");
}

#[test]
fn no_region_keeps_a_majority_if_there_are_enough() {
    let regions: [(&str, &[u64]); 3] =
        [("eu", &[1, 2, 3, 4, 5, 6]), ("us", &[7, 8, 9]), ("ap", &[10, 11])];
    let (steps, rest) = Scene::new(&regions, &[1, 2, 3, 4, 5], &[6, 7]).into_rest();
    let moves = steps.iter().filter(|step| matches!(step, Step::SetVoters(_))).count();
    assert_eq!(moves, 3, "{steps:?}");
    assert_eq!(rest.voters, ids(&[1, 2, 7, 8, 10]));
}

#[test]
fn no_vote_moves_unless_all_is_well_and_has_been_for_a_while() {
    let regions: [(&str, &[u64]); 2] = [("eu", &[1, 2, 3]), ("us", &[4])];
    let well = Scene::new(&regions, &[1, 2, 3], &[4]);
    assert_eq!(Scene { unrested: true, ..well.clone() }.step(), None);
    assert_eq!(Scene { silent: ids(&[2]), ..well.clone() }.step(), None, "a voter is silent");
    assert_eq!(Scene { silent: ids(&[4]), ..well.clone() }.step(), None, "4 is not ready");
    let lost = Scene { lost: ids(&[2]), unrested: true, ..well };
    assert_eq!(lost.step(), set(&[1, 3, 4]), "a lost voter does not wait for that");
}

#[test]
fn the_leaders_vote_does_not_move() {
    let regions: [(&str, &[u64]); 2] = [("eu", &[1, 3]), ("us", &[4])];
    let mut scene = Scene::new(&regions, &[1, 2, 3], &[4]);
    scene.elsewhere = ids(&[2]);
    scene.wishes = [(MemberId(3), Wish::Always)].into();
    assert_eq!(scene.step(), None);
    scene.wishes.clear();
    assert_eq!(scene.step(), set(&[1, 2, 4]));
}

#[test]
fn nobody_loses_its_vote_to_one_of_whom_less_is_wanted() {
    let regions: [(&str, &[u64]); 2] = [("eu", &[1, 2, 3]), ("us", &[4])];
    let mut scene = Scene::new(&regions, &[1, 2, 3], &[4]);
    scene.wishes = [1, 2, 3].map(|id| (MemberId(id), Wish::Always)).into();
    assert_eq!(scene.step(), None);
    scene.wishes.insert(MemberId(4), Wish::Always);
    assert_eq!(scene.step(), set(&[1, 2, 4]));
    scene.wishes = [(MemberId(4), Wish::Never)].into();
    assert_eq!(scene.step(), None);
}

#[test]
fn nobody_loses_or_gets_a_vote_for_what_nobody_said() {
    let mut scene = Scene::new(&[("us", &[4])], &[1, 2, 3], &[4]);
    scene.elsewhere = ids(&[1, 2, 3]);
    assert_eq!(scene.step(), None);
    let mut scene = Scene::new(&[("eu", &[1, 2, 3])], &[1, 2, 3], &[4]);
    scene.elsewhere = ids(&[4]);
    assert_eq!(scene.step(), None);
}

#[test]
fn one_follows_from_where_a_vote_would_go() {
    let regions: [(&str, &[u64]); 2] = [("eu", &[1, 2, 3, 4, 5]), ("us", &[6, 7])];
    let mut scene = Scene::new(&regions, &[1, 2, 3], &[4, 5]);
    scene.unrested = true;
    let (steps, rest) = scene.into_rest();
    assert_eq!(steps, [Step::AddLearner(MemberId(6)), Step::Remove(MemberId(5))]);
    assert_eq!(rest.learners, ids(&[4, 6]), "one of the spares stays where it was");
}

#[test]
fn the_steadiest_gets_the_vote_and_of_those_the_nearest() {
    let mut scene = Scene::new(&[("eu", &[1, 2, 3]), ("us", &[4, 5, 6])], &[1, 2, 3], &[4, 5, 6]);
    scene.lost = ids(&[3]);
    assert_eq!(scene.step(), set(&[1, 2, 4]));
    scene.standings = [(4, standing(20, 3)), (5, standing(600, 90)), (6, standing(600, 40))]
        .map(|(id, standing)| (MemberId(id), standing))
        .into();
    assert_eq!(scene.step(), set(&[1, 2, 6]));
    scene.regions.insert(MemberId(4), region("ap"));
    scene.regions.insert(MemberId(2), region("us"));
    assert_eq!(scene.step(), set(&[1, 2, 4]), "where it stands comes first");
}

#[test]
fn distance_takes_no_vote_away_and_pauses_only_from_one_that_has_to_give_its_up() {
    let mut scene = Scene::new(&[("eu", &[1, 2, 3, 4])], &[1, 2, 3], &[4]);
    scene.standings = [(2, standing(5, 3)), (3, standing(600, 400)), (4, standing(9_000, 3))]
        .map(|(id, standing)| (MemberId(id), standing))
        .into();
    assert_eq!(scene.step(), None);
    scene.regions.insert(MemberId(4), region("us"));
    assert_eq!(scene.step(), set(&[1, 3, 4]), "2 comes and goes");
    scene.standings.insert(MemberId(2), standing(600, 800));
    assert_eq!(scene.step(), set(&[1, 2, 4]), "2 is far away, and came before 3");
}

#[test]
fn no_vote_moves_to_one_that_was_silent_a_moment_ago() {
    let mut scene = Scene::new(&[("eu", &[1, 2, 3]), ("us", &[4])], &[1, 2, 3], &[4]);
    scene.standings = [(MemberId(4), standing(50, 3))].into();
    assert_eq!(scene.step(), None);
    scene.lost = ids(&[3]);
    assert_eq!(scene.step(), set(&[1, 2, 4]), "a lost voter does not wait for that");
}
