//! mesh-planted: plants bugs, one at a time, and says which of them nothing notices. `scripts/planted` runs it.

// This program talks to a person; standard output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod trial;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use mesh_tests::bench::interrupt;
use mesh_tests::error::Context as _;
use mesh_tests::planted::{Bug, Witness};
use mesh_tests::{Error, Result};

use crate::trial::{Trial, Verdict};

/// Plants bugs, one at a time, and looks whether what has to notice them does.
///
/// Everything has to be green without a bug, before and after; each bug has to turn its test, or its seed of the
/// simulator, red. One that does not compile, or after which nothing ends, counts as not noticed. Ends with 1 if there is any.
#[derive(Parser)]
#[command(name = "scripts/planted", version)]
struct Args {
    /// Only bugs with these words in what they are, in their file's name, in what found them or in what notices them
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// The work tree they are planted in, made by `git worktree add`: nobody else's
    #[arg(long, value_name = "DIR", hide = true)]
    tree: PathBuf,
    /// Where it is built
    #[arg(long, value_name = "DIR", hide = true)]
    target: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    interrupt::heed()?;
    // Whoever breaks off a run with force leaves a bug behind. That must not be in a tree that somebody works in.
    if !args.tree.join(".git").is_file() {
        return Err(Error::Failed(format!(
            "{} is no linked work tree; scripts/planted makes one",
            args.tree.display()
        )));
    }
    let bugs = chosen(args)?;
    let trial = Trial::new(&args.tree, &args.target);
    let started = Instant::now();
    all_green(&bugs, &trial)?;
    println!("all that notice are green without a bug, {} s", started.elapsed().as_secs());
    let mut unnoticed = 0;
    for (nth, bug) in bugs.iter().enumerate() {
        let since = Instant::now();
        let verdict = with_bug(bug, &args.tree, || trial.hear(&bug.noticed_by))?;
        let word = if verdict == Verdict::Red { "noticed" } else { "NOT NOTICED" };
        unnoticed += usize::from(verdict != Verdict::Red);
        println!(
            "{}/{} {word}: {} ({} {verdict}, {} s)",
            nth + 1,
            bugs.len(),
            bug.what,
            bug.noticed_by,
            since.elapsed().as_secs()
        );
    }
    // What has turned red for another reason meanwhile, a full disk perhaps, is red still.
    all_green(&bugs, &trial)?;
    println!(
        "{} planted, {} noticed, {} s; all that notice are green again",
        bugs.len(),
        bugs.len() - unnoticed,
        started.elapsed().as_secs()
    );
    match unnoticed {
        0 => Ok(()),
        _ => Err(Error::Failed(format!("{unnoticed} bugs were not noticed"))),
    }
}

/// Those that are wanted.
fn chosen(args: &Args) -> Result<Vec<Bug>> {
    let mut bugs = Bug::all(&args.tree)?;
    if let Some(words) = &args.only {
        bugs.retain(|bug| {
            // What it is, what found it and who notices it.
            bug.row().contains(words) || bug.file.display().to_string().contains(words)
        });
    }
    match bugs.is_empty() {
        true => Err(Error::Failed("no bug has these words in it".to_owned())),
        false => Ok(bugs),
    }
}

/// An error unless all that have to notice a bug are green now.
fn all_green(bugs: &[Bug], trial: &Trial<'_>) -> Result<()> {
    let witnesses: BTreeSet<&Witness> = bugs.iter().map(|bug| &bug.noticed_by).collect();
    for witness in witnesses {
        match trial.hear(witness)? {
            Verdict::Green => {}
            other => return Err(Error::Failed(format!("without a bug, {witness} {other}"))),
        }
    }
    Ok(())
}

/// Does `work` while `bug` is in the tree.
fn with_bug<T>(bug: &Bug, tree: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let path = tree.join(&bug.file);
    let sound = fs::read_to_string(&path).context(format!("read {}", path.display()))?;
    let write = |text: &str| fs::write(&path, text).context(format!("write {}", path.display()));
    write(&bug.planted_in(&sound)?)?;
    let done = work();
    write(&sound)?;
    done
}
