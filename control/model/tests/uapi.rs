//! WireGuard's configuration protocol, from both ends: what `wg` writes is read, what it reads is written.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ipnet::IpNet;
use mesh_model::uapi::{
    AllowedIp, DeviceChange, DeviceReport, Endpoint, Errno, MAX_ALLOWED_IPS, MAX_LINE, MAX_PEERS,
    MAX_REQUEST, PeerChange, PeerReport, Problem, Request, frame_len, get_answer, set_answer,
};
use mesh_model::{PresharedKey, TunnelKey, TunnelSecret};
use proptest::prelude::*;

/// A secret as it is used: clamped, so that it survives being read.
fn secret(mut bytes: [u8; 32]) -> TunnelSecret {
    bytes[0] &= 0xf8;
    bytes[31] = bytes[31] & 0x7f | 0x40;
    TunnelSecret::from_bytes(bytes)
}

fn hex(bytes: &[u8; 32]) -> String {
    HEXLOWER.encode(bytes)
}

/// The request for `change`, as `wg` would write it.
fn written(change: &DeviceChange) -> String {
    let mut lines = vec!["set=1".to_owned()];
    if let Some(secret) = &change.secret {
        let bytes = secret.as_ref().map_or([0; 32], |secret| *secret.to_bytes());
        lines.push(format!("private_key={}", hex(&bytes)));
    }
    lines.extend(change.listen_port.map(|port| format!("listen_port={port}")));
    lines.extend(change.fwmark.map(|mark| format!("fwmark={mark}")));
    lines.extend(change.replace_peers.then(|| "replace_peers=true".to_owned()));
    for peer in &change.peers {
        write_peer(peer, &mut lines);
    }
    lines.join("\n") + "\n\n"
}

fn write_peer(peer: &PeerChange, lines: &mut Vec<String>) {
    lines.push(format!("public_key={}", hex(peer.key.as_bytes())));
    lines.extend(peer.remove.then(|| "remove=true".to_owned()));
    lines.extend(peer.update_only.then(|| "update_only=true".to_owned()));
    if let Some(shared) = &peer.preshared_key {
        let bytes = shared.as_ref().map_or([0; 32], |shared| *shared.as_bytes());
        lines.push(format!("preshared_key={}", hex(&bytes)));
    }
    lines.extend(peer.endpoint.as_ref().map(|endpoint| match endpoint {
        Endpoint::At(address) => format!("endpoint={address}"),
        Endpoint::OnLink { address, port, interface } => {
            format!("endpoint=[{address}%{interface}]:{port}")
        }
    }));
    lines.extend(peer.keepalive.map(|every| {
        let seconds = every.map_or(0, |every| every.as_secs());
        format!("persistent_keepalive_interval={seconds}")
    }));
    lines.extend(peer.replace_allowed_ips.then(|| "replace_allowed_ips=true".to_owned()));
    lines.extend(peer.allowed_ips.iter().map(|step| match step {
        AllowedIp::Add(net) => format!("allowed_ip={net}"),
        AllowedIp::Remove(net) => format!("allowed_ip=-{net}"),
    }));
}

fn any_net() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<[u8; 4]>(), 0u8..=32).prop_map(|(ip, len)| (ip.into(), len));
    let v6 = (any::<[u8; 16]>(), 0u8..=128).prop_map(|(ip, len)| (ip.into(), len));
    prop_oneof![v4, v6].prop_map(|(ip, len)| IpNet::new(ip, len).unwrap().trunc())
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|at| Endpoint::At(at.into()));
    // Addresses that are IPv4 in disguise are read as IPv4.
    let v6 = any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, port]| {
        Endpoint::At(SocketAddr::from(([0x2001, a, b, c, d, e, f, 1], port)))
    });
    let on_link = (any::<u64>(), any::<u16>(), "[a-z][a-z0-9.-]{0,14}").prop_map(
        |(host, port, interface)| Endpoint::OnLink {
            address: (0xfe80_u128 << 112 | u128::from(host)).into(),
            port,
            interface,
        },
    );
    prop_oneof![v4, v6, on_link]
}

prop_compose! {
    fn any_peer()(
        (key, remove, update_only) in (any::<[u8; 32]>(), any::<bool>(), any::<bool>()),
        shared in any::<Option<Option<[u8; 32]>>>(),
        endpoint in proptest::option::of(any_endpoint()),
        keepalive in any::<Option<Option<u16>>>(),
        replace_allowed_ips in any::<bool>(),
        allowed_ips in prop::collection::vec((any_net(), any::<bool>()), 0..6),
    ) -> PeerChange {
        let not_zero = |bytes: &[u8; 32]| *bytes != [0; 32];
        let seconds = |seconds: u16| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let step = |(net, add)| if add { AllowedIp::Add(net) } else { AllowedIp::Remove(net) };
        PeerChange {
            key: TunnelKey(key),
            remove,
            update_only,
            preshared_key: shared.map(|key| key.filter(not_zero).map(PresharedKey::from_bytes)),
            endpoint,
            keepalive: keepalive.map(|every| every.and_then(seconds)),
            replace_allowed_ips,
            allowed_ips: allowed_ips.into_iter().map(step).collect(),
        }
    }
}

prop_compose! {
    fn any_change()(
        key in any::<Option<Option<[u8; 32]>>>(),
        listen_port in any::<Option<u16>>(),
        fwmark in any::<Option<u32>>(),
        replace_peers in any::<bool>(),
        peers in prop::collection::vec(any_peer(), 0..5),
    ) -> DeviceChange {
        DeviceChange { secret: key.map(|key| key.map(secret)), listen_port, fwmark, replace_peers, peers }
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_what_is_read(change in any_change()) {
        let text = written(&change);
        prop_assert_eq!(frame_len(text.as_bytes(), 0), Some(text.len()));
        prop_assert_eq!(Request::parse(text.as_bytes()), Ok(Request::Set(change)));
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Request::parse(&bytes);
        let _ = Request::parse(&[b"set=1\n", &bytes[..], b"\n\n"].concat());
        let _ = Request::parse(&[b"set=1\npublic_key=", &bytes[..], b"\n\n"].concat());
        prop_assert!(frame_len(&bytes, 0).is_none_or(|len| len <= bytes.len()));
    }

    #[test]
    fn a_damaged_request_is_a_request_or_an_error(
        change in any_change(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = written(&change).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Request::parse(&bytes);
    }

    #[test]
    fn a_request_is_found_however_it_arrives(change in any_change(), step in 1usize..200) {
        let text = written(&change) + "get=1\n\n";
        let mut seen = 0;
        let found = loop {
            let got = (seen + step).min(text.len());
            match frame_len(&text.as_bytes()[..got], seen) {
                Some(len) => break len,
                None => seen = got,
            }
        };
        prop_assert_eq!(found, text.len() - "get=1\n\n".len());
    }
}

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[track_caller]
fn refused(lines: &str) -> (usize, Problem) {
    let error = Request::parse(lines.as_bytes()).expect_err(lines);
    (error.line, error.problem)
}

#[track_caller]
fn change(lines: &str) -> DeviceChange {
    match Request::parse(lines.as_bytes()) {
        Ok(Request::Set(change)) => change,
        other => panic!("{lines}: {other:?}"),
    }
}

#[test]
fn a_look_is_one_line() {
    assert_eq!(Request::parse(b"get=1\n\n"), Ok(Request::Get));
    assert_eq!(refused("get=1\nlisten_port=1\n\n"), (2, Problem::Extra));
    for text in ["get=2\n\n", "set=0\n\n", "\n", "\n\n", " get=1\n\n", "GET=1\n\n", "get=1\r\n\n"] {
        assert_eq!(refused(text), (1, Problem::Operation), "{text:?}");
    }
    for text in ["", "get=1", "get=1\n", "set=1\nlisten_port=1\n"] {
        assert_eq!(refused(text), (1, Problem::Unterminated), "{text:?}");
    }
}

#[test]
fn a_bad_line_is_named_with_its_key_and_never_quoted() {
    let value = |line: &str| match refused(&format!("set=1\npublic_key={KEY}\n{line}\n\n")) {
        (3, Problem::Value(key, _)) => key,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(value("endpoint=192.0.2.1"), "endpoint");
    assert_eq!(value("endpoint=example.org:51820"), "endpoint");
    assert_eq!(value("endpoint=[fe80::1%]:51820"), "endpoint");
    assert_eq!(value("endpoint=[fe80::1%sixteen-letters-]:51820"), "endpoint");
    assert_eq!(value("endpoint=[fe80::1%a/b]:51820"), "endpoint");
    assert_eq!(value("endpoint=[192.0.2.1%eth0]:51820"), "endpoint");
    assert_eq!(value("endpoint=[fe80::1%eth0]:65536"), "endpoint");
    assert_eq!(value("persistent_keepalive_interval=65536"), "persistent_keepalive_interval");
    assert_eq!(value("persistent_keepalive_interval=off"), "persistent_keepalive_interval");
    assert_eq!(value("allowed_ip=10.0.0.0"), "allowed_ip");
    assert_eq!(value("allowed_ip=10.0.0.0/33"), "allowed_ip");
    assert_eq!(value("allowed_ip=--10.0.0.0/8"), "allowed_ip");
    assert_eq!(value("allowed_ip=+10.0.0.0/8"), "allowed_ip");
    assert_eq!(value("preshared_key=01"), "preshared_key");
    assert_eq!(value("protocol_version=2"), "protocol_version");
    assert_eq!(value("remove=false"), "remove");
    assert_eq!(value("update_only=1"), "update_only");
    assert_eq!(value("replace_allowed_ips=false"), "replace_allowed_ips");

    for (line, key) in [
        ("listen_port=65536", "listen_port"),
        ("listen_port=-1", "listen_port"),
        ("listen_port=+1", "listen_port"),
        ("listen_port=", "listen_port"),
        ("fwmark=0x10", "fwmark"),
        ("fwmark=4294967296", "fwmark"),
        ("replace_peers=yes", "replace_peers"),
        ("private_key=zz", "private_key"),
        ("public_key=01", "public_key"),
    ] {
        let (at, problem) = refused(&format!("set=1\n{line}\n\n"));
        assert!(at == 2 && matches!(problem, Problem::Value(named, _) if named == key), "{line}");
    }
    // A key in the wrong base, in the wrong place, is still a secret.
    let text = "set=1\nfwmark=1\nc2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=\n\n";
    let error = Request::parse(text.as_bytes()).expect_err("a key");
    assert_eq!(error.to_string(), "line 3: no such key here");
    assert_eq!(error.errno(), Errno::INVALID);
}

#[test]
fn keys_belong_to_the_device_or_to_a_peer() {
    assert_eq!(refused(&format!("set=1\npreshared_key={KEY}\n\n")), (2, Problem::Key));
    assert_eq!(refused("set=1\nremove=true\n\n"), (2, Problem::Key));
    let after = format!("set=1\npublic_key={KEY}\nlisten_port=1\n\n");
    assert_eq!(refused(&after), (3, Problem::Key));
    assert_eq!(refused("set=1\nlisten_port\n\n"), (2, Problem::NotAPair));
    assert_eq!(refused("set=1\n\nlisten_port=1\n\n"), (2, Problem::NotAPair));
}

#[test]
fn zeros_are_no_key_and_a_private_key_is_clamped() {
    let zeros = "0".repeat(64);
    let none =
        change(&format!("set=1\nprivate_key={zeros}\npublic_key={KEY}\npreshared_key={zeros}\n\n"));
    assert_eq!(none.secret, Some(None));
    assert_eq!(none.peers[0].preshared_key, Some(None));

    let ones = change(&format!("set=1\nprivate_key={}\n\n", "F".repeat(64)));
    let bytes = *ones.secret.unwrap().unwrap().to_bytes();
    assert_eq!((bytes[0], bytes[1], bytes[31]), (0xf8, 0xff, 0x7f));
    assert_eq!(change("set=1\n\n"), DeviceChange::default());
}

#[test]
fn replacing_allowed_ips_forgets_what_was_said_before() {
    let lines = "allowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=10.1.2.3/16";
    let change = change(&format!("set=1\npublic_key={KEY}\n{lines}\n\n"));
    let kept = AllowedIp::Add("10.1.0.0/16".parse().unwrap());
    assert_eq!(change.peers[0].allowed_ips, [kept]);
    assert!(change.peers[0].replace_allowed_ips);
}

#[test]
fn an_endpoint_on_a_link_is_found_by_the_interfaces_name() {
    let lines = "endpoint=[fe80::1%eth0]:51820";
    let mut change = change(&format!("set=1\npublic_key={KEY}\n{lines}\n\n"));
    let before = change.clone();
    let missing = change.resolve(|_| None).expect_err("no such interface");
    assert!(missing.to_string().contains("eth0"), "{missing}");
    assert_eq!(change, before);

    change.resolve(|name| (name == "eth0").then_some(7)).expect("found");
    let at: SocketAddr = "[fe80::1%7]:51820".parse().unwrap();
    assert_eq!(change.peers[0].endpoint, Some(Endpoint::At(at)));
}

#[test]
fn an_ipv4_endpoint_in_disguise_is_an_ipv4_endpoint() {
    let lines = "endpoint=[::ffff:192.0.2.1]:51820";
    let change = change(&format!("set=1\npublic_key={KEY}\n{lines}\n\n"));
    let at = "192.0.2.1:51820".parse().unwrap();
    assert_eq!(change.peers[0].endpoint, Some(Endpoint::At(at)));
}

#[test]
fn everything_has_its_bound() {
    let long = format!("set=1\nlisten_port={}1\n\n", "0".repeat(MAX_LINE));
    assert_eq!(refused(&long), (2, Problem::LineTooLong));

    let peer = format!("public_key={KEY}\n");
    let full = format!("set=1\n{}\n", peer.repeat(MAX_PEERS));
    assert_eq!(change(&full).peers.len(), MAX_PEERS);
    let over = format!("set=1\n{}\n", peer.repeat(MAX_PEERS + 1));
    assert_eq!(refused(&over), (MAX_PEERS + 2, Problem::Peers));

    let nets = "allowed_ip=10.0.0.0/8\n".repeat(MAX_ALLOWED_IPS + 1);
    let over = format!("set=1\n{peer}{nets}\n");
    assert_eq!(refused(&over), (MAX_ALLOWED_IPS + 3, Problem::AllowedIps));
    let error = Request::parse(over.as_bytes()).expect_err("too many");
    assert_eq!(error.errno(), Errno::TOO_BIG);

    let endless = "\n".repeat(MAX_REQUEST + 1);
    assert_eq!(refused(&endless), (1, Problem::RequestTooLong));
}

#[test]
fn the_largest_configuration_fits_in_a_request() {
    let mut peer = PeerChange::new(TunnelKey([0xff; 32]));
    peer.preshared_key = Some(Some(PresharedKey::from_bytes([0xff; 32])));
    peer.endpoint = Some(Endpoint::At("255.255.255.255:65535".parse().unwrap()));
    peer.keepalive = Some(Some(Duration::from_secs(65535)));
    peer.replace_allowed_ips = true;
    peer.allowed_ips = vec![AllowedIp::Add("255.255.255.255/32".parse().unwrap()); 4];
    let text = written(&DeviceChange { peers: vec![peer], ..DeviceChange::default() });
    assert!(text.len() * MAX_PEERS <= MAX_REQUEST, "{}", text.len());
}

fn report() -> DeviceReport {
    let peer = PeerReport {
        key: TunnelKey([2; 32]),
        preshared_key: Some(PresharedKey::from_bytes([3; 32])),
        endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
        last_handshake: Some(Duration::new(1_700_000_000, 5)),
        tx_bytes: 148,
        rx_bytes: u64::MAX,
        keepalive: Some(Duration::from_secs(25)),
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap(), "fd00::1/128".parse().unwrap()],
    };
    let silent = PeerReport::new(TunnelKey([4; 32]));
    let secret = Some(secret([1; 32]));
    DeviceReport { secret, listen_port: 51820, fwmark: 51, peers: vec![peer, silent] }
}

#[test]
fn a_device_is_told_as_wg_reads_it() {
    let lines = [
        &format!("private_key=00{}41", &KEY[2..62]),
        "listen_port=51820",
        "fwmark=51",
        &format!("public_key={}", "02".repeat(32)),
        &format!("preshared_key={}", "03".repeat(32)),
        "protocol_version=1",
        "endpoint=[2001:db8::1]:51820",
        "last_handshake_time_sec=1700000000",
        "last_handshake_time_nsec=5",
        "tx_bytes=148",
        "rx_bytes=18446744073709551615",
        "persistent_keepalive_interval=25",
        "allowed_ip=10.0.0.0/8",
        "allowed_ip=fd00::1/128",
        &format!("public_key={}", "04".repeat(32)),
        "protocol_version=1",
        "last_handshake_time_sec=0",
        "last_handshake_time_nsec=0",
        "tx_bytes=0",
        "rx_bytes=0",
        "persistent_keepalive_interval=0",
        "errno=0",
        "",
        "",
    ];
    assert_eq!(*get_answer(Ok(&report())), lines.join("\n"));
    assert_eq!(*get_answer(Ok(&DeviceReport::default())), "listen_port=0\nerrno=0\n\n");
}

#[test]
fn an_error_has_the_sign_that_wg_expects() {
    assert_eq!(*set_answer(Ok(())), "errno=0\n\n");
    assert_eq!(*set_answer(Err(Errno::INVALID)), "errno=-22\n\n");
    assert_eq!(*get_answer(Err(Errno::IO)), "errno=5\n\n");
    let taken = std::io::Error::from_raw_os_error(98);
    assert_eq!(*set_answer(Err(Errno::of(&taken))), "errno=-98\n\n");
    assert_eq!(Errno::of(&std::io::Error::other("no number")), Errno::IO);
}

#[test]
fn an_answer_never_moves_in_memory() {
    let mut report = report();
    let net = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128".parse().unwrap();
    report.peers[0].allowed_ips = vec![net; 100];
    let before = get_answer(Ok(&report));
    let full = &mut report.peers[0];
    full.endpoint = Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap());
    full.last_handshake = Some(Duration::new(u64::MAX, 999_999_999));
    full.tx_bytes = u64::MAX;
    let after = get_answer(Ok(&report));
    assert!(after.len() > before.len());
    assert_eq!(after.capacity(), before.capacity(), "it grew while it was written");
}

#[test]
fn secrets_do_not_print() {
    let shown = format!("{:?} {:?}", report(), Request::parse(written_secrets().as_bytes()));
    assert!(!shown.contains("[1, ") && !shown.contains("0303"), "{shown}");
    assert!(shown.contains("TunnelSecret(..)") && shown.contains("PresharedKey(..)"), "{shown}");
}

fn written_secrets() -> String {
    format!("set=1\nprivate_key={KEY}\npublic_key={KEY}\npreshared_key={KEY}\n\n")
}
