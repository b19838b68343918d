//! `scripts/bench failover`.

mod report;
mod verdict;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::Result;
use mesh_tests::bench::agreement::failover::{GIVE_UP, Subject};
use mesh_tests::bench::agreement::fault::Kind;
use mesh_tests::bench::interrupt;
use mesh_tests::bench::machine::Machine;

use crate::contenders::{self, Contender};
use crate::results;
use report::{Report, Sample};

/// The version of the JSON form.
const SCHEMA: &str = "mesh-bench/failover/1";

/// How long nobody can write after a fault.
///
/// Five voters of each contender. Every 25 ms a write is begun at a member that the fault leaves alone; what counts
/// is the time from the fault to the first acknowledgement of one begun since. Others are begun at the leader. At the end
/// every member must have all that was ever acknowledged, and our times must be as promised. Method: docs/performance.md.
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

/// How many rounds the same clusters live through. A mesh knows 11,000 invites at most: a round makes 330,
/// one whose faults are kept longer 830, and of 20 there are two of those.
const ROUNDS_OF_A_CLUSTER: u32 = 20;

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut report = Report {
        schema: SCHEMA,
        machine: Machine::this(),
        voters: VOTERS,
        rounds: args.rounds,
        limit_ms: millis(GIVE_UP),
        versions: Vec::new(),
        samples: Vec::new(),
        writes: Vec::new(),
    };
    let measured = measure(args, &mut report);
    if !report.samples.is_empty() {
        println!("{}", report.render());
    }
    verdict::lost_nothing(&report)?;
    measured?;
    verdict::in_time(&report)
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
                let outage = subject.suffer(*kind, round)?;
                report.samples.push(Sample {
                    contender: subject.cluster().name(),
                    fault: *kind,
                    round,
                    leader: outage.leader,
                    met: outage.fault,
                    next_write_ms: outage.next_write.map(millis),
                    leader_changed: outage.leader_changed,
                    recovery_ms: millis(outage.recovery),
                });
                tell(report.samples.last());
            }
        }
        results::write(&args.results, "failover", &report.render(), report)?;
    }
    for subject in subjects {
        let audit = subject.audit()?;
        let name = subject.cluster().name();
        match report.writes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, all)) => *all = all.and(audit),
            None => report.writes.push((name, audit)),
        }
    }
    results::write(&args.results, "failover", &report.render(), report)
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

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
