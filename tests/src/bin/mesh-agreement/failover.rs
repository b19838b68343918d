//! `scripts/bench failover`.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::bench::agreement::failover::{Audit, Subject};
use mesh_tests::bench::agreement::fault::{Class, Kind};
use mesh_tests::bench::agreement::figures::Spread;
use mesh_tests::bench::interrupt;
use mesh_tests::bench::machine::Machine;
use mesh_tests::{Error, Result};
use serde::Serialize;

use crate::contenders::{self, Contender};
use crate::results;

/// The version of the JSON form.
const SCHEMA: &str = "mesh-bench/failover/1";

/// How long nobody can write after a fault.
///
/// Five voters of each contender. Every 25 ms a write is begun at a member that the fault leaves alone; what counts
/// is the time from the fault to the first acknowledgement of one begun since. At the end every member must have all
/// that was ever acknowledged. Method: docs/performance.md.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each kind of fault happens to each contender
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Who is measured, separated by commas
    #[arg(long, value_delimiter = ',', value_enum, default_value = "meshd,etcd,etcd-fast")]
    with: Vec<Contender>,
    /// What goes wrong, separated by commas; everything unless given
    #[arg(long, value_delimiter = ',', value_enum, value_name = "KINDS")]
    faults: Vec<Kind>,
    /// Where every run leaves failover.json and failover.md
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    results: PathBuf,
}

/// Members of each contender: five survive two failures.
const VOTERS: usize = 5;

/// How many rounds the same clusters live through. A mesh knows 11,000 invites at most; 25 rounds have made 5,800, 26 for each of
/// nine faults, and could make twice as many.
const ROUNDS_OF_A_CLUSTER: u32 = 25;

/// One fault.
#[derive(Debug, Serialize)]
struct Sample {
    contender: &'static str,
    fault: Kind,
    round: u32,
    next_write_ms: Option<f64>,
    leader_changed: bool,
    recovery_ms: f64,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    machine: Machine,
    voters: usize,
    rounds: u32,
    versions: Vec<(&'static str, String)>,
    samples: Vec<Sample>,
    writes: Vec<(&'static str, Audit)>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut report = Report {
        schema: SCHEMA,
        machine: Machine::this(),
        voters: VOTERS,
        rounds: args.rounds,
        versions: Vec::new(),
        samples: Vec::new(),
        writes: Vec::new(),
    };
    let measured = measure(args, &mut report);
    if !report.samples.is_empty() {
        println!("{}", render(&report));
    }
    lost_nothing(&report)?;
    measured
}

/// An error if anything is gone that was acknowledged.
fn lost_nothing(report: &Report) -> Result<()> {
    match report.writes.iter().find(|(_, audit)| audit.lost > 0) {
        Some((name, audit)) => Err(Error::Failed(format!(
            "{} writes that {name} had acknowledged are gone",
            audit.lost
        ))),
        None => Ok(()),
    }
}

/// All rounds, with clusters that begin anew before a mesh has too much to remember.
fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let mut first = 1;
    while first <= args.rounds && !interrupt::requested() {
        let last = args.rounds.min(first + ROUNDS_OF_A_CLUSTER - 1);
        let clusters = contenders::start(&args.with, VOTERS)?;
        report.versions = clusters.iter().map(|it| (it.name(), it.version())).collect();
        let mut subjects: Vec<Subject> =
            clusters.into_iter().map(|cluster| Subject::new(cluster)).collect();
        let lived = live_through(first..=last, args, &mut subjects, report);
        if lived.is_err() {
            for subject in &mut subjects {
                eprintln!("{}", subject.cluster().last_words());
            }
        }
        lived?;
        first = last + 1;
    }
    Ok(())
}

/// Some rounds with the same clusters, and at their end what every member has.
fn live_through(
    rounds: RangeInclusive<u32>,
    args: &Args,
    subjects: &mut [Subject],
    report: &mut Report,
) -> Result<()> {
    let kinds: &[Kind] = if args.faults.is_empty() { &Kind::ALL } else { &args.faults };
    'rounds: for round in rounds {
        for kind in kinds {
            for subject in &mut *subjects {
                if interrupt::requested() {
                    break 'rounds;
                }
                let outage = subject.suffer(*kind)?;
                let millis = |time: Duration| time.as_secs_f64() * 1e3;
                report.samples.push(Sample {
                    contender: subject.cluster().name(),
                    fault: *kind,
                    round,
                    next_write_ms: outage.next_write.map(millis),
                    leader_changed: outage.leader_changed,
                    recovery_ms: millis(outage.recovery),
                });
                tell(report.samples.last());
            }
        }
        results::write(&args.results, "failover", &render(report), report)?;
    }
    for subject in subjects {
        let audit = subject.audit()?;
        let name = subject.cluster().name();
        match report.writes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, all)) => *all = all.and(audit),
            None => report.writes.push((name, audit)),
        }
    }
    results::write(&args.results, "failover", &render(report), report)
}

fn tell(sample: Option<&Sample>) {
    let Some(sample) = sample else { return };
    let took = sample.next_write_ms.map_or("no write".to_owned(), |took| format!("{took:.0} ms"));
    let changed = if sample.leader_changed { ", another leads" } else { "" };
    let Sample { contender, fault, round, recovery_ms, .. } = sample;
    eprintln!(
        "round {round}  {contender:10}  {:16}  {took}{changed}, whole again after {recovery_ms:.0} ms",
        fault.name()
    );
}

/// The tables.
fn render(report: &Report) -> String {
    let mut text = format!("On {}. {} voters each.\n", report.machine, report.voters);
    let names: Vec<&str> = report.versions.iter().map(|(name, _)| *name).collect();
    let heading = |first: &str| {
        let columns: Vec<String> =
            names.iter().map(|name| format!("{name} p50 | p99 | longest | n")).collect();
        let line = "---:|".repeat(4 * names.len());
        format!("\n| {first} | {} |\n|---|{line}\n", columns.join(" | "))
    };
    text += "\nFrom the fault to the next write, in ms.\n";
    text += &heading("fault");
    for kind in Kind::ALL {
        row(&mut text, report, &names, kind.name(), |it| it.fault == kind);
    }
    text += "\nOf those after which another leads:\n";
    text += &heading("class (promised p99)");
    for class in Class::ALL {
        let title = format!("{} ({} s)", class.name(), class.promised_p99());
        row(&mut text, report, &names, &title, |it| it.fault.class() == class && it.leader_changed);
    }
    row(&mut text, report, &names, "all", |it| it.leader_changed);
    let missing = report.samples.iter().filter(|sample| sample.next_write_ms.is_none()).count();
    if missing > 0 {
        let _ = writeln!(text, "\n{missing} times no write came through before it was given up.");
    }
    for (name, audit) in &report.writes {
        let Audit { begun, acknowledged, lost } = audit;
        let _ = writeln!(
            text,
            "\n{name}: {begun} writes begun, {acknowledged} acknowledged, {lost} of those lost."
        );
    }
    for (name, version) in &report.versions {
        let _ = writeln!(text, "\n{name}: {version}");
    }
    text
}

fn row(
    text: &mut String,
    report: &Report,
    names: &[&str],
    title: &str,
    of: impl Fn(&Sample) -> bool,
) {
    let cells = names.iter().map(|name| {
        let times: Vec<Duration> = report
            .samples
            .iter()
            .filter(|sample| sample.contender == *name && of(sample))
            .filter_map(|sample| sample.next_write_ms)
            .map(|millis| Duration::from_secs_f64(millis / 1e3))
            .collect();
        Spread::of(&times).map_or("- | - | - | 0".to_owned(), |spread| {
            let Spread { p50_ms, p99_ms, max_ms, count } = spread;
            format!("{p50_ms:.0} | {p99_ms:.0} | {max_ms:.0} | {count}")
        })
    });
    let cells: Vec<String> = cells.collect();
    if cells.iter().any(|cell| !cell.starts_with('-')) {
        let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
    }
}
