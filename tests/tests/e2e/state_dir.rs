//! State directories that are shared, damaged, wiped or swapped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::{Host, Lab};

use crate::alone;

/// Exit codes of `meshd`, as promised.
const USAGE: i32 = 64;
const CORRUPT: i32 = 65;
const MISMATCH: i32 = 66;
const TRUST_MISSING: i32 = 67;

/// A mesh of one on loopback, its daemon running.
fn founder() -> Lab {
    let mut lab = Lab::rootless(1).unwrap();
    lab.form().unwrap();
    lab
}

/// Starts a daemon that must not run: its exit code and what it said.
fn refused_start(host: &mut Host) -> (Option<i32>, String) {
    let before = host.log().len();
    host.start_unready().unwrap();
    let status = host.wait_exit(STOP_LIMIT).unwrap();
    (status.code(), host.log()[before..].to_owned())
}

#[test]
fn a_second_daemon_on_the_same_state_directory_is_refused_and_the_first_goes_on() {
    let _alone = alone();
    let lab = founder();
    let host = lab.host(1);
    let before = host.status().unwrap();
    let mut command = std::process::Command::new(&lab.binaries().meshd);
    let socket = lab.dir().join("second.sock");
    command.args(["run", "--tun", "none", "--listen", "127.0.0.1:0", "--state-dir"]);
    command.arg(host.state_dir()).arg("--socket").arg(&socket);
    let mut second = host.start_beside(command, &lab.dir().join("second.log")).unwrap();
    let status = second.wait_exit(STOP_LIMIT).unwrap();
    assert_eq!(status.code(), Some(USAGE), "{}", second.log());
    assert!(second.log().contains("in use by another daemon"), "{}", second.log());
    assert!(!socket.exists());
    let after = host.status().unwrap();
    assert_eq!((after.member, after.mesh), (before.member, before.mesh));
}

#[test]
fn the_directory_and_its_files_are_for_the_daemon_alone() {
    let _alone = alone();
    let lab = founder();
    let state_dir = lab.host(1).state_dir();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&state_dir), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&state_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    assert!(files >= 4, "identity, admin key, member and store at least");
}

/// Damages `file` by `damage`, asserts that the daemon refuses with one of `codes` and names the file,
/// puts it back, and asserts that nothing is lost.
fn damaged(lab: &mut Lab, file: &str, codes: &[i32], damage: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let before = lab.host(1).status().unwrap();
    lab.host_mut(1).terminate().unwrap();
    let path = lab.host(1).state_dir().join(file);
    let whole = fs::read(&path).unwrap();
    match damage(&whole) {
        Some(bytes) => fs::write(&path, bytes).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    let (code, said) = refused_start(lab.host_mut(1));
    assert!(code.is_some_and(|code| codes.contains(&code)), "{file}: {code:?}: {said}");
    assert!(said.contains(file), "the message names {file}: {said}");
    assert!(!said.contains("panic"), "{said}");

    fs::write(&path, whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    lab.host_mut(1).start().unwrap();
    lab.host(1).wait_for("ready", SETTLE_LIMIT).unwrap();
    let after = lab.host(1).status().unwrap();
    assert_eq!((after.mesh, after.member, after.addrs), (before.mesh, before.member, before.addrs));
    let (before, after) = (before.raft.unwrap(), after.raft.unwrap());
    assert!(after.applied >= before.applied);
}

#[test]
fn a_damaged_file_ends_the_start_with_its_name_and_loses_nothing() {
    let _alone = alone();
    let mut lab = founder();
    lab.expect_errors();
    for file in ["identity.key", "admin.key", "member"] {
        damaged(&mut lab, file, &[CORRUPT], |_| Some(b"\xff\xfe\x00garbage".to_vec()));
        damaged(&mut lab, file, &[CORRUPT], |whole| Some(whole[..whole.len() / 2].to_vec()));
        damaged(&mut lab, file, &[CORRUPT], |_| Some(Vec::new()));
        damaged(&mut lab, file, &[CORRUPT], |whole| Some(whole.repeat(20_000)));
    }
}

#[test]
fn a_damaged_store_ends_the_start_with_its_name_and_loses_nothing() {
    let _alone = alone();
    let mut lab = founder();
    lab.expect_errors();
    damaged(&mut lab, "mesh.redb", &[CORRUPT], |_| Some(b"garbage".to_vec()));
    damaged(&mut lab, "mesh.redb", &[CORRUPT], |whole| Some(vec![0x5a; whole.len()]));
    damaged(&mut lab, "mesh.redb", &[CORRUPT], |whole| Some(whole[..whole.len() / 2].to_vec()));
    damaged(&mut lab, "mesh.redb", &[CORRUPT, MISMATCH], |_| Some(Vec::new()));
}

#[test]
fn a_wiped_store_or_identity_is_refused_and_loses_nothing() {
    let _alone = alone();
    let mut lab = founder();
    lab.expect_errors();
    damaged(&mut lab, "mesh.redb", &[MISMATCH], |_| None);
    damaged(&mut lab, "identity.key", &[TRUST_MISSING], |_| None);
}

#[test]
fn somebody_elses_identity_is_refused() {
    let _alone = alone();
    let mut lab = founder();
    lab.expect_errors();
    let mut other = Lab::rootless(1).unwrap();
    other.host_mut(1).start().unwrap();
    let foreign = fs::read(other.host(1).state_dir().join("identity.key")).unwrap();
    damaged(&mut lab, "identity.key", &[MISMATCH], |_| Some(foreign.clone()));
}

#[test]
fn a_damaged_cache_of_peers_is_no_reason_not_to_start() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.form().unwrap();
    lab.host_mut(2).terminate().unwrap();
    let cache = lab.host(2).state_dir().join("peers.cache");
    fs::write(&cache, b"\xff\xff\xffgarbage").unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o600)).unwrap();
    lab.host_mut(2).start().unwrap();
    lab.wait_ready().unwrap();
}
