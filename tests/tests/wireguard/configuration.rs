//! The configuration socket: what it refuses, what it holds, and who may keep it waiting.
//!
//! Red when: a malformed line is taken for another value, changes something before it is refused, or silences
//! the socket; when a long configuration is cut; when a client that says nothing keeps others waiting.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mesh_tests::wireguard::uapi::{Changes, State};
use mesh_tests::wireguard::{End, SecretKey};
use mesh_tests::{eventually, needs_namespaces};

use crate::{LIMIT, assert_reaches, pair};

/// EINVAL, and EPROTO where there is no `=` (errno(3)).
const INVALID: i32 = 22;
const NO_PROTOCOL: i32 = 71;

/// Lines about the device that mean nothing.
const BAD_OF_DEVICE: [&str; 21] = [
    "private_key=",
    "private_key=00",
    "private_key=zz00000000000000000000000000000000000000000000000000000000000000",
    "private_key=000000000000000000000000000000000000000000000000000000000000000000",
    "listen_port=",
    "listen_port=65536",
    "listen_port=-1",
    "listen_port=port",
    "fwmark=-1",
    "fwmark=4294967296",
    "fwmark=mark",
    "replace_peers=yes",
    "public_key=00",
    "public_key=not a key",
    "colour=blue",
    "=",
    "listen_port",
    // What belongs to a peer, before there is one.
    "endpoint=10.0.0.1:5",
    "allowed_ip=10.0.0.0/8",
    "remove=true",
    "preshared_key=0000000000000000000000000000000000000000000000000000000000000001",
];

/// Lines about a peer that mean nothing.
const BAD_OF_PEER: [&str; 22] = [
    "preshared_key=00",
    "preshared_key=zz00000000000000000000000000000000000000000000000000000000000000",
    "endpoint=",
    "endpoint=10.0.0.1",
    "endpoint=10.0.0.1:65536",
    "endpoint=10.0.0.256:5",
    "endpoint=[::1:5",
    "endpoint=example.invalid:5",
    "persistent_keepalive_interval=65536",
    "persistent_keepalive_interval=-1",
    "persistent_keepalive_interval=often",
    "replace_allowed_ips=yes",
    "allowed_ip=10.0.0.0/33",
    "allowed_ip=::/129",
    "allowed_ip=10.0.0.0/-1",
    "allowed_ip=everything",
    "allowed_ip=",
    "remove=yes",
    "update_only=perhaps",
    "protocol_version=0",
    "protocol_version=2",
    "colour=blue",
];

/// Everything but what is counted.
fn configured(end: &End) -> State {
    let mut state = end.device.get().unwrap();
    for peer in state.peers.values_mut() {
        peer.rx_bytes = 0;
        peer.tx_bytes = 0;
        peer.last_handshake = Duration::ZERO;
    }
    state
}

/// Sends `lines` and tells what is wrong with the answer, or with what it did.
fn complaint(end: &End, before: &State, lines: &str) -> Option<String> {
    let answer = end.device.socket().set_lines(lines);
    let after = configured(end);
    match answer {
        Ok(INVALID | NO_PROTOCOL) if after == *before => None,
        Ok(INVALID | NO_PROTOCOL) => {
            Some(format!("{lines:?} is refused and has changed something"))
        }
        Ok(number) => Some(format!("{lines:?} is answered with errno {number}")),
        Err(error) => Some(format!("{lines:?} is not answered: {error}")),
    }
}

#[test]
fn a_malformed_line_is_answered_with_its_error_and_changes_nothing() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let before = configured(one);
    let of_device = BAD_OF_DEVICE.iter().map(|line| format!("{line}\n"));
    let of_peer = BAD_OF_PEER.iter().map(|line| format!("public_key={}\n{line}\n", two.key()));
    let complaints: Vec<String> =
        of_device.chain(of_peer).filter_map(|lines| complaint(one, &before, &lines)).collect();
    assert_reaches(one, two);
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn nothing_of_a_request_with_a_malformed_line_is_done() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let before = configured(one);
    let requests = [
        "listen_port=4000\nfwmark=mark\n".to_owned(),
        "replace_peers=true\ncolour=blue\n".to_owned(),
        format!("public_key={}\nremove=true\npublic_key=00\n", two.key()),
        format!("public_key={}\nallowed_ip=10.3.0.0/16\nallowed_ip=10.0.0.0/33\n", two.key()),
        format!("public_key={}\npublic_key=00\n", SecretKey::numbered(5).public()),
    ];
    let complaints: Vec<String> =
        requests.iter().filter_map(|lines| complaint(one, &before, lines)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn requests_that_are_no_requests_leave_the_device_as_it_is() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let before = configured(one);
    let endless = vec![b'a'; 4 << 20];
    let requests: [&[u8]; 8] = [
        b"",
        b"\n",
        b"\n\n\n",
        b"get=2\n\n",
        b"set=1\nlisten_port=4",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\xff\0\n\n",
        &endless,
    ];
    for request in requests {
        let mut stream = UnixStream::connect(one.device.socket().path()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // It may hang up in the middle of nonsense.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let start = String::from_utf8_lossy(&request[..request.len().min(20)]).into_owned();
        assert!(!answer.starts_with(b"errno=0"), "{start:?} is taken for something");
        assert_eq!(configured(one), before, "{start:?}");
    }
    assert_reaches(one, two);
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    needs_namespaces!();
    let tunnel = pair();
    let one = tunnel.end(1);
    let path = one.device.socket().path();
    let mut silent: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(path).unwrap()).collect();
    for stream in &mut silent[..10] {
        stream.write_all(b"set=1\nlisten_").unwrap();
    }
    one.device.set(&Changes::new().listen_port(4_000)).unwrap();
    assert_eq!(one.device.get().unwrap().listen_port, 4_000);
}

#[test]
fn only_an_existing_peer_is_updated_by_an_update() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let stranger = SecretKey::numbered(5).public();
    let before = configured(one);
    one.device.set(&Changes::new().peer(stranger).update_only().allowed_ip("10.3.0.0/16")).unwrap();
    one.device.set(&Changes::new().peer(stranger).remove()).unwrap();
    assert_eq!(configured(one), before);
    one.device.set(&Changes::new().peer(two.key()).update_only().keepalive(7)).unwrap();
    assert_eq!(one.sees(two).unwrap().keepalive, 7);
}

#[test]
fn prefixes_are_told_as_they_are_meant() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let changes = Changes::new().peer(two.key()).replace_allowed_ips();
    // Bits beyond the prefix do not count, and the same twice is once.
    let changes =
        changes.allowed_ip("10.3.255.9/16").allowed_ip("10.3.0.0/16").allowed_ip("fd33::ffff/64");
    one.device.set(&changes).unwrap();
    let told = one.sees(two).unwrap().allowed_ips;
    assert_eq!(told, ["10.3.0.0/16", "fd33::/64"].map(str::to_owned).into());
}

#[test]
fn a_peer_with_a_hundred_and_thirty_thousand_prefixes_is_told_whole() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let mut expected = BTreeSet::new();
    let mut changes = Changes::new().peer(two.key()).replace_allowed_ips();
    for high in 1..=255 {
        for low in 0..=255 {
            for prefix in [format!("{high}.{low}.0.0/16"), format!("{high:x}:{:x}::/128", low + 1)]
            {
                changes = changes.allowed_ip(&prefix);
                expected.insert(prefix);
            }
        }
    }
    one.device.set(&changes).unwrap();
    let told = eventually(LIMIT, "it is told", || one.sees(two).ok()).unwrap().allowed_ips;
    assert_eq!(told.len(), expected.len());
    assert!(told == expected);
}

#[test]
fn a_hundred_peers_are_told_each_with_its_own() {
    needs_namespaces!();
    let tunnel = pair();
    let one = tunnel.end(1);
    let key = |number: usize| SecretKey::numbered(100 + number).public();
    let mut changes = Changes::new().replace_peers();
    for number in 0..100 {
        changes = changes.peer(key(number));
        // The first has none.
        for net in 0..number {
            changes = changes.allowed_ip(&format!("10.{number}.{net}.0/24"));
        }
    }
    one.device.set(&changes).unwrap();
    let peers = one.device.get().unwrap().peers;
    assert_eq!(peers.len(), 100);
    for number in 0..100 {
        let own = (0..number).map(|net| format!("10.{number}.{net}.0/24")).collect();
        assert_eq!(peers[&key(number)].allowed_ips, own, "of peer {number}");
    }
}
