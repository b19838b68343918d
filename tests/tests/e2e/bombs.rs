//! Small files that would cost much: refused by their names, in bounded memory, and nothing is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_model::MemberId;
use mesh_model::api::v1::{ErrorCode, SnapshotInfo};
use mesh_model::backup::Backup;
use mesh_model::snapshot::{self, MAX_STATE, SnapshotHeader};
use mesh_tests::Lab;
use mesh_tests::mesh::{Answer, exit};

use crate::{alone, pair};

/// The memory that `mesh`, and `meshd` at its request, may take, in bytes of address space. The longest snapshot there can be takes
/// 48 MiB as a file and 64 MiB expanded, each of them twice for a moment; a passphrase takes 256 MiB.
const MEMORY: u64 = 384 << 20;

/// What the archive here would expand to, in bytes.
const EXPANDED: u64 = 4 << 30;

/// The length of the archive, in bytes, but for a few.
const ARCHIVE: usize = 1 << 20;

/// What a zstd frame begins with (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A block of zeros that says how many in four bytes (RFC 8878, section 3.1.1.2): here 16 KiB.
const ZEROS: usize = 16 << 10;

/// A zstd archive of a megabyte that holds 4 GiB of zeros and is sound in all else.
fn archive() -> Vec<u8> {
    let blocks = ARCHIVE / 4;
    assert_eq!((blocks * ZEROS) as u64, EXPANDED);
    // No checksum, no dictionary, no length of the whole; a window of 1 MiB.
    let mut archive = [&ZSTD[..], &[0x00, 0x50]].concat();
    for left in (0..blocks).rev() {
        let (is_last, repeated) = (usize::from(left == 0), 1);
        let head = ZEROS << 3 | repeated << 1 | is_last;
        archive.extend(&head.to_le_bytes()[..3]);
        archive.push(0);
    }
    archive
}

/// The snapshot in `file` with another archive in the place of its state, its lengths and its checksum made to fit.
fn with_archive(file: &[u8], archive: &[u8]) -> Vec<u8> {
    let (mut head, payload) = snapshot::read(file).unwrap();
    let start = payload.windows(ZSTD.len()).position(|part| part == ZSTD).unwrap();
    // The length before it takes a byte, or two or four behind one that says so.
    let [.., marker, low, high] = payload[..start] else { panic!("no length before the state") };
    let (length, width) = match marker {
        251 => (usize::from(u16::from_le_bytes([low, high])), 3),
        _ => (usize::from(high), 1),
    };
    let parts = [
        &payload[..start - width],
        &[252],
        &u32::try_from(archive.len()).unwrap().to_le_bytes(),
        archive,
        &payload[start + length..],
    ];
    let payload = parts.concat();
    let (state_len, payload_len) = (MAX_STATE as u64, payload.len() as u64);
    head.header = SnapshotHeader { state_len, payload_len, ..head.header };
    snapshot::write(&head, &payload)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A genuine snapshot of host 1, and the one made of it.
fn snapshot_bomb(lab: &Lab) -> (PathBuf, Vec<u8>) {
    let (mesh, file) = (lab.host(1).mesh(), lab.dir().join("bomb.meshsnap"));
    let _: SnapshotInfo = mesh.get(&["snapshot", "create"]).unwrap();
    let _: SnapshotInfo = mesh.get(&["snapshot", "download", text(&file)]).unwrap();
    let bomb = with_archive(&fs::read(&file).unwrap(), &archive());
    assert!(bomb.len() < ARCHIVE + 8192);
    fs::write(&file, &bomb).unwrap();
    (file, bomb)
}

/// Runs `words` with no more than [`MEMORY`].
fn frugally(lab: &Lab, words: &[&str]) -> Answer {
    lab.host(1).mesh().within_memory(MEMORY).run(words).unwrap()
}

fn assert_too_much(refused: &Answer) {
    let error = refused.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Refused);
    let expected = format!("the state does not expand: more than {MAX_STATE} bytes");
    assert!(error.message.contains(&expected), "{error:?}");
    assert!(!error.hint.is_empty(), "{error:?}");
}

/// What is in `dir`, but for the lock, which names who looked last.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else if !path.ends_with("lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_snapshot_of_a_megabyte_that_would_take_gigabytes_is_refused_and_nothing_is_touched() {
    let _alone = alone();
    let mut lab = pair();
    let (file, bomb) = snapshot_bomb(&lab);
    // Looking at what it says of itself expands nothing.
    let words = ["snapshot", "inspect", text(&file)];
    let told: SnapshotInfo = frugally(&lab, &words).document().unwrap();
    assert_eq!((told.file_bytes, told.state_bytes), (bomb.len() as u64, MAX_STATE as u64));
    assert_too_much(&frugally(&lab, &["snapshot", "verify", text(&file)]));

    lab.host_mut(2).terminate().unwrap();
    let state_dir = lab.host(2).state_dir();
    let before = content(&state_dir);
    let words = ["snapshot", "apply", "--state-dir", text(&state_dir), text(&file)];
    assert_too_much(&frugally(&lab, &words));
    assert!(content(&state_dir) == before, "something was changed");
    lab.host_mut(2).start().unwrap();
    lab.wait_equal_state(2).unwrap();

    // One that says itself how large it is, is refused for that.
    let (mut head, payload) = snapshot::read(&bomb).unwrap();
    head.header.state_len = EXPANDED;
    let honest = snapshot::write(&head, payload);
    fs::write(&file, honest).unwrap();
    let refused = frugally(&lab, &["snapshot", "inspect", text(&file)]);
    let error = refused.failure(exit::FAILED).unwrap();
    assert_eq!(error["code"], "bad_snapshot");
    assert!(error["message"].to_string().contains("would take 4294967296 bytes"), "{error}");
}

#[test]
fn a_backup_with_such_a_snapshot_is_refused_and_nothing_is_made() {
    let _alone = alone();
    let lab = pair();
    let (_, bomb) = snapshot_bomb(&lab);
    let (head, _) = snapshot::read(&bomb).unwrap();
    let backup = Backup {
        made_ms: 1,
        root: head.header.root,
        member: MemberId(2),
        name: "n2".parse().unwrap(),
        identity: [1; 32],
        tunnel: [2; 32],
        other_tunnel: None,
        config: None,
        snapshot: bomb,
    };
    let key = age::x25519::Identity::generate();
    let (file, keys) = (lab.dir().join("bomb.age"), lab.dir().join("keys"));
    fs::write(&file, age::encrypt(&key.to_public(), &backup.to_bytes()).unwrap()).unwrap();
    fs::write(&keys, age::secrecy::ExposeSecret::expose_secret(&key.to_string())).unwrap();
    let place = lab.dir().join("back");
    let words = ["backup", "restore", text(&file), "--identity", text(&keys)];
    let words = [&words[..], &["--state-dir", text(&place)]].concat();
    assert_too_much(&frugally(&lab, &words));
    let beside = |path: &Path| fs::symlink_metadata(path).is_ok();
    assert!(!beside(&place) && !beside(&place.with_added_extension("restoring")));
}

#[test]
fn a_backup_whose_passphrase_would_take_gigabytes_to_try_is_refused_untried() {
    let _alone = alone();
    let lab = Lab::rootless(1).unwrap();
    let (file, place) = (lab.dir().join("costly.age"), lab.dir().join("back"));
    let passphrase = lab.dir().join("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    // 512 MiB, 1 GiB, 4 GiB, and what nobody has.
    for work in [19, 20, 22, 63] {
        let (salt, sealed) = ("A".repeat(22), "A".repeat(43));
        let head =
            format!("age-encryption.org/v1\n-> scrypt {salt} {work}\n{sealed}\n--- {sealed}\n");
        fs::write(&file, [head.as_bytes(), &[0; 64]].concat()).unwrap();
        let words = ["backup", "restore", text(&file), "--passphrase-file", text(&passphrase)];
        let words = [&words[..], &["--state-dir", text(&place)]].concat();
        let error = frugally(&lab, &words).failure(exit::FAILED).unwrap();
        assert_eq!(error["code"], "bad_backup", "{error}");
        let expected = format!("takes 2^{work} steps to try, the most that is tried is 2^18");
        assert!(error["message"].to_string().contains(&expected), "{error}");
    }
    assert!(!place.exists());
}
