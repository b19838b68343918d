//! Whole worlds: some seeds hold, equal seeds tell equal stories, and planted bugs do not get through.

use mesh_sim::plant::Plant;
use mesh_sim::profile::{BYZANTINE, CALM, CHURN, CORE, DISK, Profile, RECOVERY};
use mesh_sim::run::{Report, run};
use mesh_sim::world::Options;

/// Seeds tried until a planted bug shows. Each shows in most seeds; 30 without it are no accident.
const SEEDS_FOR_A_BUG: u64 = 30;

fn live(seed: u64, profile: Profile, plant: Option<Plant>) -> Report {
    run(Options { seed, profile, max_events: None, keep_trace: false, plant }, None)
}

/// Whether the invariant `wanted` notices `plant`.
fn noticed(plant: Plant, profile: Profile, wanted: &str) -> bool {
    noticed_in(plant, profile, wanted, "")
}

/// Whether it does, with `words` in what it says.
fn noticed_in(plant: Plant, profile: Profile, wanted: &str, words: &str) -> bool {
    let mut found =
        (0..SEEDS_FOR_A_BUG).filter_map(|seed| live(seed, profile, Some(plant)).violation);
    found.any(|violation| violation.invariant == wanted && violation.message.contains(words))
}

#[test]
fn a_calm_mesh_loses_nothing() {
    let report = live(1, CALM, None);
    assert_eq!(report.violation, None);
    assert_eq!(report.stats.sent, report.stats.delivered);
    assert!(report.stats.commands > 0 && report.stats.sent > 0);
}

#[test]
fn a_mesh_under_faults_holds_and_tells_the_same_story_twice() {
    let (first, again) = (live(1, CORE, None), live(1, CORE, None));
    assert_eq!(first.violation, None);
    assert!(first.stats.faults > 0 && first.stats.crashes > 0 && first.stats.forged > 0);
    assert_eq!(first.stats, again.stats);
    assert_eq!(first.digest, again.digest);
    let other = live(2, CORE, None);
    assert_ne!(first.digest, other.digest);
    assert!(first.stats.intruders + other.stats.intruders > 0);
}

/// A voter that lies and a member that forges are there, heard and found out, and change nothing.
#[test]
fn a_mesh_with_a_traitor_and_a_forger_holds() {
    let report = live(3, BYZANTINE, None);
    assert_eq!(report.violation, None);
    let stats = report.stats;
    assert!(stats.lies > 10 && stats.alarms == 1 && stats.forgeries > 10, "{stats:?}");
}

#[test]
fn a_mesh_that_lost_its_majority_goes_on_from_one_host() {
    let report = live(0, RECOVERY, None);
    assert_eq!(report.violation, None);
    assert_eq!(report.stats.recoveries, 1);
}

#[test]
fn a_disk_that_answers_before_it_has_synced_is_noticed() {
    assert!(noticed(Plant::AnswerBeforeSync, CORE, "no_acknowledged_command_lost"));
}

#[test]
fn a_host_that_does_not_hear_its_disk_fail_is_noticed() {
    assert!(noticed(Plant::DeafToDisk, DISK, "nothing_after_a_failed_sync"));
}

#[test]
fn a_host_that_goes_on_at_home_when_its_disk_has_failed_is_noticed() {
    for asker in ["what a program of its own asked", "what a newcomer asked"] {
        assert!(noticed_in(Plant::DeafAtHome, DISK, "nothing_after_a_failed_sync", asker));
    }
}

#[test]
fn a_refusal_that_is_said_again_without_asking_is_noticed() {
    assert!(noticed(Plant::StaleRefusal, CORE, "linearisable"));
}

#[test]
fn a_host_that_shows_what_it_has_for_what_is_agreed_is_noticed() {
    assert!(noticed(Plant::StaleRead, CORE, "reads_miss_nothing"));
}

#[test]
fn a_packet_core_that_takes_any_source_is_noticed() {
    assert!(noticed(Plant::AnySource, CORE, "honest_sources"));
}

#[test]
fn an_admission_that_nobody_checks_is_noticed() {
    assert!(noticed(Plant::StolenSecret, CORE, "no_forged_record"));
}

#[test]
fn a_ruling_that_is_said_again_under_a_later_serial_is_noticed() {
    assert!(noticed(Plant::ForgottenSerial, CORE, "no_ruling_undone"));
    assert!(noticed(Plant::ForgottenSerial, CORE, "policy_never_older"));
}

#[test]
fn a_packet_core_that_keeps_the_tunnels_of_the_banned_is_noticed() {
    assert!(noticed(Plant::KeptTunnels, CORE, "banned_are_cut_off"));
}

#[test]
fn a_mesh_in_which_nobody_shows_the_way_into_the_next_epoch_is_noticed() {
    assert!(noticed(Plant::NoPassage, RECOVERY, "all_cross"));
}

#[test]
fn a_mesh_that_does_not_tell_epochs_apart_is_noticed() {
    assert!(noticed(Plant::AnyEpoch, RECOVERY, "all_cross"));
}

#[test]
fn a_key_that_is_agreed_and_not_on_disk_is_noticed() {
    assert!(noticed(Plant::ForgottenKey, CORE, "last_key_counts"));
}

#[test]
fn a_packet_core_that_is_not_told_of_a_peers_new_key_is_noticed() {
    assert!(noticed(Plant::DeafToKeys, CORE, "liveness"));
}

#[test]
fn members_that_nobody_tells_what_was_agreed_are_noticed() {
    assert!(noticed(Plant::NoSources, CHURN, "liveness"));
}
