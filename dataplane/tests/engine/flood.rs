//! Handshakes in masses.

use std::net::SocketAddr;

use mesh_dataplane::{Drop, HandshakeBudget, Rate};
use mesh_model::plan::Update;

use crate::attacker::Attacker;
use crate::wire::{Wire, secret, underlay};

/// Any of 2^24 spoofed sources.
fn spoofed(n: u32) -> SocketAddr {
    let [_, a, b, c] = n.to_be_bytes();
    ([10, a, b, c], 1).into()
}

/// Forgeries of a millisecond.
const EACH_MS: u32 = 20;

/// How long the flood has gone on before: all free budgets are spent, and those remembered for single
/// sources, which are swept each second, are as many as may be.
const BEFORE_MS: u64 = 1_500;

/// What is promised to a legitimate peer under such a flood.
const PROMISED_MS: u64 = 5_000;

/// Floods host `victim` of two with 20,000 forged initiations a second, each from where `from` says, which
/// bring out no more bytes than they bring in. After a while host 0 wants a session with host 1: in how
/// many milliseconds it has one.
fn session_under_flood(mut wire: Wire, victim: usize, from: impl Fn(u32) -> SocketAddr) -> u64 {
    let forged = Attacker::new(&secret(99), wire.hosts[victim].key()).initiation();
    let mut n = 0;
    let mut flood = |wire: &mut Wire| {
        for _ in 0..EACH_MS {
            n += 1;
            let answers = wire.inject(victim, from(n), &forged);
            let out: usize = answers.iter().map(Vec::len).sum();
            assert!(out <= forged.len(), "amplified");
        }
        wire.run_ms(1);
    };
    (0..BEFORE_MS).for_each(|_| flood(&mut wire));
    let packet = wire.send(0, 1, b"let me in");
    let taken = (1..=PROMISED_MS).find(|_| {
        flood(&mut wire);
        !wire.hosts[1].out.delivered.is_empty()
    });
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    // What the flood was worth to the victim: the free budget and what came back of it since.
    let taken = taken.expect("delivered");
    let most = 128 + 128 * (BEFORE_MS + taken) / 1000 + 1;
    let paid = wire.hosts[victim].drops(Drop::UnknownPeer);
    assert!((16..=most).contains(&paid), "{paid}");
    assert_eq!(wire.hosts[victim].drops(Drop::HandshakeBudget), 0);
    assert_eq!(wire.hosts[0].peer(wire.hosts[1].key()).endpoint, Some(underlay(2)));
    taken
}

fn plain(n: u8) -> Wire {
    Wire::plain(n).introduced()
}

#[test]
fn twenty_thousand_forgeries_a_second_keep_nobody_out() {
    let foreign = |_| underlay(66);
    let peers_own = |_| underlay(1);
    for wire in [Wire::mesh, plain] {
        assert!(session_under_flood(wire(2), 1, foreign) < 10, "nobody else is concerned");
        let one = session_under_flood(wire(2), 1, peers_own);
        let many = session_under_flood(wire(2), 1, spoofed);
        // A cookie, and one repetition that shows it.
        assert!((300..500).contains(&one) && (300..500).contains(&many), "{one} {many}");
    }
}

#[test]
fn nor_do_they_keep_their_victim_from_calling() {
    let peers_own = |_| underlay(2);
    for wire in [Wire::mesh, plain] {
        // Here it is the response that has to show a cookie, and a second initiation that asks for it.
        let own = session_under_flood(wire(2), 0, peers_own);
        let many = session_under_flood(wire(2), 0, spoofed);
        assert!((300..500).contains(&own) && many < 500, "{own} {many}");
    }
}

#[test]
fn one_source_in_a_hurry_is_asked_for_proof_and_nobody_else() {
    let mut wire = Wire::mesh(2);
    let mut stranger = Attacker::new(&secret(99), wire.hosts[1].key());
    for _ in 0..100 {
        wire.inject(1, underlay(66), &stranger.initiation());
    }
    assert_eq!(wire.hosts[1].drops(Drop::UnknownPeer), 16);
    assert_eq!(wire.hosts[1].drops(Drop::CookieRequired), 84);
    let packet = wire.send(0, 1, b"not me");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.hosts[1].drops(Drop::CookieRequired), 84);
}

#[test]
fn a_source_with_proof_has_a_budget_too_and_it_is_its_own() {
    let nothing = Rate { burst: 0, per_second: 1 };
    let budget = HandshakeBudget {
        free: nothing,
        free_per_source: nothing,
        proven_per_source: Rate { burst: 3, per_second: 1 },
    };
    let mut wire = Wire::with_budget(3, budget);
    wire.introduce(1, 0);
    wire.introduce(1, 2);
    wire.introduce(2, 1);
    let mut hasty = Attacker::new(&secret(1), wire.hosts[1].key());
    let cookie = wire.inject(1, underlay(1), &hasty.initiation());
    assert_eq!(wire.hosts[1].drops(Drop::CookieRequired), 1);
    hasty.read(&cookie[0]);
    let answered = (0..10).filter(|_| {
        wire.run_ms(1);
        !wire.inject(1, underlay(1), &hasty.initiation()).is_empty()
    });
    assert_eq!(answered.count(), 3);
    assert_eq!(wire.hosts[1].drops(Drop::HandshakeBudget), 7);
    // A cookie proves one address only.
    wire.inject(1, underlay(66), &hasty.initiation());
    assert_eq!(wire.hosts[1].drops(Drop::CookieRequired), 2);

    let packet = wire.send(2, 1, b"and me?");
    wire.run_ms(2000);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn a_cookie_proves_one_address_and_port_for_two_minutes() {
    let nothing = Rate { burst: 0, per_second: 1 };
    let proven_per_source = HandshakeBudget::default().proven_per_source;
    let budget = HandshakeBudget { free: nothing, free_per_source: nothing, proven_per_source };
    let mut wire = Wire::with_budget(2, budget);
    wire.introduce(1, 0);
    let mut stock = Attacker::new(&secret(1), wire.hosts[1].key());
    let cookie = wire.inject(1, underlay(1), &stock.initiation());
    stock.read(&cookie[0]);
    let mut is_answered = |wire: &mut Wire, from| {
        let answer = wire.inject(1, from, &stock.initiation());
        answer.iter().any(|datagram| datagram[0] == 2)
    };
    assert!(is_answered(&mut wire, underlay(1)));
    let other_port = SocketAddr::new(underlay(1).ip(), 7);
    assert!(!is_answered(&mut wire, other_port));
    wire.run_ms(118_000);
    assert!(is_answered(&mut wire, underlay(1)));
    wire.run_ms(3_000);
    assert!(!is_answered(&mut wire, underlay(1)));
}

#[test]
fn a_cookie_is_shown_while_it_is_fresh_and_moves_nothing() {
    let nothing = Rate { burst: 0, per_second: 1 };
    let proven_per_source = HandshakeBudget::default().proven_per_source;
    let budget = HandshakeBudget { free: nothing, free_per_source: nothing, proven_per_source };
    let mut wire = Wire::with_budget(2, budget);
    wire.introduce(0, 1);
    wire.introduce(1, 0);
    let shows_cookie = |wire: &Wire| wire.last(1)[132..] != [0; 16];
    wire.send(0, 1, b"hello");
    assert!(!shows_cookie(&wire));
    while wire.count(3) == 0 {
        wire.run(std::time::Duration::from_micros(100));
    }
    let cookie = wire.last(3);
    // Whoever plays it back from elsewhere moves nothing, and twice is once too often.
    wire.inject(0, underlay(66), &cookie);
    wire.inject(0, underlay(66), &cookie);
    assert_eq!(wire.hosts[0].drops(Drop::HandshakeUnexpected), 1);
    assert_eq!(wire.hosts[0].peer(wire.hosts[1].key()).endpoint, Some(underlay(2)));
    // The response has to show a cookie as well: the next initiation gets through.
    wire.run_ms(3000);
    assert_eq!(wire.hosts[1].out.delivered.len(), 1);
    assert!(shows_cookie(&wire));
    for (pause, shown) in [(60_000, true), (70_000, false)] {
        wire.run_ms(pause);
        // The same key anew: the sessions are gone.
        wire.set_secret(0, Some(secret(1)));
        wire.send(0, 1, b"again");
        assert_eq!(shows_cookie(&wire), shown);
    }
}

#[test]
fn those_who_do_not_know_our_key_hear_nothing() {
    let mut wire = Wire::mesh(2);
    let mut lost = Attacker::new(&secret(99), secret(50).public());
    for _ in 0..500 {
        assert!(wire.inject(1, underlay(66), &lost.initiation()).is_empty());
    }
    assert_eq!(wire.hosts[1].drops(Drop::BadMac), 500);
}

#[test]
fn a_removed_peer_cannot_come_back_by_itself() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(50);
    wire.update(1, Update::RemovePeer(wire.hosts[0].key()));
    let delivered = wire.hosts[1].out.delivered.len();
    let mut back = Attacker::new(&secret(1), wire.hosts[1].key());
    for _ in 0..5 {
        assert!(wire.inject(1, underlay(1), &back.initiation()).is_empty());
    }
    assert_eq!(wire.hosts[1].drops(Drop::UnknownPeer), 5);
    assert_eq!(wire.hosts[1].out.delivered.len(), delivered);
}
