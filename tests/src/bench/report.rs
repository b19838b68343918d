//! What a run found: all samples, and for each peer and column the middle, the spread and the ratio to
//! the base.

use std::collections::BTreeMap;

use serde::Serialize;

use super::column::Column;
use super::machine::Machine;
use super::plan::Plan;
use super::sample::Sample;
use super::statistics::Summary;

/// The version of the JSON form.
const SCHEMA: &str = "mesh-bench/dataplane/1";

/// As many calm samples of a figure let the disturbed ones be left out.
const ENOUGH_CALM: usize = 3;

/// A run, as far as it has come.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    schema: &'static str,
    /// Where.
    pub machine: Machine,
    /// How.
    pub plan: Plan,
    /// The peer that ratios are to.
    pub base: Option<String>,
    /// What each peer says of its version, in the order of the tables.
    pub versions: Vec<(String, Option<String>)>,
    /// Peers that did not run, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// Everything that was measured.
    pub samples: Vec<Sample>,
}

/// A place in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    /// What the samples say.
    #[serde(flatten)]
    pub summary: Summary,
    /// Whether others had a part in it.
    pub disturbed: bool,
    /// The median divided by that of the base.
    pub ratio: Option<f64>,
}

/// The report with what follows from it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    peers: BTreeMap<&'a str, BTreeMap<Column, Cell>>,
}

impl Report {
    /// A run without samples yet.
    pub fn new(machine: Machine, plan: Plan, base: Option<String>) -> Self {
        let (versions, skipped, samples) = (Vec::new(), Vec::new(), Vec::new());
        Self { schema: SCHEMA, machine, plan, base, versions, skipped, samples }
    }

    /// The peers with samples, in the order of their first.
    pub fn peers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !names.contains(&sample.peer.as_str()) {
                names.push(&sample.peer);
            }
        }
        names
    }

    /// What the samples say of one peer and column.
    pub fn cell(&self, peer: &str, column: Column) -> Option<Cell> {
        let (summary, disturbed) = self.summary(peer, column)?;
        let base = self.base.as_deref().and_then(|base| self.summary(base, column));
        let ratio = base
            .filter(|(base, _)| base.median > 0.0)
            .map(|(base, _)| summary.median / base.median);
        Some(Cell { summary, disturbed, ratio })
    }

    /// Disturbed samples are left out where enough calm ones are there; otherwise all count.
    fn summary(&self, peer: &str, column: Column) -> Option<(Summary, bool)> {
        let of_peer = || self.samples.iter().filter(|sample| sample.peer == peer);
        let figures = |samples: Vec<&Sample>| -> Vec<f64> {
            samples.iter().filter_map(|sample| sample.values.get(&column).copied()).collect()
        };
        let is_calm = |sample: &&Sample| !sample.disturbed.contains(&column);
        let calm = figures(of_peer().filter(is_calm).collect());
        let all = figures(of_peer().collect());
        if calm.len() >= ENOUGH_CALM || calm.len() == all.len() {
            return Summary::of(&calm).map(|summary| (summary, false));
        }
        Summary::of(&all).map(|summary| (summary, true))
    }

    /// The whole run for programs.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let cells = |peer| {
            let columns = Column::all().iter();
            columns.filter_map(|&column| Some((column, self.cell(peer, column)?))).collect()
        };
        let peers = self.peers().into_iter().map(|peer| (peer, cells(peer))).collect();
        serde_json::to_string_pretty(&Document { report: self, peers })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn machine() -> Machine {
        Machine {
            kernel: "6.1.0".to_owned(),
            processor: "Some CPU 9000".to_owned(),
            processors: 2,
            hypervisor: true,
            memory_mib: 2048,
            socket_buffers: [4_194_304, 212_992],
        }
    }

    pub(crate) fn sample(peer: &str, round: u32, value: f64, disturbed: bool) -> Sample {
        let mut sample = Sample::new(peer, round);
        sample.values.insert(Column::Tcp1, value);
        if disturbed {
            sample.disturbed.insert(Column::Tcp1);
            sample.strangers = 0.5;
        }
        sample
    }

    pub(crate) fn report(samples: Vec<Sample>) -> Report {
        let base = Some("base".to_owned());
        Report { samples, ..Report::new(machine(), Plan::quick(), base) }
    }

    #[test]
    fn ratios_are_of_medians_to_the_base() {
        let values = [("base", 2.0), ("ours", 3.0), ("base", 4.0), ("ours", 9.0), ("base", 3.0)];
        let samples = values.map(|(peer, value)| sample(peer, 1, value, false));
        let report = report(samples.to_vec());
        assert_eq!(report.cell("ours", Column::Tcp1).unwrap().ratio, Some(2.0));
        assert_eq!(report.cell("base", Column::Tcp1).unwrap().ratio, Some(1.0));
        assert_eq!(report.cell("ours", Column::Tcp4), None);
        assert_eq!(report.peers(), ["base", "ours"]);
    }

    #[test]
    fn disturbed_samples_are_left_out_once_enough_are_calm() {
        let calm = |count| (0..count).map(|round| sample("base", round, 3.0, false));
        let mut samples: Vec<_> = calm(3).collect();
        samples.push(sample("base", 9, 1.0, true));
        let cell = report(samples).cell("base", Column::Tcp1).unwrap();
        assert_eq!((cell.summary.min, cell.summary.count, cell.disturbed), (3.0, 3, false));

        let mut samples: Vec<_> = calm(2).collect();
        samples.push(sample("base", 9, 1.0, true));
        let cell = report(samples).cell("base", Column::Tcp1).unwrap();
        assert_eq!((cell.summary.min, cell.summary.count, cell.disturbed), (1.0, 3, true));
    }

    #[test]
    fn a_base_without_figures_gives_no_ratios() {
        let report = report(vec![sample("ours", 1, 3.0, false)]);
        assert_eq!(report.cell("ours", Column::Tcp1).unwrap().ratio, None);
    }

    #[test]
    fn json_has_samples_and_what_follows_from_them() {
        let report = report(vec![sample("base", 1, 2.0, false), sample("ours", 1, 3.0, true)]);
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(json["schema"], SCHEMA);
        assert_eq!(json["samples"][1]["values"]["tcp1"], 3.0);
        assert_eq!(json["peers"]["ours"]["tcp1"]["median"], 3.0);
        assert_eq!(json["peers"]["ours"]["tcp1"]["ratio"], 1.5);
        assert_eq!(json["peers"]["ours"]["tcp1"]["disturbed"], true);
        assert_eq!(json["machine"]["processors"], 2);
    }
}
