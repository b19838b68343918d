//! `mesh-sim`: runs seeds and says which fail.

mod args;
mod sum;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use mesh_sim::profile::Profile;
use mesh_sim::run::{Report, run};
use mesh_sim::world::Options;

use args::Args;
use sum::Sum;

/// What came of one seed.
struct Outcome {
    seed: u64,
    report: Report,
    /// How often it was run.
    runs: u32,
    /// Why the seed fails, if it does.
    failure: Option<String>,
}

fn run_seed(seed: u64, profile: &Profile, args: &Args) -> Outcome {
    let options = Options {
        seed,
        profile: *profile,
        max_events: args.steps,
        keep_trace: args.trace,
        plant: args.plant,
    };
    let report = run(options, args.log.clone());
    let failure = report.violation.as_ref().map(ToString::to_string);
    if !args.twice || failure.is_some() {
        return Outcome { seed, report, runs: 1, failure };
    }
    let again = run(options, args.log.clone());
    let differs = again.digest != report.digest;
    if differs {
        print_difference(&report, &again);
    }
    let failure = differs.then(|| "determinism: two runs of this seed differ".to_owned());
    Outcome { seed, report, runs: 2, failure }
}

fn print_difference(first: &Report, second: &Report) {
    let mut lines = first.trace.iter().zip(&second.trace).enumerate();
    let Some((at, (a, b))) = lines.find(|(_, (a, b))| a != b) else { return };
    if a.text == b.text {
        eprintln!("first difference, in bytes that were sent before line {at}:\n  {}", a.text);
    } else {
        eprintln!("first difference, in line {at}:\n  {}\n  {}", a.text, b.text);
    }
}

/// Prints the trace, and the line that reproduces the failure.
fn tell(outcome: &Outcome, profile: &Profile) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in &outcome.report.trace {
        writeln!(out, "{}", line.text)?;
    }
    let Some(failure) = &outcome.failure else { return Ok(()) };
    let (seed, failure) = (outcome.seed, failure.replace('\n', " "));
    writeln!(out, "mesh-sim --seed {seed} --profile {}  # {failure}", profile.name)
}

/// Runs all seeds in `profile` on as many threads as asked for and adds them up.
fn run_profile(profile: &Profile, args: &Args) -> io::Result<Sum> {
    let (start, seeds) = (Instant::now(), args.seeds());
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let (done, next, seeds) = (done.clone(), &next, &seeds);
            scope.spawn(move || {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if done.send(run_seed(*seed, profile, args)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut sum = Sum::default();
        for outcome in outcomes {
            sum.add(&outcome.report, outcome.runs, outcome.failure.is_some());
            tell(&outcome, profile)?;
        }
        sum.took = start.elapsed();
        Ok(sum)
    })
}

/// Runs what was asked for; how many seeds failed.
fn run_profiles(args: &Args) -> io::Result<usize> {
    let mut whole = Sum::default();
    for profile in args.profiles() {
        let sum = run_profile(profile, args)?;
        match args.runs_all() {
            true => sum.print_line(profile.name)?,
            false => sum.print(profile, args.twice)?,
        }
        whole.join(&sum);
    }
    if args.runs_all() {
        whole.print_line("all")?;
    }
    Ok(whole.failed)
}

fn main() -> ExitCode {
    match run_profiles(&Args::of_process()) {
        Ok(0) => ExitCode::SUCCESS,
        // Standard output going away leaves nobody to tell.
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}
