//! How the daemon ends, and what it tells its operator then.
//!
//! Scripts and service managers read the number, people the three sentences: what happened, what it
//! means, what to do.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// Why the process ends. The numbers are part of the contract (`sysexits.h` where it has a word).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Asked to stop, and stopped. 0.
    Clean,
    /// Arguments or configuration that cannot be understood. 64.
    Usage,
    /// Understood, but this host does not give what was asked for: a port in use, a right that is
    /// missing, a state directory another daemon holds. 64, because the remedy is the same: ask for
    /// something else. Starting again will not help until an operator has acted.
    Environment,
    /// A state file is damaged. 65.
    Corrupt,
    /// Identity and store do not belong together: a store that was wiped or restored must not vote
    /// under its old name. 66.
    Mismatch,
    /// Keys are missing. 67.
    TrustMissing,
    /// A panic: a bug of ours. Rust's own 101 never leaves this process. 70.
    Bug,
    /// The host took away what the daemon was using, or does not give it yet: the interface was deleted,
    /// the port is gone, the address to listen on is not there. Nothing is wrong with the configuration,
    /// and starting again mends it. 71.
    Lost,
    /// The disk failed; after a failed fsync this process acknowledges nothing any more. A member's tunnels go on until
    /// it is asked to end, and then it ends with this. 74.
    Disk,
}

impl Reason {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Usage | Self::Environment => 64,
            Self::Corrupt => 65,
            Self::Mismatch => 66,
            Self::TrustMissing => 67,
            Self::Bug => 70,
            Self::Lost => 71,
            Self::Disk => 74,
        }
    }
}

/// The end of the process: its reason and, unless clean, what the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Why.
    pub(crate) reason: Reason,
    what: String,
    meaning: String,
    remedy: String,
}

impl Exit {
    /// Asked to stop, and stopped.
    pub(crate) fn clean() -> Self {
        Self::because(Reason::Clean, "")
    }

    /// `what` happened.
    pub(crate) fn because(reason: Reason, what: impl fmt::Display) -> Self {
        Self { reason, what: what.to_string(), meaning: String::new(), remedy: String::new() }
    }

    /// What that means for the operator.
    #[must_use]
    pub(crate) fn meaning(mut self, meaning: impl fmt::Display) -> Self {
        self.meaning = meaning.to_string();
        self
    }

    /// What they can do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }

    /// Asked to stop, and nothing else happened.
    pub(crate) fn is_clean(&self) -> bool {
        self.reason == Reason::Clean
    }

    /// What happened and what it means, as one sentence without an end.
    pub(crate) fn sentence(&self) -> String {
        match self.meaning.is_empty() {
            true => self.what.clone(),
            false => format!("{}; {}", self.what, self.meaning),
        }
    }

    /// What the operator can do about it; empty when there is nothing to add.
    pub(crate) fn advice(&self) -> &str {
        &self.remedy
    }

    /// Says on stderr why the process ends, and gives the number to end it with.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.is_clean() {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr().lock(), "{self}");
        }
        ExitCode::from(self.reason.code())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "meshd: {}", self.what)?;
        for (label, text) in [("it means", &self.meaning), ("what to do", &self.remedy)] {
            if !text.is_empty() {
                write!(f, "\n  {label}: {text}")?;
            }
        }
        Ok(())
    }
}

thread_local! {
    /// Whether this thread is inside [`expecting_panic`].
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Makes a panic anywhere end the whole process with [`Reason::Bug`], except where one is expected.
///
/// A thread that died silently would leave a daemon that answers but no longer forwards, or that
/// votes but no longer writes. Ending at once lets the service manager start a fresh one, and what was
/// promised is on disk.
pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // The hook runs before anything can catch the panic. A thread that is past its end is inside
        // nothing.
        if EXPECTED.try_with(Cell::get).unwrap_or(false) {
            return tracing::debug!(%panic, "an expected panic");
        }
        tracing::error!(%panic, "panic");
        end_with_bug(panic);
    }));
}

/// Runs `work`, which catches the panics it causes: of a library that panics over damaged input, where
/// the damage is the operator's to hear of and no bug. A panic that `work` lets out is a bug as any other.
pub(crate) fn expecting_panic<T>(work: impl FnOnce() -> T) -> T {
    let _scope = Expecting { before: EXPECTED.replace(true) };
    work()
}

/// While it lives, panics of this thread are expected.
struct Expecting {
    before: bool,
}

impl Drop for Expecting {
    fn drop(&mut self) {
        EXPECTED.set(self.before);
        if std::thread::panicking() {
            end_with_bug(&"it was expected and not caught");
        }
    }
}

fn end_with_bug(panic: &dyn fmt::Display) -> ! {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let exit = Exit::because(Reason::Bug, format_args!("panic in thread `{name}`: {panic}"))
        .meaning("this is a bug in meshd; the process ends so that a fresh one can take over")
        .remedy("please report the lines above; state on disk is consistent, restarting is safe");
    let _ = exit.report();
    std::process::exit(Reason::Bug.code().into())
}

#[cfg(test)]
mod tests {
    use mesh_control::raft::{Start, Store, StoreError};
    use mesh_model::MemberId;

    use super::*;
    use crate::io::disk;
    use crate::io::fixture::{genesis, root};

    #[test]
    fn an_exit_tells_what_it_means_and_what_to_do() {
        let exit = Exit::because(Reason::Corrupt, "identity.key is damaged")
            .meaning("this host cannot prove who it is")
            .remedy("restore it from a backup");
        assert_eq!(
            exit.to_string(),
            "meshd: identity.key is damaged\n  it means: this host cannot prove who it is\n  what to do: restore it from a backup"
        );
    }

    #[test]
    fn codes_are_those_of_the_contract() {
        let codes = [
            (Reason::Clean, 0),
            (Reason::Usage, 64),
            (Reason::Environment, 64),
            (Reason::Corrupt, 65),
            (Reason::Mismatch, 66),
            (Reason::TrustMissing, 67),
            (Reason::Bug, 70),
            (Reason::Lost, 71),
            (Reason::Disk, 74),
        ];
        for (reason, code) in codes {
            assert_eq!(reason.code(), code, "{reason:?}");
        }
    }

    /// What [`panics_as_it_is_told`] does.
    const CHILD_PANIC: &str = "MESHD_TEST_PANIC";

    /// Not a test of its own: the part of the next one that runs in a process of its own, because the
    /// hook belongs to the whole process and ends it.
    #[test]
    fn panics_as_it_is_told() {
        let Some(told) = std::env::var_os(CHILD_PANIC) else {
            return;
        };
        end_on_panic();
        let caught = || assert!(std::panic::catch_unwind(|| panic!("caught")).is_err());
        match told.to_str() {
            Some("expected") => expecting_panic(caught),
            Some("damaged store") => expecting_panic(open_damaged_store),
            Some("damaged store, unexpected") => open_damaged_store(),
            Some("let out") => drop(std::panic::catch_unwind(|| {
                expecting_panic(|| panic!("let out"));
            })),
            Some("afterwards") => {
                expecting_panic(caught);
                caught();
            }
            _ => caught(),
        }
    }

    /// Opens a store whose pages after the header are overwritten: redb panics over them.
    fn open_damaged_store() {
        const PAGE: usize = 4096;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mesh.redb");
        let start = Start::Genesis(genesis());
        let file = disk::open_log(&path).expect("opened");
        drop(Store::create(file, &root(), start).expect("created"));
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[PAGE..8 * PAGE].fill(0x5a);
        std::fs::write(&path, bytes).expect("written");
        let file = disk::open_log(&path).expect("opened");
        match Store::open(file, MemberId(1), &root()) {
            Err(StoreError::Corrupt(_)) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("believed a damaged store"),
        }
    }

    #[test]
    fn a_panic_ends_the_process_unless_it_is_expected_and_caught() {
        let cases = [
            ("expected", 0),
            ("damaged store", 0),
            // Otherwise the case above says nothing.
            ("damaged store, unexpected", 70),
            ("let out", 70),
            ("afterwards", 70),
            ("outside of anything", 70),
        ];
        for (told, code) in cases {
            let done = std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "exit::tests::panics_as_it_is_told", "--nocapture"])
                .env(CHILD_PANIC, told)
                .output()
                .expect("started");
            assert_eq!(done.status.code(), Some(code), "{told}: {done:?}");
        }
    }
}
