//! Backups: what comes back of a host that lost everything, and as whom.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mesh_model::api::v1::{BackupRestored, Backups, ErrorCode, JoinedReply};
use mesh_tests::lab::wait_equal_state;
use mesh_tests::mesh::{Answer, exit};
use mesh_tests::{Lab, eventually};

use crate::{LIMIT, alone, pair};

/// Somebody whose key nobody here has.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file with the passphrase that all backups here have.
fn passphrase(lab: &Lab) -> PathBuf {
    let file = lab.dir().join("passphrase");
    fs::write(&file, "correct horse\n").unwrap();
    file
}

/// Saves host `number`.
fn saved(lab: &Lab, number: usize) -> PathBuf {
    let file = lab.dir().join(format!("n{number}.age"));
    let passphrase = passphrase(lab);
    let words = ["backup", "create", text(&file), "--passphrase-file", text(&passphrase)];
    lab.host(number).mesh().run(&words).unwrap().text().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    file
}

fn restored(lab: &Lab, file: &Path, state_dir: &Path, more: &[&str]) -> Answer {
    let passphrase = passphrase(lab);
    let words = ["backup", "restore", text(file), "--passphrase-file", text(&passphrase)];
    let to = ["--state-dir", text(state_dir)];
    lab.host(1).mesh().run(&[&words[..], &to, more].concat()).unwrap()
}

#[test]
fn a_host_that_never_voted_comes_back_as_who_it_was() {
    let _alone = alone();
    let mut lab = pair();
    let before = lab.host(2).membership().unwrap();
    let mesh_id = lab.host(2).status().unwrap().mesh.unwrap();
    let file = saved(&lab, 2);
    lab.host_mut(2).terminate().unwrap();
    let state_dir = lab.host(2).state_dir();

    let refused = restored(&lab, &file, &state_dir, &[]).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("is not empty"), "{refused:?}");
    fs::rename(&state_dir, state_dir.with_extension("lost")).unwrap();
    let other = "0".repeat(32);
    let refused = restored(&lab, &file, &state_dir, &["--mesh", &other]).error(exit::FAILED);
    assert!(refused.unwrap().message.contains("of a host of the mesh"));
    let whole = fs::read(&file).unwrap();
    for at in [30, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        let path = lab.dir().join("altered.age");
        fs::write(&path, altered).unwrap();
        let error = restored(&lab, &path, &state_dir, &[]).failure(exit::FAILED).unwrap();
        assert_eq!(error["code"], "bad_backup", "byte {at}");
    }
    assert!(!state_dir.exists(), "nothing is made of what does not hold");

    let words = ["--mesh", &mesh_id.to_string()];
    let back: BackupRestored = restored(&lab, &file, &state_dir, &words).document().unwrap();
    assert_eq!((back.member, back.identity, back.mesh), (before.0, true, mesh_id));
    lab.host_mut(2).start().unwrap();
    // It has no place in the mesh by itself, and not while the supervisor counts on what it had acknowledged.
    let refused = lab.host(2).mesh().run(&["invites"]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::NotJoined);
    let token = lab.host(1).invite(1).unwrap().token;
    let refused = lab.host(2).mesh().run(&["join", &token]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::Refused);
    lab.host_mut(1).terminate().unwrap();
    lab.host_mut(1).start().unwrap();
    lab.host(1).wait_for("leader", LIMIT).unwrap();
    lab.host(2).join(&token).unwrap();
    assert_eq!(lab.host(2).membership().unwrap(), before);
    wait_equal_state(&[lab.host(1), lab.host(2)], 2).unwrap();
}

#[test]
fn a_voter_comes_back_as_somebody_new() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.host_mut(1).start().unwrap();
    let founder = lab.host(1).init().unwrap().member;
    let file = saved(&lab, 1);
    // The founder is still there: this is a copy of it, on another host.
    let state_dir = lab.host(2).state_dir();
    if state_dir.exists() {
        fs::remove_dir_all(&state_dir).unwrap();
    }
    let back: BackupRestored = restored(&lab, &file, &state_dir, &[]).document().unwrap();
    assert_eq!((back.member, back.identity), (founder, false));
    for absent in ["identity.key", "member", "mesh.redb", "admin.key"] {
        assert!(!state_dir.join(absent).exists(), "{absent}");
    }
    lab.host_mut(2).start().unwrap();
    let token = lab.host(1).invite(1).unwrap().token;
    let joined = lab.host(2).join(&token).unwrap();
    assert_ne!(joined.member, founder);
    wait_equal_state(&[lab.host(1), lab.host(2)], 2).unwrap();
}

/// A backup says who its host was, but not that it has voted since.
#[test]
fn one_that_voted_since_its_backup_comes_back_as_somebody_new_or_not_at_all() {
    let _alone = alone();
    let mut lab = Lab::rootless(3).unwrap();
    lab.found().unwrap();
    let token = lab.host(1).invite(3).unwrap().token;
    let before = lab.host(2).join(&token).unwrap().member;
    let file = saved(&lab, 2);
    // With a third there are three voters.
    lab.host(3).join(&token).unwrap();
    lab.wait_voters().unwrap();
    lab.host_mut(2).kill().unwrap();
    let state_dir = lab.host(2).state_dir();
    fs::rename(&state_dir, state_dir.with_extension("lost")).unwrap();

    let back: BackupRestored = restored(&lab, &file, &state_dir, &[]).document().unwrap();
    assert_eq!((back.member, back.identity), (before, true));
    lab.host_mut(2).start().unwrap();
    let refused = || {
        let refused = lab.host(2).mesh().run(&["join", &token]).unwrap().error(exit::FAILED);
        assert_eq!(refused.unwrap().code, ErrorCode::Refused);
    };
    refused();
    // Nor by another supervisor, which counts on nothing that this host acknowledged to the first.
    let (_, led) = lab.leader_seen_by(1, None).unwrap();
    lab.host(1).mesh().run(&["supervisor", "step-down"]).unwrap().text().unwrap();
    lab.leader_seen_by(1, led.leader).unwrap();
    refused();

    lab.host_mut(2).terminate().unwrap();
    fs::rename(&state_dir, state_dir.with_extension("again")).unwrap();
    let words = ["--new-identity"];
    let back: BackupRestored = restored(&lab, &file, &state_dir, &words).document().unwrap();
    assert_eq!((back.member, back.identity), (before, false));
    assert!(!state_dir.join("identity.key").exists());
    lab.host_mut(2).start().unwrap();
    let words = ["join", "--name", "again", &token];
    let joined: JoinedReply = lab.host(2).mesh().get(&words).unwrap();
    assert!(joined.member > before);
    lab.wait_equal_state(4).unwrap();
}

#[test]
fn a_daemon_makes_backups_by_itself() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    let (config, directory) = (lab.dir().join("meshd.toml"), lab.dir().join("backups"));
    let settings = format!(
        "[backup]\nevery = \"1h\"\nkeep = 2\nrecipients = [{RECIPIENT:?}]\ndirectory = {:?}\n",
        text(&directory)
    );
    fs::write(&config, settings).unwrap();
    lab.host_mut(1).extra_args(&["--config", text(&config)]);
    lab.host_mut(1).start().unwrap();
    lab.host(1).init().unwrap();
    // A daemon that starts as a member makes the first one at once.
    lab.host_mut(1).terminate().unwrap();
    lab.host_mut(1).start().unwrap();
    let listed = eventually(LIMIT, "a backup is made", || {
        let listed: Backups = lab.host(1).mesh().get(&["backup", "list"]).ok()?;
        (!listed.backups.is_empty()).then_some(listed)
    })
    .unwrap();
    assert_eq!((listed.every_s, listed.keep, &listed.failure), (Some(3600), Some(2), &None));
    assert_eq!(listed.next_ms, Some(listed.backups[0].made_ms + 3_600_000));
    let file = directory.join(&listed.backups[0].name);
    assert!(fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    one_after_another(&mut lab, &directory, &listed);
    // Also for those who ask without naming anybody.
    let asked = lab.dir().join("asked.age");
    lab.host(1).mesh().run(&["backup", "create", text(&asked)]).unwrap().text().unwrap();
    assert!(fs::read(&asked).unwrap().starts_with(b"age-encryption.org/v1\n"));
}

/// When the next one is due is told by the files that are there, so a file of an hour ago stands for the hour.
fn one_after_another(lab: &mut Lab, directory: &Path, first: &Backups) {
    let [first] = first.backups.as_slice() else { panic!("one so far: {first:?}") };
    let aged = |hours: u64| {
        let made_ms = first.made_ms - hours * 3_600_000;
        let time = format!("{:015}", first.made_ms);
        assert!(first.name.starts_with(&time), "{}", first.name);
        (made_ms, first.name.replacen(&time, &format!("{made_ms:015}"), 1))
    };
    let [(second_ms, second), (_, third)] = [aged(1), aged(2)];
    fs::rename(directory.join(&first.name), directory.join(&second)).unwrap();
    fs::copy(directory.join(&second), directory.join(&third)).unwrap();
    // Somebody else's are not ours to count, or to remove.
    let foreign = directory.join("000000000000001-00000000-m1.age");
    fs::write(&foreign, b"not ours").unwrap();
    lab.host_mut(1).terminate().unwrap();
    lab.host_mut(1).start().unwrap();
    let listed =
        eventually(LIMIT, "the next one is made, and the third from the end removed", || {
            let listed: Backups = lab.host(1).mesh().get(&["backup", "list"]).ok()?;
            let newer = listed.backups.iter().any(|backup| backup.made_ms >= first.made_ms);
            let removed = listed.backups.iter().all(|backup| backup.name != third);
            (newer && removed).then_some(listed)
        })
        .unwrap();
    assert!(!directory.join(&third).exists());
    assert_eq!((listed.backups.len(), &listed.failure), (2, &None));
    assert!(listed.backups.iter().any(|it| it.made_ms == second_ms && it.name == second));
    assert!(foreign.exists());
}

#[test]
fn a_backup_is_for_somebody() {
    let _alone = alone();
    let lab = pair();
    let file = lab.dir().join("n1.age");
    let create = |more: &[&str]| {
        lab.host(1).mesh().run(&[&["backup", "create", text(&file)], more].concat()).unwrap()
    };
    let refused = create(&[]).error(exit::USAGE).unwrap();
    assert!(refused.message.contains("nobody was named"), "{refused:?}");
    let refused = create(&["--recipient", "age1nobody"]).error(exit::USAGE).unwrap();
    assert!(refused.message.contains("no age recipient"), "{refused:?}");
    assert!(!file.exists());
    create(&["--recipient", RECIPIENT]).text().unwrap();
    assert!(fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n"));
}
