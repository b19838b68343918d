//! An admin whose key is in a file, and what a daemon of cardboard makes of what it asks for.

use std::path::{Path, PathBuf};

use mesh_model::api::v1::{Draft, Submitted};
use mesh_model::trust::{MeshRoot, Request};
use mesh_model::{IdentityKey, IdentitySecret};
use tempfile::TempDir;

use crate::daemon::{Daemon, Reply};
use crate::run::{Ran, mesh, mesh_with_input};

pub(crate) const PASSPHRASE: &[u8] = b"correct horse battery staple\n";

/// Nobody listens there: what works with it needs no daemon.
pub(crate) const NOWHERE: &str = "/nonexistent/meshd.sock";

pub(crate) fn root() -> MeshRoot {
    MeshRoot::of(IdentitySecret::from_seed([1; 32]).public())
}

/// An admin with its key in a file.
pub(crate) struct Alice {
    dir: TempDir,
    /// Where the key is.
    pub(crate) file: PathBuf,
    /// Its public half.
    pub(crate) key: IdentityKey,
}

impl Alice {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let file = dir.path().join("alice.key");
        let path = file.to_str().expect("text");
        let args = ["admin", "keygen", "--passphrase-file", "/dev/stdin", path];
        let ran = mesh_with_input(Path::new(NOWHERE), &args, PASSPHRASE);
        let key = ran.stdout.trim().parse().expect("a public key");
        Self { dir, file, key }
    }

    /// Says `words` with the key, to `daemon`.
    pub(crate) fn says(&self, daemon: &Daemon, words: &[&str]) -> Ran {
        let key = self.file.to_str().expect("text");
        let signing = ["--admin-key", key, "--passphrase-file", "/dev/stdin"];
        let words: Vec<&str> = words.iter().chain(&signing).copied().collect();
        mesh_with_input(daemon.socket(), &words, PASSPHRASE)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("text").to_owned()
    }
}

pub(crate) fn draft(request: &Request) -> Reply {
    let (signed_by, text) = (request.signers(), request.to_string());
    Reply::document(Draft { mesh: root().mesh, needed: 1, signed_by, request: text })
}

pub(crate) fn agreed(index: u64) -> Reply {
    Reply::document(Submitted { index, applied_by: None })
}

/// `words` come to nothing, because `daemon` makes something else of them, change `number`.
#[track_caller]
pub(crate) fn refused(daemon: &Daemon, words: &[&str], number: usize) {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().join("request");
    // Nothing that is not wanted gets as far as a file; a key would see it no earlier.
    let aside = ["--out", out.to_str().expect("text"), "--format", "json"];
    let ran = mesh(daemon.socket(), &[words, &aside[..]].concat());
    assert_eq!(ran.error()["code"], "bad_answer", "change {number}");
    let left = std::fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(left, 0, "change {number}: nothing is left");
    let asked = daemon.asked();
    assert!(!asked.iter().any(|asked| asked.line.ends_with("/submit")), "change {number}");
}
