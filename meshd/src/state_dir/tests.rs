//! A directory through its life, and in every state it must not be in.

mod damage;
mod hints;
mod identity;
mod joining;
mod rights;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mesh_model::trust::MeshRoot;
use mesh_model::{IdentitySecret, MemberId};

use super::{Membership, StateDir, StateDirError};
use crate::exit::{Exit, Reason};
use crate::io::disk;

/// A place for a state directory, and entropy that never repeats.
struct Place {
    parent: tempfile::TempDir,
    seeds: u8,
}

impl Place {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().expect("a directory"), seeds: 0 }
    }

    fn path(&self) -> PathBuf {
        self.parent.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn try_open(&mut self) -> Result<StateDir, StateDirError> {
        let path = self.path();
        StateDir::open(&path, &mut seeds(&mut self.seeds))
    }

    fn open(&mut self) -> StateDir {
        self.try_open().expect("opens")
    }

    /// Joins a mesh; closed again when this returns.
    fn joined(&mut self) -> Membership {
        let mut dir = self.open();
        build_store(&dir);
        dir.commit(membership(), Some(&root())).expect("committed");
        membership()
    }

    /// The reason of the exit that opening ends with.
    fn refusal(&mut self) -> (Reason, String) {
        let exit = Exit::from(self.try_open().expect_err("refused"));
        (exit.reason, exit.to_string())
    }

    fn garble(&self, name: &str, change: impl Fn(String) -> String) {
        let path = self.file(name);
        let text = fs::read_to_string(&path).expect("there");
        fs::write(&path, change(text)).expect("written");
    }

    /// The names in the directory, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

fn seeds(last: &mut u8) -> impl FnMut() -> [u8; 32] {
    move || {
        *last += 1;
        [*last; 32]
    }
}

fn root() -> IdentitySecret {
    IdentitySecret::from_seed([200; 32])
}

fn membership() -> Membership {
    Membership { root: MeshRoot::of(root().public()), member: MemberId(7) }
}

fn build_store(dir: &StateDir) {
    let draft = dir.store_draft().expect("a draft");
    disk::open_log(&draft).expect("made");
    fs::write(draft, "store").expect("written");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}
