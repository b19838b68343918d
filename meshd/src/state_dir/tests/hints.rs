//! What a host remembers to be quicker, and does without when it is useless.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_control::raft::MAX_KEPT;
use mesh_dataplane::WallTime;
use mesh_model::wire::join::PeerHint;
use mesh_model::{MemberId, MeshId};

use super::{Place, mode};
use crate::state_dir::{handshake_stamp, peer_cache};

#[test]
fn a_stamp_is_remembered_with_what_may_have_come_after_it() {
    let mut place = Place::new();
    place.joined();
    let dir = place.open();
    assert_eq!(dir.stamp_floor(), WallTime::default());
    let stamp = WallTime(Duration::new(1_800_000_000, 5));
    dir.save_stamp(stamp).expect("saved");
    assert_eq!(dir.stamp_floor(), WallTime(stamp.0 + handshake_stamp::SLACK));
    let path = place.file("handshake.stamp");
    assert_eq!(mode(&path), 0o600);
    fs::write(&path, b"garbage").expect("written");
    assert_eq!(dir.stamp_floor(), WallTime::default());
}

#[test]
fn who_led_is_remembered_and_forgotten_with_the_mesh() {
    let mut place = Place::new();
    place.joined();
    let mut dir = place.open();
    assert_eq!(dir.history(), None);
    dir.save_history(b"m2 led").expect("saved");
    assert_eq!(dir.history(), Some(b"m2 led".to_vec()));
    let path = place.file("supervisor.history");
    assert_eq!(mode(&path), 0o600);
    fs::write(&path, vec![0; MAX_KEPT + 1]).expect("written");
    assert_eq!(dir.history(), None, "longer than any of ours");
    dir.forget(&mut || [9; 32]).expect("left");
    assert!(!path.exists());
    dir.save_history(b"m2 led").expect("nothing to do");
    assert!(!path.exists());
}

#[test]
fn peers_are_remembered_and_a_useless_cache_is_none() {
    let hint = |n: u16| PeerHint {
        member: MemberId(u64::from(n)),
        endpoint: Some(SocketAddr::from(([192, 0, 2, 1], n))),
        facts: None,
    };
    let mut place = Place::new();
    place.joined();
    let dir = place.open();
    assert_eq!(dir.peer_hints(), []);
    dir.save_peer_hints(&[hint(2), hint(3)]).expect("saved");
    assert_eq!(dir.peer_hints(), [hint(2), hint(3)]);
    let path = place.file("peers.cache");
    let elsewhere = peer_cache::encode(MeshId([1; 16]), &[hint(2)]);
    for useless in [&b""[..], &b"\x07garbage"[..], &elsewhere] {
        fs::write(&path, useless).expect("written");
        assert_eq!(dir.peer_hints(), []);
    }
    let many = vec![hint(2); peer_cache::MAX_PEERS + 1];
    dir.save_peer_hints(&many).expect("saved");
    assert_eq!(dir.peer_hints().len(), peer_cache::MAX_PEERS);
}
