//! Input that is wrong, at every door of the daemon.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_model::api::v1::{ErrorCode, ErrorDocument, route};
use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::http;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Host, Lab, eventually};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::alone;

/// How many bad datagrams a daemon is to have dropped in the end.
const DROPS: u64 = 700;

/// How many are sent at once.
const BATCH: usize = 50;

#[test]
fn an_unknown_configuration_key_is_an_error_that_suggests_the_nearest() {
    let mut lab = Lab::rootless(1).unwrap();
    for (text, suggestion) in [
        ("lisen = 51820\n", "did you mean `listen`"),
        ("[log]\nfiltre = \"info\"\n", "filter"),
        ("name = \"n1\"\nmtus = 1400\n", "did you mean `mtu`"),
    ] {
        let said = refused_config(lab.host_mut(1), text);
        assert!(said.contains(suggestion), "{text}: {said}");
    }
    for text in ["listen = \"x\"\n", "mtu = 12\n", "name = 5\n", "listen = \n", "name = \"a b\"\n"]
    {
        let said = refused_config(lab.host_mut(1), text);
        let key = text.split(' ').next().unwrap();
        assert!(said.contains(key) || said.contains("TOML"), "{text}: {said}");
    }
}

/// What a daemon says that must not start with this configuration file.
fn refused_config(host: &mut Host, text: &str) -> String {
    let file = host.dir().join("bad.toml");
    fs::write(&file, text).unwrap();
    host.extra_args(&["--config", file.to_str().unwrap()]);
    let before = host.log().len();
    host.start_unready().unwrap();
    let status = host.wait_exit(STOP_LIMIT).unwrap();
    let said = host.log()[before..].to_owned();
    assert_eq!(status.code(), Some(64), "{text}: {said}");
    said
}

#[test]
fn a_wrong_command_line_is_exit_code_two_or_sixty_four() {
    let mut lab = Lab::rootless(1).unwrap();
    let mesh = lab.host(1).mesh();
    for words in [
        &["frobnicate"][..],
        &["invite", "--uses", "0"],
        &["invite", "--lifetime", "soon"],
        &["wait", "--for", "godot"],
        &["init", "--ipv4-prefix", "10.0.0.1/16"],
        &["init", "--name", "Not A Name"],
    ] {
        let answer = mesh.run_plain(words, "").unwrap();
        assert_eq!(answer.code, Some(exit::USAGE), "{words:?}: {answer:?}");
        assert_eq!(answer.stdout, "", "{words:?}");
        assert!(!answer.stderr.is_empty(), "{words:?}");
    }
    lab.host_mut(1).extra_args(&["--frobnicate"]);
    lab.host_mut(1).start_unready().unwrap();
    let status = lab.host_mut(1).wait_exit(STOP_LIMIT).unwrap();
    assert_eq!(status.code(), Some(64));
}

#[test]
fn bad_api_requests_get_clear_errors_and_change_nothing() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.form().unwrap();
    let before = lab.host(1).status().unwrap();
    let socket = lab.host(1).socket();

    let big = format!(r#"{{"token":"{}"}}"#, "x".repeat(200_000));
    let cases: [(&str, &[u8], &str); 7] = [
        (route::INVITES, b"{", "not valid JSON"),
        (route::INVITES, b"[1,2,3]", "not a JSON object"),
        (route::INVITES, br#"{"usess":1}"#, "usess"),
        (route::INVITES, br#"{"uses":-1}"#, "uses"),
        (route::INVITES, br#"{"uses":"many"}"#, "uses"),
        (route::JOIN, big.as_bytes(), "longer than"),
        (route::WAIT, br#"{"for":"godot","timeout_ms":1}"#, "for"),
    ];
    for (path, body, field) in cases {
        let reply = http::request(&socket, "POST", path, body).unwrap();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert!((400..500).contains(&reply.status), "{path} {shown}: {reply:?}");
        let document: ErrorDocument = serde_json::from_str(&reply.body)
            .unwrap_or_else(|error| panic!("{path} {shown}: {error}: {reply:?}"));
        assert_eq!(document.error.code, ErrorCode::BadRequest, "{path} {shown}");
        assert!(document.error.message.contains(field), "{path} {shown}: {document:?}");
    }
    let unknown = http::request(&socket, "GET", "/v1/nothing", b"").unwrap();
    assert_eq!(unknown.status, 404);
    let wrong_method = http::request(&socket, "DELETE", route::STATUS, b"").unwrap();
    assert_eq!(wrong_method.status, 405);
    for reply in [unknown, wrong_method] {
        let document: Result<ErrorDocument, _> = serde_json::from_str(&reply.body);
        assert!(document.is_ok(), "{reply:?}");
    }

    let mut chance = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..50 {
        let mut garbage = vec![0; chance.random_range(0..5_000)];
        chance.fill_bytes(&mut garbage);
        http::raw(&socket, &garbage).unwrap();
    }
    let after = lab.host(1).status().unwrap();
    assert_eq!((after.members, after.member), (before.members, before.member));
}

/// Datagrams of every shape a stranger may send.
fn bad_datagram(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let len = match chance.random_range(0..10) {
        0 => 0,
        1 => 1,
        2 => 148,
        3 => 92,
        _ => chance.random_range(1..1_500),
    };
    let mut datagram = vec![0; len];
    chance.fill_bytes(&mut datagram);
    if let Some(head) = datagram.first_chunk_mut::<4>() {
        match chance.random_range(0..3) {
            // A WireGuard message, as far as its first bytes go.
            0 => *head = [chance.random_range(1..=4), 0, 0, 0],
            // A QUIC packet, as far as its fixed bit goes.
            1 => head[0] |= 0x40,
            _ => {}
        }
    }
    datagram
}

#[test]
fn garbage_on_the_port_is_counted_and_breaks_nothing() {
    let _alone = alone();
    let mut lab = Lab::rootless(3).unwrap();
    lab.form().unwrap();
    let dropped = |lab: &Lab| -> u64 {
        lab.host(1).status().unwrap().drops.iter().map(|drop| drop.packets).sum()
    };
    let before = dropped(&lab);
    let target: SocketAddr = lab.host(1).endpoints()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut chance = ChaCha8Rng::seed_from_u64(9);
    // What looks like QUIC is the join endpoint's to judge; the other two thirds are counted drops. A batch
    // fits any receive buffer, and the next one waits until the daemon has answered.
    eventually(SETTLE_LIMIT, "the drops are counted", || {
        for _ in 0..BATCH {
            socket.send_to(&bad_datagram(&mut chance), target).unwrap();
        }
        (dropped(&lab) - before > DROPS).then_some(())
    })
    .unwrap();
    lab.host(2).mesh().run(&["ping", "n1", "-c", "3", "-i", "0.2"]).unwrap().text().unwrap();
    lab.host(1).mesh().run(&["ping", "n3", "-c", "3", "-i", "0.2"]).unwrap().text().unwrap();
    lab.wait_equal_state(3).unwrap();
}

#[test]
fn a_host_joins_while_garbage_arrives_at_it() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.found().unwrap();
    let token = lab.host(1).invite(1).unwrap().token;
    let joined = AtomicBool::new(false);
    let target = lab.host(2).endpoints()[0];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut chance = ChaCha8Rng::seed_from_u64(10);
            while !joined.load(Ordering::Relaxed) {
                // The port is closed until the host joins.
                let _ = socket.send_to(&bad_datagram(&mut chance), target);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let answer = lab.host(2).join(&token);
        joined.store(true, Ordering::Relaxed);
        answer.unwrap();
    });
    lab.host(2).wait_for("ready", SETTLE_LIMIT).unwrap();
}
