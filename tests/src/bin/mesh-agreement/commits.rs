//! `scripts/bench commits`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::Result;
use mesh_tests::bench::agreement::cluster::Cluster;
use mesh_tests::bench::agreement::commits::{self, Load, Place, Rate};
use mesh_tests::bench::interrupt;
use mesh_tests::bench::machine::Machine;
use mesh_tests::bench::statistics::Summary;
use serde::Serialize;

use crate::contenders::{self, Contender};
use crate::results;

/// The version of the JSON form.
const SCHEMA: &str = "mesh-bench/commits/1";

/// How fast small commands are agreed on.
///
/// Three voters of each contender, state on disk. So many clients, each on a connection of its own, send the next
/// command when the last is answered. Rounds are interleaved. Method: docs/performance.md.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Who is measured, separated by commas
    #[arg(long, value_delimiter = ',', value_enum, default_value = "meshd,etcd")]
    with: Vec<Contender>,
    /// How many clients, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    clients: Vec<usize>,
    /// Where they are, separated by commas
    #[arg(long, value_delimiter = ',', value_enum, default_value = "leader,follower,spread")]
    places: Vec<Place>,
    /// Where every run leaves commits.json and commits.md
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    results: PathBuf,
}

/// Members of each contender.
const VOTERS: usize = 3;

#[derive(Serialize)]
struct Sample {
    contender: &'static str,
    #[serde(flatten)]
    load: Load,
    round: u32,
    #[serde(flatten)]
    rate: Rate,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    machine: Machine,
    voters: usize,
    seconds: u64,
    versions: Vec<(&'static str, String)>,
    samples: Vec<Sample>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut clusters = contenders::start(&args.with, VOTERS)?;
    let mut report = Report {
        schema: SCHEMA,
        machine: Machine::this(),
        voters: VOTERS,
        seconds: args.seconds,
        versions: clusters.iter().map(|it| (it.name(), it.version())).collect(),
        samples: Vec::new(),
    };
    let measured = measure(args, &clusters, &mut report);
    if measured.is_err() {
        for cluster in &mut clusters {
            eprintln!("{}", cluster.last_words());
        }
    }
    if !report.samples.is_empty() {
        println!("{}", render(&report));
    }
    measured
}

fn measure(args: &Args, clusters: &[Box<dyn Cluster + Sync>], report: &mut Report) -> Result<()> {
    let loads = args.places.iter().flat_map(|place| {
        args.clients.iter().map(|clients| Load { place: *place, clients: *clients })
    });
    let loads: Vec<Load> = loads.collect();
    for round in 1..=args.rounds {
        for load in &loads {
            for cluster in clusters {
                if interrupt::requested() {
                    return Ok(());
                }
                let rate = commits::measure(&**cluster, *load, Duration::from_secs(args.seconds))?;
                eprintln!(
                    "round {round}  {:10}  {:8}  {:3} clients  {:6.0}/s  p50 {:.2} ms  p99 {:.2} ms  {:.0} us processor{}",
                    cluster.name(),
                    load.place.name(),
                    load.clients,
                    rate.per_second,
                    rate.latency.p50_ms,
                    rate.latency.p99_ms,
                    rate.processor_us,
                    if rate.failed > 0 {
                        format!("  {} FAILED", rate.failed)
                    } else {
                        String::new()
                    },
                );
                report.samples.push(Sample { contender: cluster.name(), load: *load, round, rate });
            }
        }
        results::write(&args.results, "commits", &render(report), report)?;
    }
    Ok(())
}

/// The figures of one contender under one load, each with its round.
fn figures(
    report: &Report,
    contender: &str,
    load: Load,
    of: impl Fn(&Rate) -> f64,
) -> Vec<(u32, f64)> {
    let samples = report.samples.iter();
    samples
        .filter(|sample| sample.contender == contender && sample.load == load)
        .map(|sample| (sample.round, of(&sample.rate)))
        .collect()
}

fn median(figures: &[(u32, f64)]) -> f64 {
    let values: Vec<f64> = figures.iter().map(|(_, value)| *value).collect();
    Summary::of(&values).map_or(f64::NAN, |summary| summary.median)
}

/// The median of the rounds' own ratios.
fn ratio(ours: &[(u32, f64)], theirs: &[(u32, f64)]) -> f64 {
    let pairs = ours.iter().filter_map(|(round, value)| {
        let (_, other) = theirs.iter().find(|(other, _)| other == round)?;
        Some((*round, value / other))
    });
    median(&pairs.collect::<Vec<_>>())
}

fn render(report: &Report) -> String {
    let mut text = format!(
        "On {}, state on {}. {} voters each, {} s each time; medians.\n\n",
        report.machine, report.machine.file_system, report.voters, report.seconds
    );
    text += "| clients | contender | commands/s | p50, ms | p99, ms | CPU, us | ratio: commands/s | p50 | p99 |\n";
    text += "|---|---|---:|---:|---:|---:|---:|---:|---:|\n";
    let mut loads: Vec<Load> = report.samples.iter().map(|sample| sample.load).collect();
    loads.sort_unstable();
    loads.dedup();
    let base = report.versions.iter().map(|(name, _)| *name).find(|name| *name == "etcd");
    for load in loads {
        for (contender, _) in &report.versions {
            let all = |name: &str| {
                [
                    figures(report, name, load, |rate| rate.per_second),
                    figures(report, name, load, |rate| rate.latency.p50_ms),
                    figures(report, name, load, |rate| rate.latency.p99_ms),
                    figures(report, name, load, |rate| rate.processor_us),
                ]
            };
            let own = all(contender);
            let [rate, p50, p99, used] = own.each_ref().map(|figures| median(figures));
            let ratios = match base {
                Some(base) if base != *contender => {
                    let theirs = all(base);
                    let ratio = |at: usize| format!("{:.2}", ratio(&own[at], &theirs[at]));
                    [ratio(0), ratio(1), ratio(2)].join(" | ")
                }
                _ => " | | ".to_owned(),
            };
            let Load { place, clients } = load;
            let _ = writeln!(
                text,
                "| {clients}, {} | {contender} | {rate:.0} | {p50:.2} | {p99:.2} | {used:.0} | {ratios} |",
                place.name()
            );
        }
    }
    let failed: u64 = report.samples.iter().map(|sample| sample.rate.failed).sum();
    if failed > 0 {
        let _ = writeln!(text, "\n{failed} commands were not acknowledged.");
    }
    for (name, version) in &report.versions {
        let _ = writeln!(text, "\n{name}: {version}");
    }
    text
}
