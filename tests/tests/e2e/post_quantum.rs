//! Pairs of hosts agree on keys that a quantum computer does not break, as far as each of them wants.

use std::time::Duration;

use mesh_model::api::v1::{DaemonState, Peer, Status};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::traffic::ping;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{addresses, alone, assert_reaches};

/// A formed mesh, host by host in these modes.
fn mesh_of(modes: &[&str]) -> Lab {
    let mut lab = Lab::switched(modes.len()).unwrap();
    for (at, mode) in modes.iter().enumerate() {
        lab.host_mut(at + 1).extra_args(&["--post-quantum", mode]);
    }
    lab.form().unwrap();
    lab
}

/// What `from` says of its way to `to`.
fn way(lab: &Lab, from: usize, to: usize) -> Option<Peer> {
    let name = lab.host(to).name();
    let status: Status = lab.host(from).status().ok()?;
    status.peers.into_iter().find(|peer| peer.name.as_str() == name)
}

/// Waits until both say that they have a key in their session.
fn wait_paired(lab: &Lab, one: usize, other: usize) {
    for (from, to) in [(one, other), (other, one)] {
        eventually(SETTLE_LIMIT, &format!("n{from} has a key with n{to} in its session"), || {
            way(lab, from, to).filter(|peer| peer.post_quantum)
        })
        .unwrap();
    }
}

/// Packets that `host` let not pass for want of a key.
fn barred(lab: &Lab, host: usize) -> u64 {
    lab.host(host).dropped("no_pair_key").unwrap()
}

#[test]
fn hosts_that_require_keys_have_them_and_have_new_ones_when_one_comes_back() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = mesh_of(&["require"; 3]);
    for (one, other) in [(1, 2), (1, 3), (2, 3)] {
        wait_paired(&lab, one, other);
        assert_reaches(&lab, one, other);
    }
    // The one that asks, the one that is asked, and one that is both.
    for number in [1, 3, 2] {
        lab.host_mut(number).kill().unwrap();
        lab.host_mut(number).start().unwrap();
        for other in (1..=3).filter(|other| *other != number) {
            assert_reaches(&lab, number, other);
            assert_reaches(&lab, other, number);
            wait_paired(&lab, number, other);
        }
    }
}

#[test]
fn one_that_requires_keys_exchanges_nothing_with_one_that_has_none_and_both_are_members() {
    needs_namespaces!();
    let _alone = alone();
    for modes in [["require", "off"], ["off", "require"]] {
        let mut lab = mesh_of(&modes);
        lab.wait_equal_state(2).unwrap();
        let strict = 1 + modes.iter().position(|mode| *mode == "require").unwrap();
        for (from, to) in [(1, 2), (2, 1)] {
            for target in addresses(&lab, to) {
                let answer = ping(lab.host(from).netns(), target, Duration::from_millis(500));
                assert!(answer.is_err(), "n{from} reached {target}");
            }
            assert!(!way(&lab, from, to).unwrap().post_quantum);
            let lax = lab.host(from).status().unwrap();
            assert_eq!((lax.state, lax.members), (DaemonState::Member, 2));
        }
        assert!(barred(&lab, strict) >= 4, "two that it sent, and two that came");
        assert_eq!(barred(&lab, 3 - strict), 0);

        // The other one changes its mind.
        lab.host_mut(3 - strict).terminate().unwrap();
        lab.host_mut(3 - strict).extra_args(&["--post-quantum", "prefer"]);
        lab.host_mut(3 - strict).start().unwrap();
        assert_reaches(&lab, 1, 2);
        wait_paired(&lab, 1, 2);
    }
}

#[test]
fn one_that_prefers_keys_has_them_with_those_that_can_and_reaches_all() {
    needs_namespaces!();
    let _alone = alone();
    let lab = mesh_of(&["prefer", "off", "prefer"]);
    for from in 1..=3 {
        for to in (1..=3).filter(|to| *to != from) {
            assert_reaches(&lab, from, to);
        }
    }
    wait_paired(&lab, 1, 3);
    for (from, to) in [(1, 2), (2, 1), (2, 3), (3, 2)] {
        assert!(!way(&lab, from, to).unwrap().post_quantum, "n{from} to n{to}");
    }
    assert!((1..=3).all(|host| barred(&lab, host) == 0));
}
