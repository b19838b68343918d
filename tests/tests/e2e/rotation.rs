//! Another WireGuard key for a host, while everybody goes on talking.

use std::fs;
use std::time::Duration;

use mesh_model::api::v1::{Audit, ErrorCode, KeysRotated, TunnelKeys, Tunnels};
use mesh_model::audit::Event;
use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::traffic::PingStream;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{addresses, alone, assert_reaches, bridged};

/// From one echo to the next: far closer than any handshake takes, had one to be waited for.
const PACE: Duration = Duration::from_millis(10);

/// A session is replaced after two minutes by whoever began it, and within three by anybody; a little more for a busy machine.
const NEXT_HANDSHAKE: Duration = Duration::from_secs(200);

/// Exit code of `meshd` where keys are missing.
const TRUST_MISSING: i32 = 67;

pub(crate) fn keys(lab: &Lab, number: usize) -> TunnelKeys {
    lab.host(number).mesh().get(&["keys"]).unwrap()
}

fn tunnels(lab: &Lab, number: usize) -> Tunnels {
    lab.host(number).mesh().get(&["tunnels"]).unwrap()
}

pub(crate) fn rotate(lab: &Lab, number: usize, words: &[&str]) -> KeysRotated {
    lab.host(number).mesh().get(&[&["keys", "rotate"], words].concat()).unwrap()
}

/// Waits until host `number` answers to its new key alone.
fn wait_settled(lab: &Lab, number: usize) {
    eventually(SETTLE_LIMIT, "the key before is gone", || {
        keys(lab, number).before.is_none().then_some(())
    })
    .unwrap();
}

#[test]
fn no_packet_is_lost_while_each_host_in_turn_gets_another_key() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    let pairs = [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)];
    for (from, to) in pairs {
        assert_reaches(&lab, from, to);
    }
    let start = |(from, to): (usize, usize)| {
        PingStream::start(lab.host(from).netns(), addresses(&lab, to)[1], PACE).unwrap()
    };
    let streams: Vec<_> = pairs.into_iter().map(start).collect();
    let identities: Vec<_> = (1..=3).map(|n| lab.host(n).membership().unwrap()).collect();
    let first: Vec<_> = (1..=3).map(|n| keys(&lab, n).own.key).collect();

    for number in 1..=3 {
        let rotated = rotate(&lab, number, &["--wait"]);
        assert_eq!(rotated.serial, 1);
        assert_ne!(rotated.key, first[number - 1]);
        assert_eq!(rotated.applied_by.map(|by| (by.members, by.of)), Some((3, 3)));
        wait_settled(&lab, number);
        assert_eq!(tunnels(&lab, number).public_key, rotated.key);
    }
    let begun = std::time::Instant::now();
    // Sessions go on; each is replaced in its time, by a handshake with the new keys.
    for number in 1..=3 {
        eventually(NEXT_HANDSHAKE, "every tunnel has shaken hands since", || {
            let since = u64::try_from(begun.elapsed().as_millis()).unwrap();
            let fresh = |ms: Option<u64>| ms.is_some_and(|ms| ms < since);
            tunnels(&lab, number).tunnels.iter().all(|it| fresh(it.last_handshake_ms)).then_some(())
        })
        .unwrap();
    }
    for stream in streams {
        let report = stream.stop().unwrap();
        // The last may be under way.
        assert!(report.sent > 1_000 && report.received + 1 >= report.sent, "{report:?}");
    }
    for number in 1..=3 {
        assert_eq!(lab.host(number).membership().unwrap(), identities[number - 1]);
        let seen = keys(&lab, number);
        assert!(seen.members.iter().all(|member| member.serial == 1 && member.since_ms.is_some()));
        for tunnel in tunnels(&lab, number).tunnels {
            let agreed = seen.members.iter().find(|it| it.member == tunnel.member).unwrap();
            assert_eq!(tunnel.public_key, agreed.key);
        }
    }
    let trail: Audit = lab.host(2).mesh().get(&["audit"]).unwrap();
    let changes = trail.entries.iter().filter(|it| matches!(it.event, Event::Rekeyed { .. }));
    assert_eq!(changes.count(), 3);
}

#[test]
fn a_host_that_was_away_is_reached_and_reaches() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(4);
    lab.wait_equal_state(4).unwrap();
    let absent = (2..=4).find(|number| *number != lab.leader_seen_by(1, None).unwrap().0).unwrap();
    let others: Vec<_> = (1..=4).filter(|number| *number != absent).collect();
    lab.host_mut(absent).terminate().unwrap();
    let old = keys(&lab, 1).own.key;
    for number in &others {
        let rotated = rotate(&lab, *number, &[]);
        assert!(rotated.keeps_before);
    }
    // Its old key is the only one by which the absent one knows it.
    let before = keys(&lab, 1).before.unwrap();
    assert_eq!(before.key, old);
    let behind: Vec<_> = before.behind.iter().map(|it| it.name.to_string()).collect();
    assert!(behind.contains(&lab.host(absent).name()), "{behind:?}");
    eventually(SETTLE_LIMIT, "only the absent one has not heard", || {
        (keys(&lab, 1).before?.behind.len() == 1).then_some(())
    })
    .unwrap();
    let again = lab.host(1).mesh().run(&["keys", "rotate"]).unwrap();
    let error = again.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Refused);
    assert!(error.message.contains(&lab.host(absent).name()), "{error:?}");

    // Nor does a crash make it forget.
    lab.host_mut(1).kill().unwrap();
    lab.host_mut(1).start().unwrap();
    assert_eq!(keys(&lab, 1).before.map(|before| before.key), Some(old));
    for number in &others[1..] {
        assert_reaches(&lab, 1, *number);
    }

    lab.host_mut(absent).start().unwrap();
    for number in others {
        assert_reaches(&lab, absent, number);
        assert_reaches(&lab, number, absent);
        wait_settled(&lab, number);
    }
    lab.wait_equal_state(4).unwrap();
}

#[test]
fn whoever_is_left_behind_finds_back_through_another() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(4);
    lab.wait_equal_state(4).unwrap();
    let absent = (2..=4).find(|number| *number != lab.leader_seen_by(1, None).unwrap().0).unwrap();
    lab.host_mut(absent).terminate().unwrap();
    rotate(&lab, 1, &[]);
    let second = rotate(&lab, 1, &["--force"]);
    assert_eq!(second.serial, 2);
    // Of the keys that host 1 has now, the absent one knows none.
    lab.host_mut(absent).start().unwrap();
    assert_reaches(&lab, absent, 1);
    assert_reaches(&lab, 1, absent);
    wait_settled(&lab, 1);
}

#[test]
fn a_host_whose_new_key_is_missing_says_so_instead_of_being_nobody() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.form().unwrap();
    let path = lab.host(1).state_dir().join("identity.key");
    let old = fs::read(&path).unwrap();
    let rotated = rotate(&lab, 1, &["--wait"]);
    assert!(!rotated.keeps_before, "there is nobody to wait for");
    lab.host_mut(1).terminate().unwrap();
    let new = fs::read(&path).unwrap();
    assert_ne!(old, new);
    fs::write(&path, old).unwrap();
    let logged = lab.host(1).log().len();
    lab.host_mut(1).start_unready().unwrap();
    let status = lab.host_mut(1).wait_exit(STOP_LIMIT).unwrap();
    let said = lab.host(1).log()[logged..].to_owned();
    assert_eq!(status.code(), Some(TRUST_MISSING), "{said}");
    assert!(said.contains(&rotated.key.to_string()) && said.contains("keys rotate"), "{said}");
    fs::write(&path, new).unwrap();
    lab.host_mut(1).start().unwrap();
    assert_eq!(keys(&lab, 1).own.key, rotated.key);
}
