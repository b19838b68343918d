//! A daemon ends and comes back.

use mesh_model::api::v1::Peers;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{addresses, alone, assert_reaches, bridged};

#[test]
fn a_restarted_daemon_is_the_same_member_with_the_same_addresses() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    for number in [1, 2, 3] {
        let before = (lab.host(number).membership().unwrap(), addresses(&lab, number));
        let status = lab.host_mut(number).terminate().unwrap();
        assert_eq!(status.code(), Some(0), "SIGTERM ends a daemon cleanly");
        assert!(!lab.host(number).socket().exists(), "the socket is gone");
        lab.host_mut(number).start().unwrap();
        lab.host(number).wait_for("ready", SETTLE_LIMIT).unwrap();
        assert_eq!((lab.host(number).membership().unwrap(), addresses(&lab, number)), before);
    }
    lab.wait_equal_state(3).unwrap();
    assert_reaches(&lab, 1, 3);
}

#[test]
fn a_daemon_killed_comes_back_on_its_own_leavings() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    for _ in 0..3 {
        let before = lab.host(2).membership().unwrap();
        lab.host_mut(2).kill().unwrap();
        assert!(lab.host(2).socket().exists(), "a killed daemon cleans nothing up");
        lab.host_mut(2).start().unwrap();
        lab.host(2).wait_for("ready", SETTLE_LIMIT).unwrap();
        assert_eq!(lab.host(2).membership().unwrap(), before);
    }
    lab.wait_equal_state(3).unwrap();
    assert_reaches(&lab, 2, 3);
}

#[test]
fn a_mesh_that_lost_power_comes_back_by_itself() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    let before = lab.host(1).status().unwrap().raft.unwrap();
    for number in [1, 2, 3] {
        lab.host_mut(number).kill().unwrap();
    }
    for number in [1, 2, 3] {
        lab.host_mut(number).start().unwrap();
    }
    lab.wait_ready().unwrap();
    lab.wait_equal_state(3).unwrap();
    let after = lab.host(1).status().unwrap().raft.unwrap();
    assert!(after.applied >= before.applied && after.term > before.term);
    assert_reaches(&lab, 3, 1);
}

/// The newcomer is killed with its door, so that what the door knows afterwards was on its disk.
#[test]
fn a_door_that_dies_with_its_welcome_still_knows_where_the_newcomer_is() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.found().unwrap();
    let token = lab.host(1).invite(1).unwrap().token;
    let newcomer = lab.host(2).join(&token).unwrap().member;
    for number in [1, 2] {
        lab.host_mut(number).kill().unwrap();
    }
    lab.host_mut(1).start().unwrap();
    let expected = lab.host(2).endpoints()[0];
    eventually(SETTLE_LIMIT, "the newcomer's endpoint is there again", || {
        let peers: Peers = lab.host(1).mesh().get(&["peers"]).ok()?;
        let peer = peers.peers.into_iter().find(|peer| peer.member == newcomer)?;
        (peer.endpoint == Some(expected)).then_some(())
    })
    .unwrap();
}
