//! The whole control plane without rights: loopback and `--tun none`.

use mesh_model::api::v1::{DaemonState, PingReply, Supervisor, WaitReply};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, Mesh, eventually};

use crate::{alone, with_one_supervisor};

fn formed(hosts: usize) -> Lab {
    let mut lab = Lab::rootless(hosts).unwrap();
    lab.form().unwrap();
    lab
}

#[test]
fn three_daemons_on_loopback_are_one_mesh_and_ping_each_other() {
    let _alone = alone();
    let mut lab = formed(3);
    lab.wait_equal_state(3).unwrap();
    with_one_supervisor(&lab);
    for from in lab.hosts() {
        assert_eq!(from.status().unwrap().interface, None);
        for to in lab.hosts().iter().filter(|to| to.number() != from.number()) {
            let (member, addrs) = to.membership().unwrap();
            let targets =
                [to.name(), member.to_string(), addrs.v4.to_string(), addrs.v6.to_string()];
            for target in &targets {
                let answer = from.mesh().run(&["ping", target, "-c", "3", "-i", "0.2"]).unwrap();
                answer.text().unwrap();
            }
        }
    }
}

#[test]
fn one_ping_is_one_document() {
    let _alone = alone();
    let lab = formed(2);
    let json = eventually(SETTLE_LIMIT, "an echo is answered", || {
        let answer = lab.host(1).mesh().run(&["ping", "n2", "-c", "1", "-4"]).ok()?;
        answer.json().ok().filter(|ping| ping["received"] == 1)
    })
    .unwrap();
    assert_eq!(json["sent"], 1);
    assert_eq!(json["schema"].as_str().map(|schema| schema.contains("ping")), Some(true));
    // The daemon's own answer, through the API that curl would use.
    let request = br#"{"target":"n2","timeout_ms":2000}"#;
    let socket = lab.host(1).socket();
    let reply = mesh_tests::http::request(&socket, "POST", "/v1/ping", request).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    let pong: PingReply = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(pong.name.as_str(), "n2");
}

#[test]
fn every_verb_says_who_leads_and_when_it_is_so() {
    let _alone = alone();
    let lab = formed(2);
    let seen: Supervisor = lab.host(2).mesh().get(&["supervisor"]).unwrap();
    let leader = seen.leader.unwrap();
    let waited: WaitReply = lab.host(2).wait_for("leader", SETTLE_LIMIT).unwrap();
    assert_eq!(waited.leader, Some(leader));
    let applied = format!("applied={}", waited.applied);
    lab.host(1).wait_for(&applied, SETTLE_LIMIT).unwrap();
    let never = lab.host(1).mesh().run(&["wait", "--for", "applied=1000000", "--timeout", "200ms"]);
    never.unwrap().error(exit::TIMED_OUT).unwrap();
    let versions = lab.host(1).mesh().run(&["version"]).unwrap().json().unwrap();
    assert_eq!(versions["client"], env!("CARGO_PKG_VERSION"));
    assert_eq!(versions["daemon"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_daemon_of_no_mesh_says_so() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    let host = lab.host(1);
    assert_eq!(host.status().unwrap().state, DaemonState::NotJoined);
    for words in [&["invite"][..], &["leave", "--yes"], &["ping", "n2"]] {
        let answer = host.mesh().run(words).unwrap();
        answer.error(exit::FAILED).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

#[test]
fn without_a_majority_no_invite_is_made_and_the_root_key_stays_unless_forced() {
    let _alone = alone();
    let mut lab = formed(3);
    leave_alone(&mut lab, 1);
    let host = lab.host(1);
    host.mesh().run(&["invite"]).unwrap().error(exit::NO_QUORUM).unwrap();
    let refused = host.mesh().run(&["leave", "--yes"]).unwrap().error(exit::FAILED).unwrap();
    assert!(refused.message.contains("root key"), "{refused:?}");
    assert_eq!(host.status().unwrap().state, DaemonState::Member);
    host.mesh().run(&["leave", "--yes", "--force"]).unwrap().text().unwrap();
    assert_eq!(host.status().unwrap().state, DaemonState::NotJoined);
}

/// Kills every host but `last`, and waits until that one knows no supervisor.
fn leave_alone(lab: &mut Lab, last: usize) {
    for number in (1..=3).filter(|&number| number != last) {
        lab.host_mut(number).kill().unwrap();
    }
    eventually(SETTLE_LIMIT, "the last one knows no supervisor", || {
        lab.host(last).supervisor().ok()?.leader.is_none().then_some(())
    })
    .unwrap();
}

#[test]
fn without_a_majority_leaving_is_refused_and_works_by_force() {
    let _alone = alone();
    let mut lab = formed(3);
    leave_alone(&mut lab, 3);
    let host = lab.host(3);
    host.mesh().run(&["leave", "--yes"]).unwrap().error(exit::NO_QUORUM).unwrap();
    assert_eq!(host.status().unwrap().state, DaemonState::Member);
    host.mesh().run(&["leave", "--yes", "--force"]).unwrap().text().unwrap();
    assert_eq!(host.status().unwrap().state, DaemonState::NotJoined);
}

#[test]
fn no_daemon_behind_the_socket_is_exit_code_three() {
    let lab = Lab::rootless(1).unwrap();
    let nowhere = Mesh::new(&lab.binaries().mesh, &lab.dir().join("nobody-here.sock"));
    for verb in ["status", "peers", "tunnels", "supervisor"] {
        nowhere.run(&[verb]).unwrap().failure(exit::UNREACHABLE).unwrap();
    }
}
