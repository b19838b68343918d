//! Bugs to plant, each with what has to notice it: the files of `tests/planted`.
//!
//! A bug is another wording of one passage of one file. `scripts/planted` plants one after the other in a tree of its
//! own; `tests/tests/planted.rs` sees to it that all of them still fit the code.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Context as _, Error, Result};

/// Where they are, from the repository's root.
pub const DIRECTORY: &str = "tests/planted";

/// A bug, and who notices it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// What is wrong, in a few words.
    pub what: String,
    /// Where, from the repository's root.
    pub file: PathBuf,
    /// What stands there, whole lines, once in the file.
    pub instead_of: String,
    /// What stands there with the bug.
    pub it_says: String,
    /// What found it, where it was a bug before it was planted.
    pub found_by: Option<String>,
    /// What turns red.
    pub noticed_by: Witness,
}

/// What turns red with a bug, and is green without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Witness {
    /// One test.
    Test {
        /// Of which package.
        package: String,
        /// With which of the package's features.
        feature: Option<String>,
        /// In which file or directory of the package's `tests`; beside the code itself without.
        test: Option<String>,
        /// Its path.
        name: String,
    },
    /// A world of the simulator.
    Seed {
        /// What breaks in it.
        profile: String,
        /// What it is drawn from.
        seed: u64,
        /// What does not hold in it.
        invariant: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bugs {
    bug: Vec<Bug>,
}

impl Bug {
    /// The line of `docs/testing.md` that tells of it, in one of its tables.
    pub fn row(&self) -> String {
        let Self { what, found_by, noticed_by, .. } = self;
        match found_by {
            Some(found_by) => format!("| {what} | {found_by} | `{noticed_by}` |"),
            None => format!("| {what} | `{noticed_by}` |"),
        }
    }

    /// All that the repository at `root` knows, file by file.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let directory = root.join(DIRECTORY);
        let entries = fs::read_dir(&directory).context(format!("list {}", directory.display()))?;
        let files: BTreeSet<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
            .collect();
        let mut bugs = Vec::new();
        for file in files {
            let text = fs::read_to_string(&file).context(format!("read {}", file.display()))?;
            let read: Bugs = toml::from_str(&text)
                .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))?;
            bugs.extend(read.bug);
        }
        Ok(bugs)
    }

    /// `text`, which is that of the bug's file, with the bug.
    pub fn planted_in(&self, text: &str) -> Result<String> {
        let (sound, planted) = (whole_lines(&self.instead_of), whole_lines(&self.it_says));
        let framed = format!("\n{text}");
        match framed.matches(&sound).count() {
            1 => Ok(framed.replacen(&sound, &planted, 1)[1..].to_owned()),
            count => Err(Error::Failed(format!(
                "\"{}\" does not fit: its lines stand {count} times in {}; mend its entry in {DIRECTORY}",
                self.what,
                self.file.display()
            ))),
        }
    }
}

/// `passage` with the ends of the lines before it and of its last.
fn whole_lines(passage: &str) -> String {
    format!("\n{passage}\n")
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test { package, test: Some(test), name, .. } => {
                write!(f, "{package} {test} {name}")
            }
            Self::Test { package, test: None, name, .. } => write!(f, "{package} {name}"),
            Self::Seed { profile, seed, invariant } => write!(f, "{profile} {seed} {invariant}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bug(instead_of: &str, it_says: &str) -> Bug {
        let noticed_by =
            Witness::Seed { profile: "core".into(), seed: 1, invariant: "liveness".into() };
        let (instead_of, it_says) = (instead_of.to_owned(), it_says.to_owned());
        let (what, file, found_by) = ("a".into(), "b".into(), None);
        Bug { what, file, instead_of, it_says, found_by, noticed_by }
    }

    #[test]
    fn a_bug_stands_in_place_of_its_lines_and_nothing_else_changes() {
        let planted = bug("first\nsecond", "other").planted_in("first\nsecond\nthird\n").unwrap();
        assert_eq!(planted, "other\nthird\n");
    }

    #[test]
    fn lines_that_are_not_there_once_are_refused() {
        for text in ["one\n", "first\nfirst\nmiddle\nfirst\n", "and first\n", "first \n", ""] {
            bug("first", "other").planted_in(text).unwrap_err();
        }
    }
}
