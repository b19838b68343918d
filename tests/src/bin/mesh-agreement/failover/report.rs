//! What was measured, and its tables.

use std::fmt::Write as _;
use std::time::Duration;

use mesh_tests::bench::agreement::failover::{Audit, GIVE_UP};
use mesh_tests::bench::agreement::fault::{Class, Fault, Kind, PROMISED_P50};
use mesh_tests::bench::agreement::figures::Spread;
use mesh_tests::bench::machine::Machine;
use serde::Serialize;

/// One fault.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) contender: &'static str,
    pub(super) fault: Kind,
    pub(super) round: u32,
    /// Who led when it happened.
    pub(super) leader: usize,
    /// Whom it met.
    #[serde(flatten)]
    pub(super) met: Fault,
    /// `None`: none came before it was given up.
    pub(super) next_write_ms: Option<f64>,
    pub(super) leader_changed: bool,
    pub(super) recovery_ms: f64,
}

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) schema: &'static str,
    pub(super) machine: Machine,
    pub(super) voters: usize,
    pub(super) rounds: u32,
    /// How long a next write was waited for.
    pub(super) limit_ms: f64,
    pub(super) versions: Vec<(&'static str, String)>,
    pub(super) samples: Vec<Sample>,
    pub(super) writes: Vec<(&'static str, Audit)>,
}

impl Report {
    /// How long `contender`'s next writes took after those faults. One that never came took as long as it was waited
    /// for: left out, the worst would make the figures better.
    pub(super) fn times(&self, contender: &str, of: impl Fn(Kind) -> bool) -> Vec<Duration> {
        let samples = self.samples.iter();
        samples
            .filter(|sample| sample.contender == contender && of(sample.fault))
            .map(|sample| {
                sample.next_write_ms.map_or(GIVE_UP, |ms| Duration::from_secs_f64(ms / 1e3))
            })
            .collect()
    }

    /// The tables.
    pub(super) fn render(&self) -> String {
        let Self { machine, voters, .. } = self;
        let mut text =
            format!("On {machine}, state on {}. {voters} voters each.\n", machine.file_system);
        text += "\nFrom the fault to the next write, in ms.\n";
        text += &self.heading("fault");
        for kind in Kind::ALL {
            self.row(&mut text, kind.name(), |it| it == kind);
        }
        text += "\nOf those that take the leader away:\n";
        text += &self.heading("class (promised p99)");
        for class in Class::ALL {
            let title = format!("{} ({} s)", class.name(), class.promised_p99());
            self.row(&mut text, &title, |it| it.class() == class && it.takes_leader());
        }
        self.row(&mut text, &format!("all (p50: {PROMISED_P50} s)"), Kind::takes_leader);
        let missing = self.samples.iter().filter(|sample| sample.next_write_ms.is_none()).count();
        if missing > 0 {
            let limit = GIVE_UP.as_secs();
            let _ = writeln!(text, "\n{missing} times no write came through within {limit} s.");
        }
        for (name, audit) in &self.writes {
            let Audit { begun, acknowledged, begun_at_leader, acknowledged_at_leader, lost } =
                audit;
            let _ = writeln!(
                text,
                "\n{name}: {begun} writes begun, {acknowledged} acknowledged, {lost} of those lost; at the leader \
                 {begun_at_leader} begun, {acknowledged_at_leader} acknowledged."
            );
        }
        for (name, version) in &self.versions {
            let _ = writeln!(text, "\n{name}: {version}");
        }
        text
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.versions.iter().map(|(name, _)| *name)
    }

    fn heading(&self, first: &str) -> String {
        let columns: Vec<String> =
            self.names().map(|name| format!("{name} p50 | p99 | longest | n")).collect();
        let line = "---:|".repeat(4 * columns.len());
        format!("\n| {first} | {} |\n|---|{line}\n", columns.join(" | "))
    }

    fn row(&self, text: &mut String, title: &str, of: impl Fn(Kind) -> bool) {
        let cells = self.names().map(|name| {
            Spread::of(&self.times(name, &of)).map_or("- | - | - | 0".to_owned(), |spread| {
                let [p50, p99, longest] = [spread.p50_ms, spread.p99_ms, spread.max_ms].map(millis);
                format!("{p50} | {p99} | {longest} | {}", spread.count)
            })
        });
        let cells: Vec<String> = cells.collect();
        if cells.iter().any(|cell| !cell.starts_with('-')) {
            let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
        }
    }
}

/// So many milliseconds, of which nobody waited for more than the limit.
fn millis(ms: f64) -> String {
    let limit = GIVE_UP.as_secs_f64() * 1e3;
    if ms < limit { format!("{ms:.0}") } else { format!(">{limit:.0}") }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What `contender` wrote after `kind`, once for each of `next_writes_ms`.
    pub(crate) fn report(contender: &'static str, faults: &[(Kind, &[Option<f64>])]) -> Report {
        let samples = faults.iter().flat_map(|(kind, next_writes_ms)| {
            next_writes_ms.iter().map(|next_write_ms| Sample {
                contender,
                fault: *kind,
                round: 1,
                leader: 1,
                met: Fault::of(*kind, 1, 5, 1),
                next_write_ms: *next_write_ms,
                leader_changed: false,
                recovery_ms: 0.0,
            })
        });
        Report {
            schema: "",
            machine: Machine::this(),
            voters: 5,
            rounds: 1,
            limit_ms: 0.0,
            versions: vec![(contender, String::new())],
            samples: samples.collect(),
            writes: Vec::new(),
        }
    }

    #[test]
    fn a_write_that_never_came_is_the_longest() {
        let times = [Some(700.0), None, Some(800.0)];
        let text = report("meshd", &[(Kind::KillLeader, &times)]).render();
        assert!(text.contains("| kill-leader | 800 | >20000 | >20000 | 3 |"), "{text}");
        assert!(text.contains("1 times no write"), "{text}");
    }

    #[test]
    fn whoever_led_afterwards_a_fault_that_takes_the_leader_counts() {
        let faults: [(_, &[_]); 2] =
            [(Kind::DeafLeader, &[Some(19_000.0)]), (Kind::OneToLeader, &[Some(20.0)])];
        let text = report("etcd", &faults).render();
        assert!(text.contains("| one way cut (3 s) | 19000 | 19000 | 19000 | 1 |"), "{text}");
    }

    #[test]
    fn the_json_form_says_who_led_and_whom_the_fault_met() {
        let report = report("meshd", &[(Kind::CutLink, &[None])]);
        let json = serde_json::to_value(&report.samples[0]).unwrap();
        assert_eq!(json["leader"], 1);
        assert_eq!(json["cuts"], serde_json::json!([[1, 3], [3, 1]]));
        assert_eq!(json["killed"], serde_json::Value::Null);
        assert_eq!(json["next_write_ms"], serde_json::Value::Null);
    }
}
