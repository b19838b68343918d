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

#[test]
fn a_flood_from_everywhere_costs_a_legitimate_peer_one_round_trip() {
    let mut wire = Wire::mesh(2);
    let mut stranger = Attacker::new(&secret(99), wire.hosts[1].key());
    let initiation = stranger.initiation();
    let mut n = 0;
    let mut bytes_out = 0;
    let mut flood = |wire: &mut Wire, count: u32| {
        for _ in 0..count {
            n += 1;
            let answers = wire.inject(1, spoofed(n), &initiation);
            let out: usize = answers.iter().map(Vec::len).sum();
            assert!(out <= initiation.len(), "amplified");
            bytes_out += out;
        }
    };
    flood(&mut wire, 1000);
    let packet = wire.send(0, 1, b"let me in");
    for _ in 0..50 {
        flood(&mut wire, 100);
        wire.run_ms(10);
    }
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.hosts[0].peer(wire.hosts[1].key()).endpoint, Some(underlay(2)));
    // The budget of 128 and what came back in half a second, less one for each that got through.
    let paid = wire.hosts[1].drops(Drop::UnknownPeer);
    assert!((128..=128 + 70).contains(&paid), "{paid}");
    assert_eq!(wire.hosts[1].drops(Drop::HandshakeBudget), 0);
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
