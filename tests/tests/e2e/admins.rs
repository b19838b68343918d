//! Several people who speak for one mesh, from hosts that hold no key, and a key that was stolen too late.

use std::path::{Path, PathBuf};

use mesh_model::AdminId;
use mesh_model::api::v1::{Admins, Audit, Bans, ErrorCode, Submitted};
use mesh_model::audit::{Actor, Event};
use mesh_tests::host::Host;
use mesh_tests::mesh::exit;
use mesh_tests::needs_namespaces;

use crate::{alone, bridged};

const PASSPHRASE: &str = "correct horse battery staple\n";

/// Makes a key in `dir`; its file and public half.
fn keygen(host: &Host, dir: &Path, name: &str) -> (PathBuf, String) {
    let file = dir.join(name);
    let words = ["admin", "keygen", "--passphrase-file", "/dev/stdin", file.to_str().unwrap()];
    let made = host.mesh().run_with_input(&words, PASSPHRASE).unwrap().json().unwrap();
    (file, made["key"].as_str().unwrap().to_owned())
}

/// Says `words` at `host`, signed with the key in `key`.
fn signed(host: &Host, words: &[&str], key: &Path) -> mesh_tests::mesh::Answer {
    let signing = ["--admin-key", key.to_str().unwrap(), "--passphrase-file", "/dev/stdin"];
    let words: Vec<&str> = words.iter().copied().chain(signing).collect();
    host.mesh().run_with_input(&words, PASSPHRASE).unwrap()
}

fn admins(host: &Host) -> Admins {
    host.mesh().get(&["admin", "list"]).unwrap()
}

#[test]
fn a_second_admin_speaks_for_the_mesh_from_another_host_until_it_is_removed() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    let (alice, key) = keygen(lab.host(2), lab.dir(), "alice.key");
    // A key that is nobody's.
    let early = signed(lab.host(2), &["ban", "n3"], &alice);
    assert_eq!(early.error(exit::FAILED).unwrap().code, ErrorCode::NotAdmin);
    let keyless = lab.host(2).mesh().run(&["ban", "n3"]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(keyless.code, ErrorCode::NotAdmin);
    assert!(keyless.hint.contains("--admin-key FILE"), "{}", keyless.hint);

    let added: Submitted =
        lab.host(1).mesh().get(&["admin", "add", "alice", &key, "--wait"]).unwrap();
    assert!(admins(lab.host(3)).admins.iter().any(|admin| admin.since == added.index));
    let banned: Submitted =
        signed(lab.host(2), &["ban", "n3", "--wait"], &alice).document().unwrap();
    let bans: Bans = lab.host(1).mesh().get(&["bans"]).unwrap();
    assert_eq!(bans.bans.len(), 1);
    let unbanned: Submitted =
        signed(lab.host(2), &["unban", "n3", "--wait"], &alice).document().unwrap();
    assert!(unbanned.index > banned.index);

    let removed: Submitted =
        lab.host(1).mesh().get(&["admin", "remove", "alice", "--wait"]).unwrap();
    for words in [["ban", "n3"], ["ban", "n2"], ["remove", "n3"]] {
        for host in [2, 3] {
            if words[1] == lab.host(host).name() {
                continue;
            }
            let refused = signed(lab.host(host), &words, &alice).error(exit::FAILED).unwrap();
            assert_eq!(refused.code, ErrorCode::NotAdmin, "{words:?}: {}", refused.message);
        }
    }
    let back = signed(lab.host(3), &["admin", "add", "mallory", &key], &alice);
    back.error(exit::FAILED).unwrap();
    let threshold = signed(lab.host(3), &["admin", "threshold", "1"], &alice);
    threshold.error(exit::FAILED).unwrap();
    let trail: Audit = lab.host(3).mesh().get(&["audit"]).unwrap();
    let last = trail.entries.last().unwrap();
    assert_eq!(last.index, removed.index);
    assert_eq!(last.event, Event::AdminRemoved { admin: AdminId(1), invites_revoked: false });
    let ban = trail.entries.iter().find(|entry| entry.index == banned.index).unwrap();
    assert_eq!(ban.by, Actor::Admins { admins: vec![AdminId(1)] });
    lab.wait_equal_state(3).unwrap();
}

#[test]
fn two_admins_sign_one_change_on_different_machines() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(2);
    let (alice, key) = keygen(lab.host(2), lab.dir(), "alice.key");
    let (_, bob) = keygen(lab.host(2), lab.dir(), "bob.key");
    let add: Submitted = lab.host(1).mesh().get(&["admin", "add", "alice", &key]).unwrap();
    let two: Submitted = lab.host(1).mesh().get(&["admin", "threshold", "2"]).unwrap();
    assert!(two.index > add.index);
    let alone = lab.host(1).mesh().run(&["admin", "add", "bob", &bob]).unwrap();
    assert_eq!(alone.failure(exit::FAILED).unwrap()["code"], "unsigned");

    let request = lab.dir().join("bob.request");
    let path = request.to_str().unwrap();
    let out = lab.host(1).mesh().run(&["admin", "add", "bob", &bob, "--out", path]).unwrap();
    assert_eq!(out.json().unwrap()["signed_by"].as_array().unwrap().len(), 1);
    let key_path = alice.to_str().unwrap();
    let words = ["admin", "sign", "--key", key_path, "--passphrase-file", "/dev/stdin", path];
    let both = lab.host(2).mesh().run_with_input(&words, PASSPHRASE).unwrap().json().unwrap();
    assert_eq!(both["signed_by"].as_array().unwrap().len(), 2);
    let done: Submitted = lab.host(2).mesh().get(&["admin", "submit", path, "--wait"]).unwrap();
    let admins = admins(lab.host(1));
    assert_eq!((admins.threshold, admins.admins.len(), admins.serial), (2, 3, 3));
    // What was agreed already is told so.
    let again: Submitted = lab.host(1).mesh().get(&["admin", "submit", path]).unwrap();
    assert_eq!(again.index, done.index);
    lab.wait_equal_state(2).unwrap();
}
