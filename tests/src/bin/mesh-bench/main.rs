//! mesh-bench: the packet path beside its peers. `scripts/bench dataplane` builds and runs it.

// This program talks to a person; standard output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod results;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mesh_tests::bench::calm::Patience;
use mesh_tests::bench::column::Column;
use mesh_tests::bench::ground::Underlay;
use mesh_tests::bench::machine::Machine;
use mesh_tests::bench::peer::Catalogue;
use mesh_tests::bench::plan::Plan;
use mesh_tests::bench::report::Report;
use mesh_tests::bench::sampler::Sampler;
use mesh_tests::bench::{interrupt, iperf, markdown, programs};
use mesh_tests::{Error, Result, rights};

use crate::results::Results;

/// How often a peer may fail before it is measured no more.
const MAX_FAILURES: usize = 2;

/// Throughput, processor time, latency and memory of the packet path, beside other programs of its kind.
///
/// Two network namespaces, a cable, a daemon at each end. Needs root. Nothing leaves the namespaces, and
/// nothing stays behind. Method, columns and environment variables: docs/performance.md.
#[derive(Parser)]
#[command(name = "scripts/bench dataplane", version)]
struct Args {
    /// How often every peer is measured; the default is 5, with --quick 1
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// The length of each TCP run in seconds; the default is 8, with --quick 2
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: Option<u32>,
    /// Who is measured, separated by commas; all that are there unless given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    peers: Vec<String>,
    /// What is measured, separated by commas; everything unless given
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        value_name = "NAMES",
        hide_possible_values = true
    )]
    columns: Vec<Column>,
    /// The peer ratios are to; the newest wireguard-go there is unless given
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// What carries the tunnel
    #[arg(long, value_enum, default_value = "as-created")]
    underlay: Underlay,
    /// The longest wait for other processes to rest before each measurement, in seconds; the default is
    /// 60. With 0 nothing is waited for or repeated, as with --quick
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// A look in a few minutes, whoever else is at work
    #[arg(long)]
    quick: bool,
    /// Write the figures as JSON there too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables as Markdown there too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Where every run leaves dataplane.json and dataplane.md
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    results: PathBuf,
    /// Show peers and columns, measure nothing
    #[arg(long)]
    list: bool,
}

impl Args {
    fn plan(&self) -> Plan {
        let preset = if self.quick { Plan::quick() } else { Plan::thorough() };
        let patience = match self.patience {
            None => preset.patience,
            Some(0) => Patience { wait_seconds: 0, repeats: 0 },
            Some(wait_seconds) => Patience { wait_seconds, ..Plan::thorough().patience },
        };
        let columns = match self.columns.as_slice() {
            [] => preset.columns.clone(),
            chosen => chosen.iter().copied().collect(),
        };
        Plan {
            rounds: self.rounds.unwrap_or(preset.rounds),
            seconds: self.seconds.unwrap_or(preset.seconds),
            underlay: self.underlay,
            patience,
            columns,
            ..preset
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) if interrupt::requested() => ExitCode::from(130),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let catalogue = Catalogue::find(&args.peers)?;
    if args.list {
        list(&catalogue);
        return Ok(());
    }
    if let Some(reason) = rights::missing_for_namespaces() {
        return Err(Error::Failed(format!("{reason}; the figures need them")));
    }
    programs::find(iperf::PROGRAM)?;
    if catalogue.present.is_empty() {
        return Err(Error::Failed("none of the peers is there; see --list".to_owned()));
    }
    let plan = args.plan();
    let mut report = Report::new(Machine::this(), plan, catalogue.base(args.base.as_deref())?);
    report.versions =
        catalogue.present.iter().map(|peer| (peer.name().to_owned(), peer.version())).collect();
    report.skipped = catalogue.skipped.clone();
    interrupt::heed()?;
    let results = Results::new(&args.results, args.json.as_deref(), args.markdown.as_deref())?;
    measure(&catalogue, &mut report, &results)?;
    if !report.samples.is_empty() {
        println!("{}", markdown::render(&report));
        results.tell();
    }
    if !interrupt::requested() && report.samples.iter().all(|sample| sample.values.is_empty()) {
        return Err(Error::Failed("no figure was measured".to_owned()));
    }
    Ok(())
}

/// Takes all samples; what is there is written after each, so that a run cut short is not lost.
fn measure(catalogue: &Catalogue, report: &mut Report, results: &Results) -> Result<()> {
    for (peer, reason) in &report.skipped {
        eprintln!("skipping {peer}: {reason}");
    }
    let plan = report.plan.clone();
    let sampler = Sampler::new(&plan);
    for round in 1..=plan.rounds {
        for peer in &catalogue.present {
            let is_failure = |sample: &&mesh_tests::bench::sample::Sample| {
                sample.peer == peer.name() && sample.values.is_empty()
            };
            if report.samples.iter().filter(is_failure).count() >= MAX_FAILURES {
                continue;
            }
            let sample = sampler.take(peer.as_ref(), round);
            if interrupt::requested() {
                return Ok(());
            }
            eprintln!("round {round}  {:18}  {}", sample.peer, sample.brief());
            report.samples.push(sample);
            results.write(report)?;
        }
    }
    Ok(())
}

fn list(catalogue: &Catalogue) {
    println!("Peers:");
    for peer in &catalogue.present {
        println!("  {:18}  {}", peer.name(), peer.version().unwrap_or_default());
    }
    for (peer, reason) in &catalogue.skipped {
        println!("  {peer:18}  skipped: {reason}");
    }
    println!("Columns:");
    for column in Column::all() {
        println!("  {:18}  {}", column.name(), column.look().heading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Plan {
        Args::parse_from([&["bench"], words].concat()).plan()
    }

    #[test]
    fn what_is_said_goes_before_what_is_quick() {
        let quick = plan(&["--quick", "--rounds", "3"]);
        assert_eq!((quick.rounds, quick.seconds), (3, Plan::quick().seconds));
        assert_eq!(quick.patience.repeats, 0);
        let patient = plan(&["--quick", "--patience", "5"]);
        assert_eq!((patient.patience.wait_seconds, patient.patience.repeats), (5, 2));
        assert_eq!(plan(&["--patience", "0"]).patience.repeats, 0);
    }

    #[test]
    fn columns_are_chosen_by_name() {
        let chosen = plan(&["--columns", "tcp1,loaded-p50"]).columns;
        assert_eq!(chosen.into_iter().collect::<Vec<_>>(), [Column::Tcp1, Column::LoadedP50]);
        assert!(Args::try_parse_from(["bench", "--columns", "tcp9"]).is_err());
    }
}
