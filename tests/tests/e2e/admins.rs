//! Several people who speak for one mesh, from hosts that hold no key, and a key that was stolen too late.

use std::path::{Path, PathBuf};

use mesh_model::AdminId;
use mesh_model::api::v1::{
    Admins, Audit, Bans, ErrorCode, InviteReply, LeaveReply, Policy, RevokeReply, Submitted, Tags,
};
use mesh_model::audit::{Actor, Event};
use mesh_tests::host::Host;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{LIMIT, alone, bridged};

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

/// Two members, the second of which has the key of an admin that is not the root, and a host that wants in; on loopback.
fn with_alice() -> (Lab, PathBuf) {
    let mut lab = Lab::rootless(3).unwrap();
    lab.found().unwrap();
    lab.host(2).join(&lab.host(1).invite(1).unwrap().token).unwrap();
    let (alice, key) = keygen(lab.host(2), lab.dir(), "alice.key");
    let add = ["admin", "add", "alice", &key, "--wait"];
    lab.host(1).mesh().get::<Submitted>(&add).unwrap();
    (lab, alice)
}

#[test]
fn an_admin_that_is_not_the_root_invites_tags_and_says_who_may_reach_whom() {
    let _alone = alone();
    let (lab, alice) = with_alice();
    let alone = lab.host(2).mesh().run(&["invite"]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(alone.code, ErrorCode::NotAdmin);
    assert!(alone.hint.contains("--admin-key FILE"), "{}", alone.hint);

    let words = ["invite", "--uses", "2", "--tags", "edge"];
    let invite: InviteReply = signed(lab.host(2), &words, &alice).document().unwrap();
    lab.host(3).join(&invite.token).unwrap();
    let name = lab.host(3).name().to_owned();
    let tag = ["tag", &name, "--add", "web", "--wait"];
    let tagged: Submitted = signed(lab.host(2), &tag, &alice).document().unwrap();
    let tags: Tags = lab.host(1).mesh().get(&["tags"]).unwrap();
    let third = tags.members.iter().find(|member| member.name.as_str() == name).unwrap();
    let words: Vec<String> = third.tags.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["tag:edge", "tag:web"]);

    let file = lab.dir().join("policy.toml");
    let rule =
        "[[allow]]\nfrom = [\"any\"]\nto = [\"tag:web\"]\nprotocol = \"tcp\"\nports = [443]\n";
    std::fs::write(&file, rule).unwrap();
    let set = ["policy", "set", file.to_str().unwrap(), "--wait"];
    signed(lab.host(2), &set, &alice).document::<Submitted>().unwrap();
    let policy: Policy = lab.host(3).mesh().get(&["policy", "show"]).unwrap();
    assert_eq!((policy.serial, policy.rules.len()), (1, 1));
    assert_eq!(policy.rules[0].to, ["tag:web"]);

    let digits = invite.invite.to_string();
    let revoke = ["invites", "revoke", &digits, "--with-members"];
    let revoked: RevokeReply = signed(lab.host(2), &revoke, &alice).document().unwrap();
    assert_eq!(revoked.banned.len(), 1);
    let banned = || lab.host(1).mesh().get::<Bans>(&["bans"]).ok().filter(|it| it.bans.len() == 1);
    eventually(LIMIT, "host 1 has heard of the ban", banned).unwrap();

    let trail: Audit = lab.host(2).mesh().get(&["audit"]).unwrap();
    let alice = Actor::Admins { admins: vec![AdminId(1)] };
    let hers = trail.entries.iter().filter(|entry| entry.by == alice);
    assert_eq!(hers.count(), 5, "an invite, tags, a policy, a revocation and a ban");
    assert!(trail.entries.iter().any(|entry| entry.index == tagged.index));
}

#[test]
fn an_invite_that_an_admin_signs_elsewhere_becomes_a_token_where_it_was_asked_for() {
    let _alone = alone();
    let (lab, alice) = with_alice();
    let request = lab.dir().join("rack.request");
    let path = request.to_str().unwrap();
    let secret = format!("{path}.secret");
    lab.host(2).mesh().run(&["invite", "--out", path]).unwrap().json().unwrap();
    let token = ["invites", "token", &secret];
    let early = lab.host(2).mesh().run(&token).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(early.code, ErrorCode::Refused);
    let key = alice.to_str().unwrap();
    let sign = ["admin", "sign", "--key", key, "--passphrase-file", "/dev/stdin", path];
    lab.host(1).mesh().run_with_input(&sign, PASSPHRASE).unwrap().json().unwrap();
    let submit = ["admin", "submit", path, "--wait"];
    let agreed: Submitted = lab.host(1).mesh().get(&submit).unwrap();
    let invite: InviteReply = lab.host(2).mesh().get(&token).unwrap();
    lab.host(3).join(&invite.token).unwrap();
    // Whoever lost the answer asks again, and hears the same.
    let again: Submitted = lab.host(2).mesh().get(&submit).unwrap();
    assert_eq!(again.index, agreed.index);
}

#[test]
fn two_admins_of_three_remove_the_root_and_the_mesh_goes_on_without_it() {
    let _alone = alone();
    let (mut lab, alice) = with_alice();
    let (bob, key) = keygen(lab.host(2), lab.dir(), "bob.key");
    for words in [["admin", "add", "bob", &key].as_slice(), &["admin", "threshold", "2"]] {
        lab.host(1).mesh().get::<Submitted>(words).unwrap();
    }
    let kept = lab.host(1).invite(1).unwrap();
    let root = admins(lab.host(2)).admins[0].name.to_string();

    let request = lab.dir().join("root.request");
    let path = request.to_str().unwrap();
    let drafted = lab.host(2).mesh().run(&["admin", "remove", &root, "--out", path]).unwrap();
    assert!(drafted.json().unwrap()["signed_by"].as_array().unwrap().is_empty());
    // Where their keys are, no daemon runs.
    let offline = mesh_tests::Mesh::new(&lab.binaries().mesh, &lab.dir().join("nobody.sock"));
    let sign = |key: &Path| {
        let key = key.to_str().unwrap();
        let words = ["admin", "sign", "--key", key, "--passphrase-file", "/dev/stdin", path];
        let signed = offline.run_with_input(&words, PASSPHRASE).unwrap().json().unwrap();
        signed["signed_by"].as_array().unwrap().len()
    };
    let submit = ["admin", "submit", path, "--wait"];
    assert_eq!(sign(&alice), 1);
    let few = lab.host(2).mesh().run(&submit).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(few.code, ErrorCode::Refused);
    assert!(few.message.contains("1 of the 2 signatures"), "{few:?}");
    assert_eq!(sign(&bob), 2);
    let removed: Submitted = lab.host(2).mesh().get(&submit).unwrap();

    // Also after a restart, and where its key still lies.
    lab.host_mut(1).terminate().unwrap();
    lab.host_mut(1).start().unwrap();
    lab.host(1).wait_for("ready", SETTLE_LIMIT).unwrap();
    assert!(lab.host(1).state_dir().join("admin.key").exists());
    for words in [["invite"].as_slice(), &["ban", "n2"], &["admin", "threshold", "1"]] {
        let refused = lab.host(1).mesh().run(words).unwrap().error(exit::FAILED).unwrap();
        assert_eq!(refused.code, ErrorCode::NotAdmin, "{words:?}: {refused:?}");
    }
    // A newcomer believes what has its trust from a key that is no admin's any more.
    lab.host(3).join(&kept.token).unwrap();
    let invite: InviteReply = signed(lab.host(3), &["invite"], &bob).document().unwrap();
    let number = lab.add_scattered_host().unwrap();
    lab.host_mut(number).start().unwrap();
    lab.host(number).join(&invite.token).unwrap();
    let left = admins(lab.host(number));
    let present = left.admins.iter().filter(|admin| admin.until.is_none());
    let present: Vec<_> = present.map(|admin| admin.name.to_string()).collect();
    assert_eq!((left.threshold, present), (2, vec!["alice".to_owned(), "bob".to_owned()]));
    let trail: Audit = lab.host(number).mesh().get(&["audit"]).unwrap();
    let entry = trail.entries.iter().find(|entry| entry.index == removed.index).unwrap();
    assert_eq!(entry.by, Actor::Admins { admins: vec![AdminId(1), AdminId(2)] });
    assert_eq!(entry.event, Event::AdminRemoved { admin: AdminId(0), invites_revoked: false });
    lab.wait_equal_state(4).unwrap();
    // Nor does it keep its host.
    let left: LeaveReply = lab.host(1).mesh().get(&["leave", "--yes"]).unwrap();
    assert!(left.index.is_some());
}
