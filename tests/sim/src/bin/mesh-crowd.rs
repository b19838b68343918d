//! `mesh-crowd`: a mesh of a thousand, and how soon everybody has what was agreed.
//!
//! A line for each trial: from the first member that had the entry to half of them and to the last in reach; from the end of the
//! trouble to the rest; to how many the leader sent it, and anybody at the most; messages with it, and those of them with a whole
//! state, which may hold it; questions that one member turned away so far; and how long it took here, the first line with all that comes before it.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_sim::crowd::{self, trial::Report};

/// Runs agreement and sync of very many members in virtual time.
#[derive(Debug, Parser)]
#[command(name = "mesh-crowd", version)]
struct Args {
    /// How many members.
    #[arg(long, default_value_t = 1007, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    members: u64,
    /// The seed of the run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn say(line: std::fmt::Arguments<'_>) {
    // Standard output going away leaves nobody to tell.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn say_report(report: &Report, took: Duration) {
    let Report { trouble, median, last, rest, by_leader, by_busiest, .. } = report;
    let Report { copies, states, turned_away, .. } = report;
    let trouble = format!("{trouble:?}").to_lowercase();
    let [median, last, rest, took] = [*median, *last, *rest, took].map(|time| time.as_secs_f64());
    say(format_args!(
        "{trouble:<9} {median:>9.2} {last:>9.2} {rest:>9.2} {by_leader:>7} {by_busiest:>7} {copies:>7} {states:>7} {turned_away:>7} {took:>7.1}"
    ));
}

fn main() -> ExitCode {
    let Args { members, seed } = Args::parse();
    say(format_args!(
        "{:<9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "trouble",
        "median s",
        "last s",
        "rest s",
        "leader",
        "busiest",
        "copies",
        "states",
        "away",
        "real s"
    ));
    let mut begun = Instant::now();
    let ran = crowd::run(members, seed, |report| {
        say_report(&report, begun.elapsed());
        begun = Instant::now();
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            say(format_args!("mesh-crowd --members {members} --seed {seed}  # {violation}"));
            ExitCode::FAILURE
        }
    }
}
