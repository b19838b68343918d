//! `mesh snapshot verify` and `apply`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use mesh_control::raft::{Snapshot, Store};
use mesh_model::api::v1::{ErrorCode, MemberName, SnapshotApplied, SnapshotInfo, SnapshotVerdict};
use mesh_model::snapshot::MAX_FILE;
use mesh_model::trust::MeshRoot;

use super::answer::{
    Answer, disk_failed, misconfigured, not_applied, refusal, store_failed, unsound, unusable,
};
use crate::args::{SnapshotApplyArgs, SnapshotVerifyArgs};
use crate::config;
use crate::exit::expecting_panic;
use crate::io::disk;
use crate::io::entropy::Entropy;
use crate::state_dir::{Membership, StateDir};

/// Checks a snapshot from its file alone.
pub(super) fn verify(args: &SnapshotVerifyArgs) -> Answer<SnapshotVerdict> {
    let bytes = read(&args.file)?;
    let snapshot = open(&args.file, &bytes, None)?;
    let header = &snapshot.head().header;
    if let Some(expected) = args.mesh
        && expected != header.root.mesh
    {
        return Err(refusal(
            ErrorCode::Refused,
            format!(
                "{} is of the mesh {}, not of {expected}",
                args.file.display(),
                header.root.mesh
            ),
            "use a snapshot of that mesh",
        ));
    }
    check_proven(&args.file, &snapshot, args.unproven)?;
    let view = snapshot.view();
    let present = view.members.values();
    let banned = view.banned.values().map(|banned| &banned.member);
    let mut members: Vec<_> = present
        .chain(banned)
        .map(|member| MemberName { member: member.id, name: member.name.clone() })
        .collect();
    members.sort_by_key(|member| member.member);
    Ok(SnapshotVerdict {
        snapshot: SnapshotInfo::of(snapshot.head(), bytes.len() as u64),
        proven: snapshot.is_proven(),
        members,
        banned: view.banned.keys().copied().collect(),
    })
}

/// Takes a snapshot for the state of a host that is behind, and that nobody runs.
pub(super) fn apply(args: &SnapshotApplyArgs) -> Answer<SnapshotApplied> {
    let bytes = read(&args.file)?;
    let path = config::state_dir(&args.host).map_err(misconfigured)?;
    let state_dir = StateDir::open_used(&path, &mut || Entropy.fresh()).map_err(unusable)?;
    let Some(Membership { root, member }) = state_dir.membership().copied() else {
        return Err(refusal(
            ErrorCode::NotJoined,
            format!("the host of {} belongs to no mesh", path.display()),
            "join one with `mesh join`: that brings the state along",
        ));
    };
    let snapshot = open(&args.file, &bytes, Some(&root))?;
    check_proven(&args.file, &snapshot, args.unproven)?;
    let file = disk::open_log(&state_dir.store_path()).map_err(disk_failed)?;
    let store = expecting_panic(|| Store::open(file, member, &root));
    let mut store = store.map_err(store_failed)?;
    if !args.unproven && !store.knows_a_signer(&snapshot) {
        return Err(refusal(
            ErrorCode::Refused,
            format!(
                "{}: none of those that signed it votes as far as this host knows",
                args.file.display()
            ),
            "any member can sign a snapshot in which it votes alone; compare its state hash with that of a member you \
             trust, at the same index, then --unproven takes it",
        ));
    }
    let before = store.catch_up(&snapshot).map_err(not_applied)?;
    let view = store.view();
    Ok(SnapshotApplied {
        mesh: root.mesh,
        member,
        before,
        index: view.applied,
        state_hash: view.hash,
    })
}

fn open(path: &Path, bytes: &[u8], expected: Option<&MeshRoot>) -> Answer<Snapshot> {
    Snapshot::open(bytes, expected).map_err(|error| unsound(path, &error))
}

/// Whether a majority of its voters signed the snapshot of `path`, or an `unproven` one will do.
fn check_proven(path: &Path, snapshot: &Snapshot, unproven: bool) -> Answer<()> {
    if unproven || snapshot.is_proven() {
        return Ok(());
    }
    let (path, head) = (path.display(), snapshot.head());
    let (signed, vote) = (head.signers().len(), head.header.voters.len());
    Err(refusal(
        ErrorCode::Refused,
        format!(
            "{path}: every signature in it holds, but only {signed} of the {vote} members that vote in it signed that \
             the mesh agreed on it"
        ),
        "use one that `mesh snapshot create` made while a majority was there; --unproven takes this one as it is",
    ))
}

/// The file at `path`, up to the longest a snapshot can be.
fn read(path: &Path) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => {
            Err(refusal(ErrorCode::Refused, format!("cannot read {}: {error}", path.display()), ""))
        }
        Ok(len) if len > MAX_FILE => Err(refusal(
            ErrorCode::Refused,
            format!("{} is longer than any snapshot, {MAX_FILE} bytes", path.display()),
            "",
        )),
        Ok(_) => Ok(bytes),
    }
}
