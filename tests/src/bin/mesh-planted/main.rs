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
/// First everything has to be green without a bug; then each bug has to turn its test, or its seed of the simulator,
/// red. A bug that does not compile counts as one that nobody noticed. Ends with 1 if there is any.
#[derive(Parser)]
#[command(name = "scripts/planted", version)]
struct Args {
    /// Only bugs with these words in what they are, in their file or in what notices them
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// The tree they are planted in: nobody else's, and as it was committed
    #[arg(long, value_name = "DIR")]
    tree: PathBuf,
    /// Where it is built
    #[arg(long, value_name = "DIR")]
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
    let mut bugs = Bug::all(&args.tree)?;
    if let Some(words) = &args.only {
        bugs.retain(|bug| format!("{bug:?}").contains(words));
    }
    let trial = Trial::new(&args.tree, &args.target);
    let started = Instant::now();
    let witnesses: BTreeSet<&Witness> = bugs.iter().map(|bug| &bug.noticed_by).collect();
    for witness in &witnesses {
        interrupt::check()?;
        match trial.hear(witness)? {
            Verdict::Green => {}
            other => return Err(Error::Failed(format!("without a bug, {witness} {other}"))),
        }
    }
    println!(
        "{} witnesses, green without a bug, {} s",
        witnesses.len(),
        started.elapsed().as_secs()
    );
    let mut unnoticed = 0;
    for (nth, bug) in bugs.iter().enumerate() {
        interrupt::check()?;
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
    println!(
        "{} planted, {} noticed, {} s",
        bugs.len(),
        bugs.len() - unnoticed,
        started.elapsed().as_secs()
    );
    if unnoticed > 0 {
        return Err(Error::Failed(format!("{unnoticed} bugs were not noticed")));
    }
    Ok(())
}

/// Does `work` while `bug` is in the tree.
fn with_bug<T>(bug: &Bug, tree: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let path = tree.join(&bug.file);
    let (sound, planted) = bug.passages(tree)?;
    let write = |text: &str| fs::write(&path, text).context(format!("write {}", path.display()));
    write(&planted)?;
    let done = work();
    write(&sound)?;
    done
}
