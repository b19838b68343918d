//! What is measured, and by which probe.

use clap::ValueEnum;
use serde::Serialize;

/// One figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// One TCP stream, Gbit/s of payload received
    Tcp1,
    /// Four TCP streams
    Tcp4,
    /// One TCP stream from the far end to the near one
    Reverse,
    /// Processor seconds of both daemons per GiB of one stream
    Cpu1,
    /// Processor seconds of both daemons per GiB of four streams
    Cpu4,
    /// Processor seconds of the whole machine per GiB of one stream
    Box1,
    /// Processor seconds of the whole machine per GiB of four streams
    Box4,
    /// Datagrams of 100 bytes at less than 0.5 % loss, thousands a second
    Small,
    /// Processor microseconds of both daemons per datagram at that rate
    SmallCpu,
    /// Datagrams of 100 bytes that arrive of all that can be sent, thousands a second
    Flood,
    /// The share of those lost, percent
    FloodLoss,
    /// Round trip on the idle path, median, ms
    PingP50,
    /// Round trip on the idle path, 99th percentile
    PingP99,
    /// Round trip beside four TCP streams at full speed, median, ms
    LoadedP50,
    /// Round trip beside four TCP streams at full speed, 99th percentile
    LoadedP99,
    /// Resident memory of the larger daemon under four streams, MiB, the most seen
    Rss,
    /// Resident memory of both daemons under four streams
    RssBoth,
    /// From the last word of configuration to the first answered ping, ms
    FirstPing,
}

/// A measurement; each gives several columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Bringing the tunnel up.
    Connect,
    /// Pings while nothing else moves.
    IdlePing,
    /// One TCP stream.
    Tcp1,
    /// One TCP stream the other way.
    Reverse,
    /// Four TCP streams with pings beside them.
    Tcp4,
    /// Small datagrams without pacing.
    Flood,
    /// The search for the highest clean rate of small datagrams.
    Small,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

/// The table a column stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sheet {
    /// Bulk and what it costs.
    Bulk,
    /// Small packets, latency, memory.
    Rest,
}

/// How a column is shown.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The head of the column, with the unit.
    pub heading: &'static str,
    /// Digits after the point.
    pub digits: usize,
    /// Which way is better.
    pub better: Better,
    /// The table it stands in.
    pub sheet: Sheet,
}

impl Probe {
    /// All, in the order in which they are run: what leaves queues and caches cold first.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::IdlePing,
        Self::Tcp1,
        Self::Reverse,
        Self::Tcp4,
        Self::Flood,
        Self::Small,
    ];
}

impl Column {
    /// The probe that measures it.
    pub fn probe(self) -> Probe {
        match self {
            Self::Tcp1 | Self::Cpu1 | Self::Box1 => Probe::Tcp1,
            Self::Tcp4 | Self::Cpu4 | Self::Box4 => Probe::Tcp4,
            Self::LoadedP50 | Self::LoadedP99 | Self::Rss | Self::RssBoth => Probe::Tcp4,
            Self::Reverse => Probe::Reverse,
            Self::Small | Self::SmallCpu => Probe::Small,
            Self::Flood | Self::FloodLoss => Probe::Flood,
            Self::PingP50 | Self::PingP99 => Probe::IdlePing,
            Self::FirstPing => Probe::Connect,
        }
    }

    /// How it is shown.
    pub fn look(self) -> Look {
        use Better::{Higher, Lower};
        use Sheet::{Bulk, Rest};
        let (heading, digits, better, sheet) = match self {
            Self::Tcp1 => ("TCP 1, Gbit/s", 2, Higher, Bulk),
            Self::Tcp4 => ("TCP 4, Gbit/s", 2, Higher, Bulk),
            Self::Reverse => ("TCP reverse, Gbit/s", 2, Higher, Bulk),
            Self::Cpu1 => ("daemon CPU s/GiB (1)", 2, Lower, Bulk),
            Self::Cpu4 => ("daemon CPU s/GiB (4)", 2, Lower, Bulk),
            Self::Box1 => ("box CPU s/GiB (1)", 2, Lower, Bulk),
            Self::Box4 => ("box CPU s/GiB (4)", 2, Lower, Bulk),
            Self::Small => ("100 B at < 0.5 % loss, kpps", 1, Higher, Rest),
            Self::SmallCpu => ("daemon CPU us/packet", 2, Lower, Rest),
            Self::Flood => ("100 B flood, kpps received", 1, Higher, Rest),
            Self::FloodLoss => ("flood loss, %", 1, Lower, Rest),
            Self::PingP50 => ("ping p50, ms", 3, Lower, Rest),
            Self::PingP99 => ("ping p99, ms", 3, Lower, Rest),
            Self::LoadedP50 => ("loaded ping p50, ms", 2, Lower, Rest),
            Self::LoadedP99 => ("loaded ping p99, ms", 2, Lower, Rest),
            Self::Rss => ("RSS under load, larger daemon, MiB", 1, Lower, Rest),
            Self::RssBoth => ("RSS under load, both, MiB", 1, Lower, Rest),
            Self::FirstPing => ("first ping, ms", 0, Lower, Rest),
        };
        Look { heading, digits, better, sheet }
    }

    /// What it is called on the command line and in JSON.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// All, in the order of the tables.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_probe_that_is_run() {
        for column in Column::all() {
            assert!(Probe::ALL.contains(&column.probe()), "{column:?}");
        }
    }

    #[test]
    fn a_column_is_called_alike_on_the_command_line_and_in_json() {
        for column in Column::all() {
            let name = column.name();
            assert_eq!(serde_json::to_string(column).unwrap(), format!("\"{name}\""));
        }
    }
}
