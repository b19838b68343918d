//! How much is measured, and how carefully.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::calm::Patience;
use super::column::{Column, Probe};
use super::ground::Underlay;

/// The settings of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How often every peer is measured, one after the other and over again.
    pub rounds: u32,
    /// The length of each TCP run.
    pub seconds: u32,
    /// The length of the flood of small datagrams.
    pub flood_seconds: f64,
    /// The length of each trial of the search for the highest clean rate.
    pub trial_seconds: f64,
    /// Pings on the idle path.
    pub pings: u16,
    /// What carries the tunnel.
    pub underlay: Underlay,
    /// What is put up with from others on the machine.
    pub patience: Patience,
    /// What is shown; only the probes behind these are run.
    pub columns: BTreeSet<Column>,
}

impl Plan {
    /// Figures to be quoted: about forty seconds for each peer and round.
    pub fn thorough() -> Self {
        Self {
            rounds: 5,
            seconds: 8,
            flood_seconds: 2.0,
            trial_seconds: 1.0,
            pings: 1000,
            underlay: Underlay::AsCreated,
            patience: Patience { wait_seconds: 60, repeats: 2 },
            columns: Column::all().iter().copied().collect(),
        }
    }

    /// A look: about 15 seconds for each peer, whoever else is at work.
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            seconds: 2,
            flood_seconds: 0.5,
            trial_seconds: 0.3,
            pings: 200,
            patience: Patience { wait_seconds: 0, repeats: 0 },
            ..Self::thorough()
        }
    }

    /// The length of each TCP run.
    pub fn span(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Whether any column needs `probe`.
    pub fn needs(&self, probe: Probe) -> bool {
        self.columns.iter().any(|column| column.probe() == probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probes_behind_a_column_are_needed() {
        let plan = Plan { columns: BTreeSet::from([Column::Cpu4]), ..Plan::quick() };
        assert!(plan.needs(Probe::Tcp4));
        assert!(!plan.needs(Probe::Tcp1));
        assert!(Probe::ALL.iter().all(|&probe| Plan::thorough().needs(probe)));
    }
}
