//! `mesh-sim`: runs seeds and says which fail.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_sim::plant::{self, Plant};
use mesh_sim::profile::{self, Profile};
use mesh_sim::run::{Report, run};
use mesh_sim::world::{Options, Stats};
use tracing_subscriber::filter::Targets;

/// Runs the real cores in virtual time under faults drawn from a seed.
#[derive(Debug, Parser)]
#[command(name = "mesh-sim", version)]
struct Args {
    /// One seed to run.
    #[arg(long, conflicts_with_all = ["seeds", "kept"], required_unless_present_any = ["seeds", "kept"])]
    seed: Option<u64>,
    /// Seeds to run, the first and the one after the last, such as 0..200.
    #[arg(long, value_parser = parse_range, conflicts_with = "kept")]
    seeds: Option<Seeds>,
    /// Run the seeds of a file of those that found something, such as seeds/chaos.seeds.
    #[arg(long, value_name = "FILE", value_parser = read_kept)]
    kept: Option<Seeds>,
    #[arg(long, default_value = "core", value_parser = parse_profile, help = profile_help())]
    profile: Profile,
    /// End each run after this many events.
    #[arg(long)]
    steps: Option<u64>,
    /// Run every seed twice and compare what happened.
    #[arg(long)]
    twice: bool,
    /// Print what happened, line by line.
    #[arg(long)]
    trace: bool,
    /// Log what the cores say to standard error; a filter such as mesh_control=debug.
    #[arg(long)]
    log: Option<Targets>,
    #[arg(long, value_parser = parse_plant, help = plant_help())]
    plant: Option<Plant>,
    /// Seeds run at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// Those to run, in their order.
#[derive(Debug, Clone)]
struct Seeds(Vec<u64>);

fn parse_range(text: &str) -> Result<Seeds, String> {
    let wrong = || "expected two numbers such as 0..200".to_owned();
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let range = first.parse().map_err(|_| wrong())?..end.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err("the range is empty".to_owned()) } else { Ok(Seeds(range.collect())) }
}

/// Lines such as `73, 115: what went wrong`. Those that begin with `#` are left out.
fn read_kept(file: &str) -> Result<Seeds, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut seeds = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let wrong = || format!("expected seeds, a colon and what they found: {line}");
        let (numbers, _) = line.split_once(':').ok_or_else(wrong)?;
        for number in numbers.split(',') {
            let seed = number.trim().parse().map_err(|_| wrong())?;
            if seeds.contains(&seed) {
                return Err(format!("seed {seed} stands in it twice"));
            }
            seeds.push(seed);
        }
    }
    match seeds.is_empty() {
        true => Err("there is no seed in it".to_owned()),
        false => Ok(Seeds(seeds)),
    }
}

fn profile_help() -> String {
    format!("What kind of run: {}", profile_names())
}

fn plant_help() -> String {
    format!("Plant a bug, to see that it is noticed: {}", plant_names())
}

fn profile_names() -> String {
    profile::ALL.map(|profile| profile.name).join(", ")
}

fn plant_names() -> String {
    plant::ALL.map(|(name, _)| name).join(", ")
}

fn parse_profile(name: &str) -> Result<Profile, String> {
    profile::named(name)
        .ok_or_else(|| format!("there is no such profile; there are {}", profile_names()))
}

fn parse_plant(name: &str) -> Result<Plant, String> {
    plant::named(name).ok_or_else(|| format!("there is no such bug; there are {}", plant_names()))
}

/// What came of one seed.
struct Outcome {
    seed: u64,
    report: Report,
    /// Why the seed fails, if it does.
    failure: Option<String>,
}

fn run_seed(seed: u64, args: &Args) -> Outcome {
    let options = Options {
        seed,
        profile: args.profile,
        max_events: args.steps,
        keep_trace: args.trace,
        plant: args.plant,
    };
    let report = run(options, args.log.clone());
    let mut failure = report.violation.as_ref().map(ToString::to_string);
    if args.twice && failure.is_none() {
        let again = run(options, args.log.clone());
        if again.digest != report.digest {
            failure = Some("determinism: two runs of this seed differ".to_owned());
            print_difference(&report, &again);
        }
    }
    Outcome { seed, report, failure }
}

fn print_difference(first: &Report, second: &Report) {
    let differ = first.trace.iter().zip(&second.trace).position(|(a, b)| a != b);
    if let Some(at) = differ {
        eprintln!("first difference, in line {at}:\n  {}\n  {}", first.trace[at], second.trace[at]);
    }
}

/// Adds up what happened in many runs.
#[derive(Default)]
struct Sum {
    seeds: u64,
    stats: Stats,
    slowest: Duration,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        let (sum, one) = (&mut self.stats, &report.stats);
        self.seeds += 1;
        self.slowest = self.slowest.max(report.took);
        sum.hosts += one.hosts;
        sum.events += one.events;
        sum.faults += one.faults;
        sum.crashes += one.crashes;
        sum.sent += one.sent;
        sum.delivered += one.delivered;
        sum.forged += one.forged;
        sum.intruders += one.intruders;
        sum.commands += one.commands;
        sum.rulings += one.rulings;
        sum.rekeys += one.rekeys;
        sum.transfers += one.transfers;
        sum.reads += one.reads;
        sum.trials += one.trials;
        sum.held_back += one.held_back;
        sum.recoveries += one.recoveries;
        sum.lies += one.lies;
        sum.forgeries += one.forgeries;
        sum.alarms += one.alarms;
        sum.terms += one.terms;
        sum.stranded += one.stranded;
        sum.calls += one.calls;
        sum.elapsed += one.elapsed;
    }

    fn print(&self, failures: usize, args: &Args, took: Duration) -> io::Result<()> {
        let Stats { hosts, events, faults, crashes, sent, delivered, forged, intruders, .. } =
            self.stats;
        let Stats { rekeys, .. } = self.stats;
        let Stats { commands, rulings, transfers, reads, terms, stranded, calls, elapsed, .. } =
            self.stats;
        let twice = if args.twice { " twice" } else { "" };
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{} seeds{twice}, profile {}: {failures} failed",
            self.seeds, args.profile.name
        )?;
        writeln!(out, "  {hosts} hosts, {events} events, {faults} faults, {crashes} crashes")?;
        writeln!(
            out,
            "  {commands} commands agreed in {terms} terms with {calls} calls, {stranded} members stranded"
        )?;
        writeln!(
            out,
            "  {rulings} rulings decided, {rekeys} keys changed, {transfers} leads handed over on request, {reads} reads"
        )?;
        let Stats { trials, held_back, .. } = self.stats;
        if trials + held_back > 0 {
            writeln!(
                out,
                "  {trials} times something of the next edition, {held_back} times too early"
            )?;
        }
        writeln!(
            out,
            "  {delivered} of {sent} packets delivered, {forged} sent with a forged source, {intruders} intruders turned away"
        )?;
        if self.stats.recoveries > 0 {
            let recoveries = self.stats.recoveries;
            writeln!(out, "  {recoveries} times gone on from one host that was left")?;
        }
        if args.profile.treason {
            let Stats { lies, forgeries, alarms, .. } = self.stats;
            writeln!(
                out,
                "  {lies} lies told by a voter, which the alarm named in {alarms} seeds, {forgeries} forged records refused"
            )?;
        }
        writeln!(
            out,
            "  {:.0} s of virtual time in {:.1} s, the slowest seed {:.1} s",
            elapsed.as_secs_f64(),
            took.as_secs_f64(),
            self.slowest.as_secs_f64()
        )
    }
}

/// Prints the trace, and the line that reproduces the failure. Says whether there was one.
fn tell(outcome: &Outcome, profile: &Profile) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    for line in &outcome.report.trace {
        writeln!(out, "{line}")?;
    }
    let Some(failure) = &outcome.failure else { return Ok(false) };
    let (seed, failure) = (outcome.seed, failure.replace('\n', " "));
    writeln!(out, "mesh-sim --seed {seed} --profile {}  # {failure}", profile.name)?;
    Ok(true)
}

/// Runs `seeds` on as many threads as asked for and adds them up; how many failed.
fn run_all(seeds: &[u64], args: &Args, sum: &mut Sum) -> io::Result<usize> {
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if done.send(run_seed(*seed, args)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut failed = 0;
        for outcome in outcomes {
            sum.add(&outcome.report);
            failed += usize::from(tell(&outcome, &args.profile)?);
        }
        Ok(failed)
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    let several = args.seeds.as_ref().or(args.kept.as_ref()).map(|seeds| seeds.0.as_slice());
    let seeds = args.seed.as_slice().iter().chain(several.unwrap_or_default());
    let seeds: Vec<u64> = seeds.copied().collect();
    let start = Instant::now();
    let mut sum = Sum::default();
    let ran = run_all(&seeds, &args, &mut sum);
    let told = ran.and_then(|failed| {
        sum.print(failed, &args, start.elapsed())?;
        Ok(failed)
    });
    match told {
        Ok(0) => ExitCode::SUCCESS,
        // Standard output going away leaves nobody to tell.
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}
