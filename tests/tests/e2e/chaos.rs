//! A few seconds of what `scripts/chaos` does for as long as one likes.

use std::time::Duration;

use mesh_tests::chaos::{JoinRace, Outlive, Storm, Weathered};
use mesh_tests::needs_namespaces;

use crate::alone;

/// Enough to fill the doors: 16 are decided on at once.
const JOINERS: usize = 24;

/// Races, each with a supervisor killed at another moment.
const RACES: usize = 3;

/// Long enough for an election nobody can win and for a host to come back. A session lasts two minutes; the long run
/// is for those.
const WITHOUT_VOTERS: Duration = Duration::from_secs(20);

/// Ten a second meanwhile, both ways and over both families.
const ECHOES: u64 = 4 * 10 * WITHOUT_VOTERS.as_secs();

/// More than a dozen faults. More of them are for the long run.
const STORM: Duration = Duration::from_secs(25);

/// Its faults are of all kinds, and no kind comes once only: a slow machine sees each of them, too.
const SEED: u64 = 11;

#[test]
fn of_many_that_join_with_a_token_for_one_exactly_one_gets_in_whenever_the_supervisor_dies() {
    let _alone = alone();
    let mut race = JoinRace::prepare(JOINERS, 1).unwrap();
    for _ in 0..RACES {
        let seen = race.run().unwrap();
        assert!(seen.told_before < JOINERS, "{seen:?}");
    }
}

#[test]
fn packets_outlive_all_voters_and_a_survivor_comes_back_without_them() {
    needs_namespaces!();
    let _alone = alone();
    let seen = Outlive::prepare().unwrap().run(WITHOUT_VOTERS).unwrap();
    assert_eq!(seen.echoes, ECHOES, "{seen:?}");
}

#[test]
fn a_mesh_whose_hosts_die_stand_still_and_are_cut_off_keeps_what_it_acknowledged() {
    needs_namespaces!();
    let _alone = alone();
    let seen = Storm::prepare(5, SEED).unwrap().run(STORM).unwrap();
    let Weathered { kills, stops, cuts, losses, .. } = seen;
    assert!([kills, stops, cuts, losses].iter().all(|count| *count > 0), "{seen:?}");
}
