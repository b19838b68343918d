//! One peer, measured once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::calm::Measured;
use super::column::Column;

/// The figures of one probe.
pub type Figures = Vec<(Column, f64)>;

/// What one peer showed in one round.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Who.
    pub peer: String,
    /// In which round, from 1.
    pub round: u32,
    /// The figures.
    pub values: BTreeMap<Column, f64>,
    /// Those of them that others on the machine, or beside it, had a part in.
    pub disturbed: BTreeSet<Column>,
    /// The most processors strangers used during any probe that counted.
    pub strangers: f64,
    /// The most processors the hypervisor took away during any probe that counted.
    pub stolen: f64,
    /// Why figures are missing.
    pub error: Option<String>,
}

impl Sample {
    /// One without figures yet.
    pub fn new(peer: &str, round: u32) -> Self {
        Self {
            peer: peer.to_owned(),
            round,
            values: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            strangers: 0.0,
            stolen: 0.0,
            error: None,
        }
    }

    /// Adds what a probe measured.
    pub fn add(&mut self, measured: Measured<Figures>) {
        self.strangers = self.strangers.max(measured.strangers);
        self.stolen = self.stolen.max(measured.stolen);
        if measured.is_disturbed() {
            self.disturbed.extend(measured.value.iter().map(|(column, _)| *column));
        }
        self.values.extend(measured.value);
    }

    /// One line for whoever watches.
    pub fn brief(&self) -> String {
        let figures = self.values.iter().map(|(column, value)| {
            let digits = column.look().digits;
            let mark = if self.disturbed.contains(column) { "*" } else { "" };
            format!("{} {value:.digits$}{mark}", column.name())
        });
        let figures: Vec<String> = figures.collect();
        match &self.error {
            Some(error) => {
                format!("{} FAILED: {error}", figures.join("  ")).trim_start().to_owned()
            }
            None => figures.join("  "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_probe_marks_its_own_columns_only() {
        let mut sample = Sample::new("x", 1);
        let calm = vec![(Column::Tcp1, 3.0), (Column::Cpu1, 4.5)];
        sample.add(Measured { value: calm, strangers: 0.1, stolen: 0.0 });
        sample.add(Measured { value: vec![(Column::Tcp4, 2.0)], strangers: 0.4, stolen: 0.2 });
        assert_eq!(sample.disturbed, BTreeSet::from([Column::Tcp4]));
        assert_eq!((sample.strangers, sample.stolen), (0.4, 0.2));
        assert_eq!(sample.brief(), "tcp1 3.00  tcp4 2.00*  cpu1 4.50");
        sample.error = Some("it broke".to_owned());
        assert!(sample.brief().ends_with("FAILED: it broke"));
    }
}
