//! What is asked for on the command line.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use mesh_sim::plant::{self, Plant};
use mesh_sim::profile::{self, Profile};
use tracing_subscriber::filter::Targets;

/// Every profile, by one name.
const ALL: &str = "all";

/// Runs the real cores in virtual time under faults drawn from a seed.
#[derive(Debug, Parser)]
#[command(name = "mesh-sim", version)]
pub(crate) struct Args {
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
    profile: Profiles,
    /// End each run after this many events.
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Run every seed twice and compare what happened.
    #[arg(long)]
    pub(crate) twice: bool,
    /// Print what happened, line by line.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Log what the cores say to standard error; a filter such as mesh_control=debug.
    #[arg(long)]
    pub(crate) log: Option<Targets>,
    #[arg(long, value_parser = parse_plant, help = plant_help())]
    pub(crate) plant: Option<Plant>,
    /// Seeds run at the same time.
    #[arg(long, default_value_t = 2)]
    pub(crate) jobs: usize,
}

impl Args {
    /// What the process was started with; ends it where that is nothing to run.
    pub(crate) fn of_process() -> Self {
        let args = Self::parse();
        args.check().unwrap_or_else(|error| error.exit());
        args
    }

    /// A kept seed found something in its own profile, and a trace tells one story.
    fn check(&self) -> Result<(), clap::Error> {
        let asked = [("--kept", self.kept.is_some()), ("--trace", self.trace)];
        match asked.into_iter().find(|(_, is_asked)| *is_asked) {
            Some((option, _)) if self.runs_all() => {
                let message = format!("{option} is for one profile, not for all of them");
                Err(Self::command().error(ErrorKind::ArgumentConflict, message))
            }
            _ => Ok(()),
        }
    }

    /// Those to run, in their order.
    pub(crate) fn seeds(&self) -> Vec<u64> {
        let several = self.seeds.as_ref().or(self.kept.as_ref()).map(|seeds| seeds.0.as_slice());
        self.seed.as_slice().iter().chain(several.unwrap_or_default()).copied().collect()
    }

    /// In which profiles, one after the other.
    pub(crate) fn profiles(&self) -> &[Profile] {
        match &self.profile {
            Profiles::One(profile) => std::slice::from_ref(profile),
            Profiles::All => &profile::ALL,
        }
    }

    /// Whether every profile is asked for, by the name of all.
    pub(crate) fn runs_all(&self) -> bool {
        matches!(self.profile, Profiles::All)
    }
}

/// What kinds of runs.
#[derive(Debug, Clone)]
enum Profiles {
    One(Box<Profile>),
    All,
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
    format!("What kind of run: {}; or {ALL} of them in turn", profile_names())
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

fn parse_profile(name: &str) -> Result<Profiles, String> {
    if name == ALL {
        return Ok(Profiles::All);
    }
    let known = profile::named(name).map(|profile| Profiles::One(Box::new(profile)));
    known.ok_or_else(|| {
        format!("there is no such profile; there are {}, and {ALL}", profile_names())
    })
}

fn parse_plant(name: &str) -> Result<Plant, String> {
    plant::named(name).ok_or_else(|| format!("there is no such bug; there are {}", plant_names()))
}
