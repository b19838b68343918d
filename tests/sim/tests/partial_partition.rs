//! Three voters, of which one link or one direction fails: when there must be an election, and when not.

use std::time::Duration;

use mesh_sim::cuts::Shape;
use mesh_sim::faults::Kind;
use mesh_sim::profile::{CALM, Profile};
use mesh_sim::run::{Report, run};
use mesh_sim::world::Options;

/// Seeds each scenario is run with: other delays, other moments between two heartbeats.
const SEEDS: u64 = 5;

/// When all three have long had their votes.
const CUT: Duration = Duration::from_secs(20);

/// Fifteen elections later.
const HEAL: Duration = Duration::from_secs(50);

/// Nothing breaks in `script` but what it says, and nobody leaves a mesh of three.
const fn scenario(script: &'static [(Duration, Kind)]) -> Profile {
    Profile {
        name: "scenario",
        hosts_min: 3,
        hosts_max: 3,
        stormy: Duration::from_secs(60),
        faults: &[],
        script,
        ..CALM
    }
}

fn reports(profile: Profile) -> impl Iterator<Item = Report> {
    let options =
        move |seed| Options { seed, profile, max_events: None, keep_trace: false, plant: None };
    (0..SEEDS).map(move |seed| run(options(seed), None))
}

/// How many leaders there were, at least and at most.
fn terms(script: &'static [(Duration, Kind)]) -> (u64, u64) {
    let terms: Vec<u64> = reports(scenario(script))
        .map(|report| {
            assert_eq!(report.violation, None);
            assert_eq!(report.stats.faults, script.len() as u64);
            report.stats.terms
        })
        .collect();
    (terms.iter().copied().min().unwrap_or(0), terms.iter().copied().max().unwrap_or(0))
}

/// One voter loses the leader and not the other voter. It asks for votes in vain, and without a term of its
/// own: the leader that works is not deposed, not even when they meet again.
#[test]
fn a_voter_that_only_misses_the_leader_deposes_nobody() {
    let script = &[(CUT, Kind::Cut(Shape::LastLink)), (HEAL, Kind::Heal)];
    assert_eq!(terms(script), (1, 1));
}

/// The leader can be heard and hears nobody: nothing is agreed with it any more, and its heartbeats must not
/// keep the others from electing one of them (what openraft issue 2080 is about).
#[test]
fn a_leader_that_hears_nobody_is_replaced_though_it_is_heard() {
    let script = &[(CUT, Kind::Cut(Shape::DeafLeader)), (HEAL, Kind::Heal)];
    assert_eq!(terms(script), (2, 2));
}

/// The leader hears everybody and is not heard.
#[test]
fn a_leader_that_nobody_hears_is_replaced() {
    let script = &[(CUT, Kind::Cut(Shape::MuteLeader)), (HEAL, Kind::Heal)];
    assert_eq!(terms(script), (2, 2));
}
