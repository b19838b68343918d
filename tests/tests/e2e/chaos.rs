//! A few seconds of what `scripts/chaos` does for as long as one likes.

use std::time::Duration;

use mesh_tests::chaos::{JoinRace, Outlive, Storm};
use mesh_tests::needs_namespaces;

use crate::alone;

/// Enough to fill the doors: 16 are decided on at once.
const JOINERS: usize = 24;

/// Races, each with a supervisor killed at another moment.
const RACES: usize = 3;

/// Long enough for an election nobody can win and for a host to come back. A session lasts two minutes; the long run
/// is for those.
const WITHOUT_VOTERS: Duration = Duration::from_secs(20);

/// A dozen faults. More of them are for the long run.
const STORM: Duration = Duration::from_secs(25);

#[test]
fn of_many_that_join_with_a_token_for_one_exactly_one_gets_in_whenever_the_supervisor_dies() {
    let _alone = alone();
    let mut race = JoinRace::prepare(JOINERS, 1).unwrap();
    for _ in 0..RACES {
        race.run().unwrap();
    }
}

#[test]
fn packets_outlive_all_voters_and_a_survivor_comes_back_without_them() {
    needs_namespaces!();
    let _alone = alone();
    Outlive::prepare().unwrap().run(WITHOUT_VOTERS).unwrap();
}

#[test]
fn a_mesh_whose_hosts_die_stand_still_and_are_cut_off_keeps_what_it_acknowledged() {
    needs_namespaces!();
    let _alone = alone();
    Storm::prepare(5, 1).unwrap().run(STORM).unwrap();
}
