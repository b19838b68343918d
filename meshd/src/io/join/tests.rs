//! Joiners and doors on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mesh_control::refusals::Refused;
use mesh_model::codec::{self, Message as _};
use mesh_model::trust::{Admission, Bootstrap};
use mesh_model::wire::join::{ALPN, JoinRefusal, JoinReply, JoinRequest, Welcome};
use mesh_model::{InviteId, MemberId};
use quinn::{Connection, ConnectionError, Endpoint, Runtime as _, TokioRuntime};
use tokio::sync::watch;

use super::answer::{AnswerError, MAX_JOINERS};
use super::visitors::MAX_PER_SOURCE;
use super::*;
use crate::io::fixture::{genesis, identity, record, tls};
use crate::io::frame;
use crate::io::tls::SERVER_NAME;
use crate::io::udp::UdpPort;

/// Why visitors were turned away, one after another.
type TurnedAway = Arc<watch::Sender<Vec<Refused>>>;

type Seen = Arc<Mutex<Vec<(SocketAddr, JoinRequest)>>>;

/// Gives everyone the same reply and remembers who asked.
#[derive(Clone)]
struct Porter {
    reply: JoinReply,
    seen: Seen,
    turned_away: TurnedAway,
}

impl Doorkeeper for Porter {
    async fn admit(&self, from: SocketAddr, request: JoinRequest) -> JoinReply {
        self.seen.lock().expect("no panic").push((from, request));
        self.reply.clone()
    }

    fn turned_away(&self, reason: Refused) {
        self.turned_away.send_modify(|told| told.push(reason));
    }
}

fn admission() -> Admission {
    Admission::sign(&record(9), InviteId([1; 16]), &identity(100), &identity(9))
}

/// A welcome whose snapshot takes many datagrams.
fn welcome() -> JoinReply {
    JoinReply::Welcome(Box::new(Welcome {
        member: MemberId(9),
        genesis: genesis(),
        snapshot: (0..300_000u32).map(|at| at as u8).collect(),
        peers: Vec::new(),
        answered_by: MemberId(1),
    }))
}

/// A door on loopback kept by member `id`.
fn door(id: u8, reply: JoinReply) -> (Bootstrap, Seen) {
    let seen = Seen::default();
    let turned_away = TurnedAway::new(watch::Sender::default());
    (door_of(id, Porter { reply, seen: Arc::clone(&seen), turned_away }), seen)
}

/// A door on loopback that welcomes everybody, and why it turns visitors away.
fn watched_door() -> (Bootstrap, TurnedAway) {
    let turned_away = TurnedAway::new(watch::Sender::default());
    let (reply, seen) = (welcome(), Seen::default());
    (door_of(1, Porter { reply, seen, turned_away: Arc::clone(&turned_away) }), turned_away)
}

/// A door on loopback kept by `porter`, for member `id`.
fn door_of(id: u8, porter: Porter) -> Bootstrap {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let endpoint = socket.local_addr().expect("bound");
    let socket = TokioRuntime.wrap_udp_socket(socket).expect("a socket");
    let server = JoinServer::open(socket, &tls(id)).expect("a server");
    tokio::spawn(async move { server.serve(porter).await });
    Bootstrap { endpoint, identity: identity(id).public() }
}

fn port() -> UdpPort {
    UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback")
}

#[tokio::test]
async fn a_joiner_is_welcomed_and_seen_at_the_daemons_own_port() {
    let (door, seen) = door(1, welcome());
    let port = port();
    let got = ask(&port, &tls(9), &[door], admission()).await.expect("welcomed");
    assert_eq!(JoinReply::Welcome(Box::new(got)), welcome());
    let seen = seen.lock().expect("no panic");
    assert_eq!(*seen, [(port.local(), JoinRequest { admission: admission() })]);
}

#[tokio::test]
async fn a_dual_stack_port_reaches_an_ipv4_door() {
    let (door, seen) = door(1, welcome());
    let port = UdpPort::bind_any(0).expect("any");
    ask(&port, &tls(9), &[door], admission()).await.expect("welcomed");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen[0].0.port(), port.local().port());
}

#[tokio::test]
async fn an_impostor_and_an_undecided_member_are_passed_over() {
    let (undecided, _) = door(1, JoinReply::Unavailable);
    let (mut impostor, seen) = door(2, welcome());
    impostor.identity = identity(3).public();
    let (good, _) = door(4, welcome());
    let doors = [undecided, impostor, good];
    ask(&port(), &tls(9), &doors, admission()).await.expect("welcomed");
    assert!(seen.lock().expect("no panic").is_empty(), "an impostor was told something");
}

#[tokio::test]
async fn a_silent_door_is_not_waited_for_and_a_refusal_is_final() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let endpoint = silent.local_addr().expect("bound");
    let silent = Bootstrap { endpoint, identity: identity(1).public() };
    let (no, _) = door(2, JoinReply::Refused(JoinRefusal::Used));
    match ask(&port(), &tls(9), &[silent, no], admission()).await {
        Err(JoinError::Refused(JoinRefusal::Used)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn closed_doors_are_named_with_their_reasons() {
    let (undecided, _) = door(1, JoinReply::Unavailable);
    let (mut impostor, _) = door(2, welcome());
    impostor.identity = identity(3).public();
    let error = ask(&port(), &tls(9), &[undecided, impostor], admission())
        .await
        .expect_err("nobody could welcome");
    let text = error.to_string();
    for part in [
        format!("{}: connected, but the mesh has no supervisor", undecided.endpoint),
        format!("{}: no secure connection", impostor.endpoint),
    ] {
        assert!(text.contains(&part), "{text}");
    }
}

/// Someone at 127.0.0.`last`, who may knock but asks nothing by itself.
fn stranger(last: u8) -> Endpoint {
    Endpoint::client(SocketAddr::from(([127, 0, 0, last], 0))).expect("loopback")
}

async fn knock(stranger: &Endpoint, door: Bootstrap) -> Result<Connection, ConnectionError> {
    let crypto = tls(50).client(door.identity, ALPN).expect("a client");
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    stranger.connect_with(config, door.endpoint, SERVER_NAME).expect("an attempt").await
}

#[tokio::test]
async fn strangers_who_ask_nothing_keep_nobody_out() {
    let (door, _) = door(1, welcome());
    let mut silent = Vec::new();
    for last in 0..=MAX_JOINERS / MAX_PER_SOURCE {
        let stranger = stranger(10 + u8::try_from(last).expect("few"));
        for _ in 0..MAX_PER_SOURCE {
            silent.push(knock(&stranger, door).await.expect("let in"));
        }
    }
    assert!(silent.len() > MAX_JOINERS);
    ask(&port(), &tls(9), &[door], admission()).await.expect("welcomed");
}

/// Waits until `turned_away` has as many as `wanted`, which must be those.
async fn were_turned_away(turned_away: &TurnedAway, wanted: &[Refused]) {
    let mut told = turned_away.subscribe();
    let told = told.wait_for(|told| told.len() >= wanted.len());
    let told = tokio::time::timeout(REPLY_LIMIT, told).await.expect("in time").expect("watched");
    assert_eq!(*told, wanted);
}

#[tokio::test]
async fn what_a_visitor_says_and_is_no_request_is_told_of() {
    let (door, turned_away) = watched_door();
    let request = codec::encode(&JoinRequest { admission: admission() });
    let framed = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).expect("short");
        [&len.to_be_bytes()[..], bytes].concat()
    };
    let newer = [&[u8::MAX], &request[1..]].concat();
    let too_long = u32::MAX.to_be_bytes().to_vec();
    let mut wanted = Vec::new();
    for (last, said, reason) in [
        (10, framed(&request[..9]), Refused::JoinMalformed),
        (11, too_long, Refused::JoinMalformed),
        (12, framed(&newer), Refused::JoinNewer),
        (13, framed(&request)[..9].to_vec(), Refused::JoinBroken),
    ] {
        let visit = knock(&stranger(last), door).await.expect("let in");
        let (mut send, mut recv) = visit.open_bi().await.expect("a stream");
        send.write_all(&said).await.expect("said");
        send.finish().expect("once");
        recv.read_to_end(1).await.expect_err("answered");
        wanted.push(reason);
        were_turned_away(&turned_away, &wanted).await;
    }
}

#[test]
fn a_visit_that_takes_too_long_has_a_reason_too() {
    assert_eq!(AnswerError::Silent.reason(), Refused::JoinSilent);
    assert_eq!(AnswerError::TooSlow.reason(), Refused::JoinUndecided);
}

#[tokio::test]
async fn one_source_gets_so_many_places_at_the_door() {
    let (door, turned_away) = watched_door();
    let (greedy, other) = (stranger(10), stranger(11));
    let mut held = Vec::new();
    for _ in 0..MAX_PER_SOURCE {
        held.push(knock(&greedy, door).await.expect("let in"));
    }
    let refused = knock(&greedy, door).await.expect_err("let in");
    assert!(matches!(refused, ConnectionError::ConnectionClosed(_)), "{refused}");
    were_turned_away(&turned_away, &[Refused::JoinCrowded]).await;
    knock(&other, door).await.expect("let in");
    drop(held);
    // The door hears of it a moment later.
    while knock(&greedy, door).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_does_not_say_goodbye_is_let_go() {
    let (door, _) = door(1, JoinReply::Refused(JoinRefusal::Used));
    let stranger = stranger(10);
    let visit = knock(&stranger, door).await.expect("let in");
    let (mut send, mut recv) = visit.open_bi().await.expect("a stream");
    let request = codec::encode(&JoinRequest { admission: admission() });
    frame::write(&mut send, request.into()).await.expect("asked");
    frame::read(&mut recv, JoinReply::LIMIT).await.expect("answered");
    let closed = visit.closed().await;
    assert!(
        matches!(&closed, ConnectionError::ApplicationClosed(close) if close.error_code == DONE),
        "{closed}"
    );
}
