//! Whether it is as promised.

use std::time::Duration;

use mesh_tests::bench::agreement::failover::GIVE_UP;
use mesh_tests::bench::agreement::fault::{Kind, PROMISED_P50};
use mesh_tests::bench::agreement::figures::Spread;
use mesh_tests::{Error, Result};

use super::report::Report;

/// Who has promised something. The others are only shown.
const OURS: &str = "meshd";

/// An error if anything is gone that was acknowledged, by whomever.
pub(super) fn lost_nothing(report: &Report) -> Result<()> {
    match report.writes.iter().find(|(_, audit)| audit.lost > 0) {
        Some((name, audit)) => Err(Error::Failed(format!(
            "{} writes that {name} had acknowledged are gone",
            audit.lost
        ))),
        None => Ok(()),
    }
}

/// An error if our next writes took longer than promised. Each kind of fault is held to what its class promises: those
/// that hardly matter cannot make up for one that does.
pub(super) fn in_time(report: &Report) -> Result<()> {
    let mut broken: Vec<String> =
        Kind::ALL.into_iter().filter_map(|kind| late(report, kind)).collect();
    broken.extend(late_in_half(report));
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(format!("{OURS} is not as promised: {}", broken.join("; "))))
}

/// What is wrong with the next writes after `kind`, if anything is.
fn late(report: &Report, kind: Kind) -> Option<String> {
    let times = report.times(OURS, |it| it == kind);
    let spread = Spread::of(&times)?;
    let (name, n, promised) = (kind.name(), spread.count, kind.class().promised_p99());
    let never = times.iter().filter(|time| **time >= GIVE_UP).count();
    if never > 0 {
        let limit = GIVE_UP.as_secs();
        return Some(format!("{name}: {never} times of {n} no write within {limit} s"));
    }
    // Of few, the 99th of 100 is the last.
    let what = if n < 100 { "the longest" } else { "p99" };
    (spread.p99_ms > promised * 1e3).then(|| {
        format!("{name}: {what} of {n} took {:.0} ms, promised are {promised} s", spread.p99_ms)
    })
}

/// What is wrong with half of the next writes after a leader was lost. Promised over all ways to lose it, so nothing is said
/// when some were left out.
fn late_in_half(report: &Report) -> Option<String> {
    let lost = |kind: &Kind| kind.takes_leader();
    let measured = |kind: Kind| !report.times(OURS, |it| it == kind).is_empty();
    let times: Vec<Duration> = report.times(OURS, Kind::takes_leader);
    let spread = Spread::of(&times).filter(|_| Kind::ALL.into_iter().filter(lost).all(measured))?;
    (spread.p50_ms > PROMISED_P50 * 1e3).then(|| {
        let Spread { p50_ms, count, .. } = spread;
        format!(
            "p50 of {count} without their leader was {p50_ms:.0} ms, promised are {PROMISED_P50} s"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    fn verdict(contender: &'static str, faults: &[(Kind, &[Option<f64>])]) -> String {
        in_time(&report(contender, faults))
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_write_that_never_came_breaks_a_promise_of_ours_only() {
        let faults: [(_, &[_]); 1] = [(Kind::VoterSeesOne, &[Some(20.0), None])];
        assert_eq!(verdict("etcd", &faults), "");
        assert_eq!(
            verdict("meshd", &faults),
            "meshd is not as promised: voter-sees-one: 1 times of 2 no write within 20 s"
        );
    }

    #[test]
    fn each_kind_is_held_to_the_promise_of_its_class() {
        let late = |kind, ms: f64| verdict("meshd", &[(kind, &[Some(20.0), Some(ms)])]);
        assert_eq!(late(Kind::KillLeader, 2000.0), "");
        assert_eq!(
            late(Kind::KillLeader, 2100.0),
            "meshd is not as promised: kill-leader: the longest of 2 took 2100 ms, promised are 2 s"
        );
        assert_eq!(late(Kind::DeafLeader, 2100.0), "");
        assert_ne!(late(Kind::CutVoterLink, 5001.0), "");
    }

    #[test]
    fn of_a_hundred_one_may_be_late() {
        let mut times = vec![Some(20.0); 98];
        times.extend([Some(700.0), Some(2500.0)]);
        assert_eq!(verdict("meshd", &[(Kind::KillVoter, &times)]), "");
        times[0] = Some(2400.0);
        assert_eq!(
            verdict("meshd", &[(Kind::KillVoter, &times)]),
            "meshd is not as promised: kill-voter: p99 of 100 took 2400 ms, promised are 2 s"
        );
    }

    #[test]
    fn half_of_the_leaders_lost_are_replaced_in_time_if_all_ways_to_lose_one_were_tried() {
        let slow: &[_] = &[Some(900.0)];
        let some = [(Kind::KillLeader, slow), (Kind::MuteLeader, slow), (Kind::DeafLeader, slow)];
        assert_eq!(verdict("meshd", &some), "");
        let all = [&some[..], &[(Kind::LeaderSeesOne, slow), (Kind::KillVoter, &[Some(20.0)])]];
        assert_eq!(
            verdict("meshd", &all.concat()),
            "meshd is not as promised: p50 of 4 without their leader was 900 ms, promised are 0.8 s"
        );
    }
}
