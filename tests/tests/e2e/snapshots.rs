//! Snapshots: made by a running daemon, looked into and taken up without one.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_model::MemberId;
use mesh_model::api::v1::{ErrorCode, SnapshotApplied, SnapshotInfo, SnapshotVerdict, Snapshots};
use mesh_tests::lab::wait_equal_state;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::{LIMIT, alone, pair};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a snapshot on host `number` and fetches it.
fn fetched(lab: &Lab, number: usize, name: &str) -> (SnapshotInfo, PathBuf) {
    let mesh = lab.host(number).mesh();
    let made: SnapshotInfo = mesh.get(&["snapshot", "create"]).unwrap();
    let file = lab.dir().join(name);
    let index = made.index.to_string();
    let words = ["snapshot", "download", "--index", &index, text(&file)];
    assert_eq!(mesh.get::<SnapshotInfo>(&words).unwrap(), made);
    (made, file)
}

#[test]
fn a_snapshot_is_made_fetched_and_checked_without_a_daemon() {
    let _alone = alone();
    let mut lab = pair();
    let mesh = lab.host(1).mesh();
    let (made, file) = fetched(&lab, 1, "agreed.meshsnap");
    let listed: Snapshots = mesh.get(&["snapshot", "list"]).unwrap();
    assert_eq!((listed.snapshots.as_slice(), listed.damaged.len()), ([made.clone()].as_slice(), 0));
    let status = lab.host(1).status().unwrap();
    assert_eq!(Some(made.mesh), status.mesh);
    assert_eq!(made.members, 2);
    assert_eq!((&made.voters, &made.signed_by), (&vec![MemberId(1)], &vec![MemberId(1)]));
    assert_eq!(fs::metadata(&file).unwrap().len(), made.file_bytes);

    // What is there is not overwritten.
    let again = mesh.run(&["snapshot", "download", text(&file)]).unwrap();
    assert_eq!(again.failure(exit::FAILED).unwrap()["code"], "file_exists");

    lab.host_mut(1).terminate().unwrap();
    assert_eq!(mesh.get::<SnapshotInfo>(&["snapshot", "inspect", text(&file)]).unwrap(), made);
    let id = made.mesh.to_string();
    let words = ["snapshot", "verify", text(&file), "--mesh", &id];
    let verdict: SnapshotVerdict = mesh.get(&words).unwrap();
    assert_eq!((&verdict.snapshot, verdict.proven), (&made, true));
    let names: Vec<_> = verdict.members.iter().map(|member| member.name.to_string()).collect();
    assert_eq!(names, ["n1", "n2"]);

    let other = "0".repeat(32);
    let words = ["snapshot", "verify", text(&file), "--mesh", &other];
    let error = mesh.run(&words).unwrap().error(exit::FAILED).unwrap();
    assert!(error.message.contains(&format!("is of the mesh {id}")), "{error:?}");

    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let words = ["snapshot", "verify", text(&file)];
    let error = mesh.run(&words).unwrap().error(exit::FAILED).unwrap();
    assert!(error.message.contains("damaged"), "{error:?}");
    let error = mesh.run(&["snapshot", "inspect", text(&file)]).unwrap();
    assert_eq!(error.failure(exit::FAILED).unwrap()["code"], "bad_snapshot");
}

#[test]
fn a_host_that_is_behind_starts_from_a_snapshot_and_a_voter_does_not() {
    let _alone = alone();
    let mut lab = pair();
    let apply = |lab: &Lab, number: usize, file: &Path| {
        let host = lab.host(number);
        let state_dir = host.state_dir();
        let words = ["snapshot", "apply", "--state-dir", text(&state_dir), text(file)];
        host.mesh().run(&words).unwrap()
    };
    let (early, early_file) = fetched(&lab, 1, "early.meshsnap");
    let refused = apply(&lab, 2, &early_file).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("while nobody runs on it"), "{refused:?}");
    lab.host_mut(2).terminate().unwrap();
    let refused = apply(&lab, 2, &early_file).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("has applied"), "{refused:?}");

    lab.host(1).invite(1).unwrap();
    let (late, late_file) = fetched(&lab, 1, "late.meshsnap");
    assert!(late.index > early.index);
    lab.host_mut(1).terminate().unwrap();
    let refused = apply(&lab, 1, &late_file).error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert!(refused.message.contains("votes"), "{refused:?}");

    let applied: SnapshotApplied = apply(&lab, 2, &late_file).document().unwrap();
    assert_eq!((applied.before, applied.index), (early.index, late.index));
    // Alone, it knows what it was brought.
    lab.host_mut(2).start().unwrap();
    let raft = lab.host(2).status().unwrap().raft.unwrap();
    assert_eq!((raft.applied, raft.state_hash), (late.index, late.state_hash));
    // What it makes alone nobody has signed.
    let (alone, alone_file) = fetched(&lab, 2, "alone.meshsnap");
    assert_eq!((alone.state_hash, alone.signed_by.len()), (late.state_hash, 0));
    let mesh = lab.host(2).mesh();
    let unproven = mesh.run(&["snapshot", "verify", text(&alone_file)]).unwrap();
    let refused = unproven.error(exit::FAILED).unwrap();
    assert!(refused.message.contains("only 0 of the 1 members"), "{refused:?}");
    assert!(refused.hint.contains("--unproven"), "{refused:?}");
    let words = ["snapshot", "verify", "--unproven", text(&alone_file)];
    assert!(!mesh.get::<SnapshotVerdict>(&words).unwrap().proven);
    // And goes on with the others.
    lab.host_mut(1).start().unwrap();
    lab.host(1).invite(1).unwrap();
    eventually(LIMIT, "the follower hears of what came later", || {
        let raft = lab.host(2).status().ok()?.raft?;
        (raft.applied > late.index).then_some(())
    })
    .unwrap();
    wait_equal_state(&[lab.host(1), lab.host(2)], 2).unwrap();
}

#[test]
fn a_directory_without_a_host_is_left_as_it_is() {
    let _alone = alone();
    let lab = pair();
    let (_, file) = fetched(&lab, 1, "agreed.meshsnap");
    let empty = lab.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let words = ["snapshot", "apply", "--state-dir", text(&empty), text(&file)];
    let error = lab.host(1).mesh().run(&words).unwrap().error(exit::FAILED).unwrap();
    assert!(error.message.contains("no daemon has run on it"), "{error:?}");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}
