//! A mesh loses its majority for good, goes on from one host by its admins' word, and takes back who returns.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_model::api::v1::{Audit, Draft, ErrorCode, Recovered, Recovery, Submitted};
use mesh_model::audit::Event;
use mesh_tests::host::Host;
use mesh_tests::lab::{SETTLE_LIMIT, wait_equal_state};
use mesh_tests::mesh::{Answer, exit};
use mesh_tests::{Lab, eventually};

use crate::{LIMIT, alone};

pub(crate) const FLAG: &str = "--i-accept-losing-unreplicated-writes";

const PASSPHRASE: &str = "correct horse battery staple\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a key in `dir`; its file and public half.
fn keygen(host: &Host, dir: &Path, name: &str) -> (PathBuf, String) {
    let file = dir.join(name);
    let words = ["admin", "keygen", "--passphrase-file", "/dev/stdin", text(&file)];
    let made = host.mesh().run_with_input(&words, PASSPHRASE).unwrap().json().unwrap();
    (file, made["key"].as_str().unwrap().to_owned())
}

/// `mesh recover` for `host`, with `more`.
pub(crate) fn recover(host: &Host, more: &[&str]) -> Answer {
    let state_dir = host.state_dir();
    let words = ["recover", "--state-dir", text(&state_dir)];
    host.mesh().run_with_input(&[&words[..], more].concat(), PASSPHRASE).unwrap()
}

/// The same, signed with the key in `key`.
fn recover_with(host: &Host, key: &Path, more: &[&str]) -> Answer {
    let signing = ["--admin-key", text(key), "--passphrase-file", "/dev/stdin"];
    recover(host, &[&signing[..], more].concat())
}

fn formed(hosts: usize) -> Lab {
    let mut lab = Lab::rootless(hosts).unwrap();
    lab.form().unwrap();
    lab
}

/// Waits until host `number` is in epoch 1 and led by `leader`.
pub(crate) fn wait_followed(lab: &Lab, number: usize, leader: usize) {
    let (leader, _) = lab.host(leader).membership().unwrap();
    eventually(SETTLE_LIMIT, &format!("n{number} follows in epoch 1"), || {
        let status = lab.host(number).status().ok()?;
        let follows = status.raft?.leader == Some(leader) && status.epoch?.number == 1;
        follows.then_some(())
    })
    .unwrap();
}

/// What `survivor`, which has what was `found`, is refused, by keys and statements that are not good for it.
fn change_nothing(
    lab: &mut Lab,
    (survivor, follower): (usize, usize),
    (alice, mallory): (&Path, &Path),
    found: &Recovery,
) {
    let keyless = recover(lab.host(survivor), &[FLAG]).failure(exit::FAILED).unwrap();
    assert_eq!(keyless["code"], "not_admin");
    let refused = recover_with(lab.host(survivor), mallory, &[FLAG]).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("not that of an admin"), "{refused:?}");
    // A statement about another host.
    let elsewhere = lab.dir().join("elsewhere.json");
    lab.host_mut(follower).terminate().unwrap();
    let drafted = recover_with(lab.host(follower), alice, &["--out", text(&elsewhere)]);
    drafted.document::<Draft>().unwrap();
    lab.host_mut(follower).start().unwrap();
    let words = ["--signed", text(&elsewhere), FLAG];
    let refused = recover(lab.host(survivor), &words).failure(exit::FAILED).unwrap();
    assert_eq!(refused["code"], "bad_request_file");
    let again: Recovery = recover(lab.host(survivor), &[]).document().unwrap();
    assert_eq!((again.epoch, again.index), (found.epoch, found.index), "nothing was changed");
}

#[test]
fn a_mesh_without_its_majority_goes_on_from_a_survivor_and_takes_back_who_returns() {
    let _alone = alone();
    let mut lab = formed(4);
    let (alice, key) = keygen(lab.host(1), lab.dir(), "alice.key");
    let (mallory, _) = keygen(lab.host(1), lab.dir(), "mallory.key");
    let _: Submitted = lab.host(1).mesh().get(&["admin", "add", "alice", &key, "--wait"]).unwrap();
    lab.wait_equal_state(4).unwrap();
    let voters = lab.host(1).status().unwrap().raft.unwrap().voters;
    let voters: Vec<usize> = voters.iter().map(|id| lab.number_of(*id).unwrap()).collect();
    // The host with the root key is among the lost.
    let survivor = *voters.iter().find(|number| **number != 1).unwrap();
    let lost: Vec<usize> = voters.iter().copied().filter(|number| *number != survivor).collect();
    let follower = (1..=4).find(|number| !voters.contains(number)).unwrap();
    for number in &lost {
        lab.host_mut(*number).kill().unwrap();
    }

    let running = recover(lab.host(survivor), &[]).error(exit::FAILED).unwrap();
    assert_eq!(running.code, ErrorCode::Refused);
    assert!(running.hint.contains("stop the daemon"), "{running:?}");
    lab.host_mut(survivor).terminate().unwrap();
    let found: Recovery = recover(lab.host(survivor), &[]).document().unwrap();
    assert_eq!((found.epoch, found.voters.len(), found.members), (1, 3, 4));
    assert_eq!((found.draft.needed, found.draft.signed_by.len()), (1, 0));

    change_nothing(&mut lab, (survivor, follower), (&alice, &mallory), &found);
    let before = lab.host(follower).pid();
    let words = [FLAG, "--reason", "burnt down"];
    let went: Recovered = recover_with(lab.host(survivor), &alice, &words).document().unwrap();
    assert_eq!((went.epoch, went.from), (1, found.index));
    let sole = recover(lab.host(survivor), &[]).error(exit::FAILED).unwrap();
    assert!(sole.message.contains("only vote"), "{sole:?}");
    lab.host_mut(survivor).start().unwrap();
    lab.host(survivor).wait_for("leader", LIMIT).unwrap();
    wait_followed(&lab, follower, survivor);
    assert_eq!(lab.host(follower).pid(), before, "in the running process");
    wait_equal_state(&[lab.host(survivor), lab.host(follower)], 4).unwrap();
    let signing = ["--admin-key", text(&alice), "--passphrase-file", "/dev/stdin"];
    let words = [&["admin", "threshold", "1"][..], &signing].concat();
    let agreed = lab.host(follower).mesh().run_with_input(&words, PASSPHRASE).unwrap();
    assert!(agreed.document::<Submitted>().unwrap().index > went.first);

    // Together with nobody else they would be a majority of the old epoch.
    for number in &lost {
        lab.host_mut(*number).start().unwrap();
    }
    for number in &lost {
        wait_followed(&lab, *number, survivor);
    }
    lab.wait_equal_state(4).unwrap();
    lab.wait_voters().unwrap();
    for number in 1..=4 {
        let epoch = lab.host(number).status().unwrap().epoch.unwrap();
        let aside = epoch.set_aside.unwrap();
        assert_eq!((epoch.head, aside.epoch, aside.contained), (went.head, 0, true));
        assert_eq!(epoch.obstacle, None);
    }
    let trail: Audit = lab.host(1).mesh().get(&["audit"]).unwrap();
    let began = trail.entries.iter().find(|entry| entry.index == went.first).unwrap();
    let reason = "burnt down".parse().ok();
    assert!(
        matches!(&began.event, Event::EpochBegan { number: 1, reason: why, .. } if *why == reason)
    );
    // The host with the root key lets others in again.
    lab.host(1).invite(1).unwrap();
}

#[test]
fn as_many_admins_have_to_sign_as_the_threshold_asks_and_wherever_their_keys_are() {
    let _alone = alone();
    let mut lab = formed(3);
    let (alice, key) = keygen(lab.host(2), lab.dir(), "alice.key");
    let _: Submitted = lab.host(1).mesh().get(&["admin", "add", "alice", &key, "--wait"]).unwrap();
    let _: Submitted = lab.host(1).mesh().get(&["admin", "threshold", "2", "--wait"]).unwrap();
    for number in [2, 3] {
        lab.host_mut(number).kill().unwrap();
    }
    lab.host_mut(1).terminate().unwrap();
    let host = lab.host(1);
    // The root key is on this host, and is one.
    let few = recover(host, &[FLAG]).failure(exit::FAILED).unwrap();
    assert_eq!(few["code"], "unsigned");
    let file = lab.dir().join("recover.json");
    let drafted: Draft = recover(host, &["--out", text(&file)]).document().unwrap();
    assert_eq!((drafted.needed, drafted.signed_by.len()), (2, 1));
    let early = recover(host, &["--signed", text(&file), FLAG]).failure(exit::FAILED).unwrap();
    assert_eq!(early["code"], "unsigned");

    let words =
        ["admin", "sign", "--key", text(&alice), "--passphrase-file", "/dev/stdin", text(&file)];
    let signed = host.mesh().run_with_input(&words, PASSPHRASE).unwrap();
    assert_eq!(signed.document::<Draft>().unwrap().signed_by.len(), 2);
    // One that claims to need fewer, and one that was altered.
    let whole = fs::read_to_string(&file).unwrap();
    let altered = lab.dir().join("altered.json");
    fs::write(&altered, whole.replace(&drafted.request[20..40], "AAAAAAAAAAAAAAAAAAAA")).unwrap();
    let bad = recover(host, &["--signed", text(&altered), FLAG]).failure(exit::FAILED).unwrap();
    assert_eq!(bad["code"], "bad_request_file");
    // A damaged store is not gone on from.
    let copy = lab.dir().join("copy");
    let made = std::process::Command::new("cp").arg("-a").arg(host.state_dir()).arg(&copy).status();
    assert!(made.unwrap().success());
    let store = copy.join("mesh.redb");
    let mut bytes = fs::read(&store).unwrap();
    // All but the header, which says how to read it.
    bytes[4096..].fill(0x5a);
    fs::write(&store, &bytes).unwrap();
    let words = ["recover", "--state-dir", text(&copy), "--signed", text(&file), FLAG];
    let damaged = host.mesh().run(&words).unwrap().error(exit::FAILED).unwrap();
    assert!(damaged.message.contains("damaged"), "{damaged:?}");
    assert_eq!(fs::read(&store).unwrap(), bytes, "left as it is");

    let went: Recovered = recover(host, &["--signed", text(&file), FLAG]).document().unwrap();
    assert_eq!(went.epoch, 1);
    lab.host_mut(1).start().unwrap();
    lab.host(1).wait_for("leader", LIMIT).unwrap();
    lab.host(1).invite(1).unwrap();
}

#[test]
fn two_hosts_that_were_recovered_by_themselves_say_so() {
    let _alone = alone();
    let mut lab = formed(3);
    for number in 1..=3 {
        lab.host_mut(number).terminate().unwrap();
    }
    let (alice, _) = keygen(lab.host(1), lab.dir(), "alice.key");
    // Nobody's key: only the root's host can sign by itself. The other half has a share of it, so to say.
    let refused = recover_with(lab.host(2), &alice, &[FLAG]).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("not that of an admin"), "{refused:?}");
    fs::copy(lab.host(1).state_dir().join("admin.key"), lab.host(2).state_dir().join("admin.key"))
        .unwrap();
    let heads = [1, 2].map(|number| {
        let went: Recovered = recover(lab.host(number), &[FLAG]).document().unwrap();
        went.head
    });
    assert_ne!(heads[0], heads[1]);
    for number in 1..=3 {
        lab.host_mut(number).start().unwrap();
    }
    lab.expect_errors();
    for number in [1, 2] {
        eventually(SETTLE_LIMIT, "both are told of the other", || {
            let epoch = lab.host(number).status().ok()?.epoch?;
            assert_eq!(epoch.head, heads[number - 1], "neither goes over");
            epoch.obstacle.filter(|told| told.message.contains("both begun after the same one"))
        })
        .unwrap();
        let refused = lab.host(number).dropped("agreement_other_epoch").unwrap();
        assert!(refused > 0, "what the rival says of agreement is refused");
    }
}
