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
    /// The ratio to the base: the median of the rounds' own. What drifts on the machine from round to round has
    /// no part in it.
    pub ratio: Option<f64>,
    /// Whether others had a part in that.
    pub ratio_disturbed: bool,
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
        let (summary, disturbed) = summary(&self.figures(peer, column))?;
        let ratios = self.base.as_deref().map(|base| self.ratios(peer, base, column));
        let ratio = ratios.and_then(|ratios| self::summary(&ratios));
        let ratio_disturbed = ratio.is_some_and(|(_, disturbed)| disturbed);
        let ratio = ratio.map(|(summary, _)| summary.median);
        Some(Cell { summary, disturbed, ratio, ratio_disturbed })
    }

    /// The figures of one peer, each with its round.
    fn figures(&self, peer: &str, column: Column) -> Vec<Figure> {
        let of_peer = self.samples.iter().filter(|sample| sample.peer == peer);
        let figure = |sample: &Sample| {
            let value = *sample.values.get(&column)?;
            let disturbed = sample.disturbed.contains(&column);
            Some(Figure { round: sample.round, value, disturbed })
        };
        of_peer.filter_map(figure).collect()
    }

    /// The ratios of one peer to another, of rounds that have both.
    fn ratios(&self, peer: &str, base: &str, column: Column) -> Vec<Figure> {
        let bases = self.figures(base, column);
        let ratio = |figure: Figure| {
            let base = bases.iter().find(|base| base.round == figure.round && base.value > 0.0)?;
            let disturbed = figure.disturbed || base.disturbed;
            Some(Figure { value: figure.value / base.value, disturbed, ..figure })
        };
        self.figures(peer, column).into_iter().filter_map(ratio).collect()
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

/// A figure of one round.
#[derive(Clone, Copy)]
struct Figure {
    round: u32,
    value: f64,
    disturbed: bool,
}

/// What figures say. Disturbed ones are left out where enough calm ones are there; otherwise all count.
fn summary(figures: &[Figure]) -> Option<(Summary, bool)> {
    let values = |calm: bool| -> Vec<f64> {
        figures.iter().filter(|it| !(calm && it.disturbed)).map(|it| it.value).collect()
    };
    let (calm, all) = (values(true), values(false));
    if calm.len() >= ENOUGH_CALM || calm.len() == all.len() {
        return Summary::of(&calm).map(|summary| (summary, false));
    }
    Summary::of(&all).map(|summary| (summary, true))
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
            file_system: "ext4".to_owned(),
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
    fn a_ratio_to_the_base_is_the_middle_of_the_rounds_own() {
        let rounds = [(2.0, 3.0), (8.0, 16.0), (1.0, 5.0)];
        let both = |(round, (base, ours))| {
            [sample("base", round, base, false), sample("ours", round, ours, false)]
        };
        let mut samples: Vec<_> = (1..).zip(rounds).flat_map(both).collect();
        // Of a round without the other there is no ratio.
        samples.push(sample("ours", 4, 1_000.0, false));
        let report = report(samples);
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
    fn a_ratio_to_a_disturbed_base_is_disturbed() {
        let report = report(vec![sample("base", 1, 2.0, true), sample("ours", 1, 3.0, false)]);
        let cell = report.cell("ours", Column::Tcp1).unwrap();
        assert_eq!((cell.disturbed, cell.ratio_disturbed), (false, true));
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
