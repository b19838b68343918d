//! Files that verbs make and read: whole or not at all, and a bad one is named.

use std::collections::BTreeSet;
use std::path::Path;

use mesh_model::MemberId;
use mesh_model::snapshot::{self, SnapshotHead, SnapshotHeader};
use mesh_model::trust::MeshRoot;
use mesh_model::view::StateHash;
use mesh_model::{IdentityKey, IdentitySecret};

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::mesh;

const NOWHERE: &str = "/nonexistent/meshd.sock";

fn root() -> IdentityKey {
    IdentitySecret::from_seed([1; 32]).public()
}

fn snapshot_file() -> Vec<u8> {
    let header = SnapshotHeader {
        root: MeshRoot::of(root()),
        mesh_name: documents::name("home"),
        index: 1044,
        term: 3,
        state_hash: StateHash([0xa5; 32]),
        agreed_ms: 0,
        members: 3,
        voters: BTreeSet::from([MemberId(1)]),
        state_len: 9,
        payload_len: 3,
    };
    snapshot::write(&SnapshotHead { header, words: Vec::new() }, b"abc")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn a_snapshot_is_fetched_into_a_new_file_and_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("agreed.meshsnap");
    let reply = Reply::Http(200, snapshot_file());
    let daemon = Daemon::with(&[("POST /v1/snapshots/download", reply)]);
    let words = ["snapshot", "download", "--index", "1044", text(&file), "--format", "json"];
    let ran = mesh(daemon.socket(), &words);
    assert_eq!(ran.document()["index"], 1044, "{ran:?}");
    assert_eq!(daemon.next_asked().body, serde_json::json!({ "index": 1044 }));
    assert_eq!(std::fs::read(&file).expect("made"), snapshot_file());

    let inspected = mesh(Path::new(NOWHERE), &["snapshot", "inspect", text(&file)]);
    assert!(inspected.stdout.contains("index    1044, term 3"), "{inspected:?}");
    let again = mesh(daemon.socket(), &words);
    assert_eq!((again.code, again.error()["code"].as_str()), (Some(1), Some("file_exists")));
    assert_eq!(daemon.asked(), [], "not asked for what has no place");
}

#[test]
fn an_answer_that_is_no_snapshot_becomes_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("agreed.meshsnap");
    let mut damaged = snapshot_file();
    *damaged.last_mut().expect("bytes") ^= 1;
    for bytes in [damaged, snapshot_file()[..50].to_vec(), b"{}".to_vec()] {
        let daemon = Daemon::with(&[("POST /v1/snapshots/download", Reply::Http(200, bytes))]);
        let words = ["snapshot", "download", text(&file), "--format", "json"];
        let ran = mesh(daemon.socket(), &words);
        assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("bad_snapshot")));
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
    }
}

#[test]
fn a_share_that_does_not_hold_is_named_before_anything_is_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a.txt");
    for content in ["", "meshd root share 9\n", "meshd root share 1\nmesh: x\n", "\u{fffd}"] {
        std::fs::write(&file, content).expect("written");
        let words = ["keys", "restore", text(&file), "--format", "json"];
        let ran = mesh(Path::new(NOWHERE), &words);
        assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("bad_share")));
        assert!(ran.error()["message"].as_str().expect("text").contains("a.txt"), "{ran:?}");
    }
}

#[test]
fn a_backup_that_does_not_open_is_named_and_nothing_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, key) = (dir.path().join("n1.age"), dir.path().join("key.txt"));
    let state = dir.path().join("state");
    let identity = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    std::fs::write(&key, format!("# created by age-keygen\n{identity}\n")).expect("written");
    for content in [&b""[..], b"age-encryption.org/v1\n", b"age-encryption.org/v9\n", b"meshback"] {
        std::fs::write(&file, content).expect("written");
        let words = ["backup", "restore", text(&file), "--identity", text(&key)];
        let to = ["--state-dir", text(&state), "--format", "json"];
        let ran = mesh(Path::new(NOWHERE), &[&words[..], &to].concat());
        assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("bad_backup")));
        assert!(!state.exists());
    }
    std::fs::write(&key, "no key\n").expect("written");
    let words = ["backup", "restore", text(&file), "--identity", text(&key), "--format", "json"];
    let ran = mesh(Path::new(NOWHERE), &words);
    assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("input")));
}
