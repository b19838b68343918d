//! Building and running what has to notice a bug.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mesh_tests::bench::interrupt;
use mesh_tests::error::Context as _;
use mesh_tests::planted::Witness;
use mesh_tests::{Error, Result};

/// How long a test or a seed may take. The longest takes seconds without a bug.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// The package without a library: its tests are in the program.
const DAEMON: &str = "meshd";

/// What a test's program ends with when a test has failed, and the simulator when a seed has.
const TEST_FAILED: i32 = 101;
const SEED_FAILED: i32 = 1;

/// A tree, and where it is built.
pub(crate) struct Trial<'a> {
    tree: &'a Path,
    target: &'a Path,
}

/// What a witness says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Green,
    /// Something is wrong.
    Red,
    /// Nothing, for as long as there was [`PATIENCE`].
    Silent,
    /// It ended otherwise than a test does that failed, or there is no such test.
    Unclear,
    /// What it is in does not compile.
    Unbuilt,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(tree: &'a Path, target: &'a Path) -> Self {
        Self { tree, target }
    }

    /// Has `witness` built and asks it.
    pub(crate) fn hear(&self, witness: &Witness) -> Result<Verdict> {
        let Some(program) = self.build(witness)? else { return Ok(Verdict::Unbuilt) };
        let heard = self.target.join("heard");
        let output = File::create(&heard).context(format!("make {}", heard.display()))?;
        let mut command = Command::new(program);
        match witness {
            Witness::Test { name, .. } => command.args(["--exact", name]),
            Witness::Seed { profile, seed, .. } => {
                command.args(["--seed", &seed.to_string(), "--profile", profile])
            }
        };
        let child = command
            .current_dir(self.tree)
            .env("RUST_BACKTRACE", "0")
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .context("run what was built")?;
        let Some(status) = within(PATIENCE, child)? else { return Ok(Verdict::Silent) };
        let said = std::fs::read_to_string(&heard).context(format!("read {}", heard.display()))?;
        Ok(judge(witness, status, &said))
    }

    /// The program that `witness` is in, built; nothing if it does not compile.
    fn build(&self, witness: &Witness) -> Result<Option<PathBuf>> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(self.tree).env("CARGO_INCREMENTAL", "0");
        match witness {
            Witness::Test { package, feature, test, .. } => {
                cargo.args(["test", "--no-run", "--package", package]).arg("--target-dir");
                cargo.arg(self.target);
                cargo.args(feature.iter().flat_map(|feature| ["--features", feature]));
                match test {
                    Some(test) => cargo.args(["--test", test]),
                    None if package == DAEMON => cargo.args(["--bin", DAEMON]),
                    None => cargo.arg("--lib"),
                };
            }
            Witness::Seed { .. } => {
                cargo.args(["build", "--release", "--bin", "mesh-sim"]);
                cargo.args(["--manifest-path", "tests/sim/Cargo.toml", "--target-dir"]);
                cargo.arg(self.target.join("sim"));
            }
        }
        cargo.args(["--locked", "--quiet", "--message-format", "json"]);
        let built = cargo.stderr(Stdio::null()).output().context("run cargo")?;
        // Whoever interrupts a run interrupts the compiler, too.
        interrupt::check()?;
        if !built.status.success() {
            return Ok(None);
        }
        program_in(&built.stdout).map(Some)
    }
}

/// The program that cargo says it made, in the last of its messages that names one.
fn program_in(messages: &[u8]) -> Result<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .ok_or_else(|| Error::Failed("cargo built no program".to_owned()))
}

/// How `child` ended; nothing if it had not in `limit`, and was killed.
fn within(limit: Duration, mut child: Child) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < limit && !interrupt::requested() {
        if let Some(status) = child.try_wait().context("wait for a test")? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK);
    }
    child.kill().context("end a test")?;
    child.wait().context("wait for a test")?;
    interrupt::check()?;
    Ok(None)
}

fn judge(witness: &Witness, status: ExitStatus, said: &str) -> Verdict {
    match (witness, status.code()) {
        (Witness::Test { .. }, Some(0)) if said.contains("test result: ok. 1 passed") => {
            Verdict::Green
        }
        (Witness::Test { .. }, Some(TEST_FAILED)) if said.contains("0 passed; 1 failed") => {
            Verdict::Red
        }
        (Witness::Seed { .. }, Some(0)) => Verdict::Green,
        // Another invariant than the bug's own, time that does not go on among them, is something else.
        (Witness::Seed { invariant, .. }, Some(SEED_FAILED))
            if said.contains(&format!("  # {invariant}:")) =>
        {
            Verdict::Red
        }
        _ => Verdict::Unclear,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Green => "is green",
            Self::Red => "is red",
            Self::Silent => "does not end",
            Self::Unclear => "is not there, or ended by itself",
            Self::Unbuilt => "does not compile",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const FAILED: &str = "test result: FAILED. 0 passed; 1 failed; 0 ignored";

    fn test() -> Witness {
        Witness::Test { package: "p".into(), feature: None, test: None, name: "n".into() }
    }

    fn of_test(code: i32, said: &str) -> Verdict {
        judge(&test(), ExitStatus::from_raw(code << 8), said)
    }

    fn of_seed(code: i32, said: &str) -> Verdict {
        let witness =
            Witness::Seed { profile: "core".into(), seed: 1, invariant: "liveness".into() };
        judge(&witness, ExitStatus::from_raw(code << 8), said)
    }

    #[test]
    fn a_test_is_red_when_it_was_run_and_failed() {
        assert_eq!(of_test(TEST_FAILED, FAILED), Verdict::Red);
        assert_eq!(of_test(0, "test result: ok. 1 passed; 0 failed"), Verdict::Green);
        // No such test, a program that broke off before it, and one that a signal ended.
        assert_eq!(of_test(0, "test result: ok. 0 passed; 0 failed"), Verdict::Unclear);
        assert_eq!(of_test(TEST_FAILED, "running 1 test"), Verdict::Unclear);
        assert_eq!(judge(&test(), ExitStatus::from_raw(6), FAILED), Verdict::Unclear);
    }

    #[test]
    fn a_seed_is_red_when_its_own_invariant_does_not_hold() {
        let broken =
            |invariant: &str| format!("mesh-sim --seed 1 --profile core  # {invariant}: h2");
        assert_eq!(of_seed(SEED_FAILED, &broken("liveness")), Verdict::Red);
        assert_eq!(of_seed(SEED_FAILED, &broken("time_goes_on")), Verdict::Unclear);
        assert_eq!(of_seed(SEED_FAILED, ""), Verdict::Unclear);
        assert_eq!(of_seed(2, &broken("liveness")), Verdict::Unclear);
        assert_eq!(of_seed(0, ""), Verdict::Green);
    }
}
