//! Places where a test makes the disk fail, or the process die: each step on the way from bytes in memory to bytes that
//! outlive a power cut.
//!
//! Only a build with the cargo feature `failpoints` has them, and no release build can: without it [`reached`] is
//! nothing. What shall happen is said by the environment, once for the whole process:
//!
//! ```text
//! MESHD_FAILPOINTS=log-sync=error              the first fsync of the log fails with EIO
//! MESHD_FAILPOINTS=draft-synced=abort:after-2  the process dies at the third such moment
//! ```
//!
//! Each strikes once: a disk that fails and then works again is the harder case. Points are kinds of steps, not files.
//! Every occurrence can be chosen, and with it each commit of the log (a vote, entries, a snapshot), each file that
//! joining makes and each that leaving removes. `meshd failpoints` lists them for the tests, which strike at all.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: never in a release build");

/// Makes the points and, where they can strike, the list of all of them.
macro_rules! failpoints {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)+) => {
        /// A durable step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Failpoint {
            $($(#[$doc])* $point,)+
        }

        #[cfg(feature = "failpoints")]
        impl Failpoint {
            /// All there are.
            pub(crate) const ALL: &[Self] = &[$(Self::$point),+];

            /// What tests call it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

failpoints! {
    /// A small file is about to be written under the name of its draft.
    DraftWrite = "draft-write",
    /// It is made, and nothing is in it.
    DraftMade = "draft-made",
    /// Its bytes are written and not yet safe.
    DraftWritten = "draft-written",
    /// They are safe, under a name nobody looks for.
    DraftSynced = "draft-synced",
    /// A file is about to get its final name.
    Rename = "rename",
    /// It has that name, until power fails.
    Renamed = "renamed",
    /// A file is about to be removed.
    Remove = "remove",
    /// It is gone, until power fails.
    Removed = "removed",
    /// A directory is about to be made, if it is not there.
    MakeDirectory = "make-directory",
    /// It is made and not yet safe.
    DirectoryMade = "directory-made",
    /// A directory is about to be removed with all that is in it.
    RemoveTree = "remove-tree",
    /// It is gone, until power fails.
    TreeRemoved = "tree-removed",
    /// The names in a directory are about to be made safe.
    DirectorySync = "directory-sync",
    /// They are safe.
    DirectorySynced = "directory-synced",
    /// The log's file is about to change its length.
    LogResize = "log-resize",
    /// A page of it is about to be written.
    LogWrite = "log-write",
    /// What was written to it is about to be made safe.
    LogSync = "log-sync",
    /// It is safe, and nobody has been told.
    LogSynced = "log-synced",
    /// A new tunnel key is safe, and nobody has been asked to agree to it.
    KeyPrepared = "key-prepared",
    /// It is agreed, and the file still has it in the second place.
    KeyAgreed = "key-agreed",
}

/// Says that `point` is reached: an error if it shall fail there, no return if the process shall die.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reached(_: Failpoint) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) use charge::reached;

#[cfg(feature = "failpoints")]
mod charge {
    use std::io::{self, Write as _};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::errno::Errno;

    use super::Failpoint;

    /// Says what shall happen where.
    const VARIABLE: &str = "MESHD_FAILPOINTS";

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Abort,
        Error,
    }

    /// What shall happen at one point.
    #[derive(Debug)]
    struct Charge {
        point: Failpoint,
        action: Action,
        /// How often the point is passed before.
        after: u64,
        passed: AtomicU64,
    }

    static CHARGES: LazyLock<Vec<Charge>> = LazyLock::new(|| {
        let said = std::env::var(VARIABLE).unwrap_or_default();
        parse(&said).unwrap_or_else(|| panic!("{VARIABLE}: `{said}` is not understood"))
    });

    /// See [`Failpoint`].
    pub(crate) fn reached(point: Failpoint) -> io::Result<()> {
        let strikes = |charge: &&Charge| {
            charge.point == point && charge.passed.fetch_add(1, Ordering::Relaxed) == charge.after
        };
        let Some(charge) = CHARGES.iter().find(strikes) else { return Ok(()) };
        // Whoever charged it looks for this line.
        let told = format!("failpoint {} strikes: {:?}", point.name(), charge.action);
        let _ = writeln!(io::stderr().lock(), "{told}");
        match charge.action {
            Action::Abort => std::process::abort(),
            Action::Error => Err(Errno::EIO.into()),
        }
    }

    /// `point=action[:after-n],...`
    fn parse(said: &str) -> Option<Vec<Charge>> {
        let words = said.split(',').filter(|word| !word.is_empty());
        words.map(parse_one).collect()
    }

    fn parse_one(said: &str) -> Option<Charge> {
        let (name, rest) = said.split_once('=')?;
        let (action, after) = match rest.split_once(":after-") {
            Some((action, after)) => (action, after.parse().ok()?),
            None => (rest, 0),
        };
        let action = match action {
            "abort" => Action::Abort,
            "error" => Action::Error,
            _ => return None,
        };
        let point = *Failpoint::ALL.iter().find(|point| point.name() == name)?;
        Some(Charge { point, action, after, passed: AtomicU64::new(0) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_shall_happen_is_understood_or_refused() {
            let charges = parse("log-sync=error,renamed=abort:after-3").expect("both are said");
            let told: Vec<_> =
                charges.iter().map(|charge| (charge.point, charge.action, charge.after)).collect();
            assert_eq!(
                told,
                [(Failpoint::LogSync, Action::Error, 0), (Failpoint::Renamed, Action::Abort, 3)]
            );
            assert!(parse("").is_some_and(|none| none.is_empty()));
            for wrong in ["log-sync", "log-sync=sleep", "nowhere=abort", "renamed=abort:after-x"] {
                assert!(parse(wrong).is_none(), "{wrong}");
            }
        }
    }
}
