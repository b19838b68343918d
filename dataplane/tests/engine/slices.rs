//! Several slices do together what one engine does alone.

use std::net::SocketAddr;

use mesh_dataplane::{Drop, Engine, HandshakeBudget, MAX_SLICES};
use mesh_model::TunnelKey;
use mesh_model::addr::port;
use mesh_model::plan::{PeerPlan, Update};
use proptest::prelude::*;

use crate::attacker::Attacker;
use crate::wire::{Host, KERNEL_PORT, Wire, secret, single, underlay};

fn mesh(n: u8, of: usize) -> Wire {
    Wire::sliced(n, of, HandshakeBudget::default()).introduced()
}

/// `host` of `wire` has this packet from its kernel.
fn kernel(wire: &mut Wire, host: usize, packet: &[u8]) {
    let now = wire.now;
    let Host { engine, out, .. } = &mut wire.hosts[host];
    engine.handle_kernel(&single(packet), now, out);
    wire.drain(host);
}

/// Which slice of `host` has the peer.
fn slice_of(host: &Host, key: TunnelKey) -> usize {
    let has = |engine: &Engine| engine.peers().any(|peer| peer.key == key);
    host.engine.slices().iter().position(has).expect("a peer")
}

/// What a host shows of itself after a run.
fn outcome(host: &Host) -> impl PartialEq + std::fmt::Debug + use<> {
    let peers = host.engine.peers();
    let peers = peers.map(|peer| (peer.key, peer.established, peer.rx_bytes, peer.tx_bytes));
    let out = &host.out;
    let drops = host.engine.drops().clone();
    let events = host.events.iter().map(|event| format!("{event:?}"));
    let events: std::collections::BTreeSet<_> = events.collect();
    (
        out.delivered.clone(),
        out.control.clone(),
        out.urgent,
        peers.collect::<Vec<_>>(),
        drops,
        events,
    )
}

#[derive(Debug, Clone, Copy)]
struct Talk {
    from: usize,
    step: usize,
    kernel: bool,
    packets: usize,
    pause: u64,
}

fn talk() -> impl Strategy<Value = Talk> {
    (0usize..4, 1usize..4, any::<bool>(), 1usize..5, 0u64..3000).prop_map(
        |(from, step, kernel, packets, pause)| Talk { from, step, kernel, packets, pause },
    )
}

/// The same talk between hosts of `of` slices.
fn run(of: usize, talk: &[Talk]) -> Wire {
    let mut wire = mesh(4, of);
    for (n, Talk { from, step, kernel: by_kernel, packets, pause }) in talk.iter().enumerate() {
        let to = (from + step) % 4;
        for at in 0..*packets {
            let payload = [&n.to_be_bytes()[..], &at.to_be_bytes()].concat();
            let port = if *by_kernel { KERNEL_PORT } else { port::GOSSIP };
            let packet = wire.packet(*from, to, port, &payload, at % 2 == 0);
            match by_kernel {
                true => kernel(&mut wire, *from, &packet),
                false => wire.inner(*from, &packet),
            }
        }
        wire.run_ms(*pause);
    }
    wire.run_ms(50);
    wire
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_same_packets_arrive_in_the_same_order(of in 2usize..=MAX_SLICES, talk in prop::collection::vec(talk(), 1..40)) {
        let (whole, sliced) = (run(1, &talk), run(of, &talk));
        for (one, several) in whole.hosts.iter().zip(&sliced.hosts) {
            prop_assert_eq!(outcome(one), outcome(several));
        }
        prop_assert_eq!(whole.seen.len(), sliced.seen.len(), "the wire sees no difference");
        prop_assert_eq!(whole.hosts.iter().map(|host| host.engine.hops).sum::<usize>(), 0);
    }
}

#[test]
fn peers_are_spread_evenly_and_a_place_that_falls_free_is_filled() {
    let mut wire = mesh(7, 3);
    let loads = |wire: &Wire| {
        let slices = wire.hosts[0].engine.slices().iter();
        slices.map(|engine| engine.peers().count()).collect::<Vec<_>>()
    };
    assert_eq!(loads(&wire), [2, 2, 2]);
    let gone = wire.hosts[2].key();
    let slice = slice_of(&wire.hosts[0], gone);
    wire.update(0, Update::RemovePeer(gone));
    let mut less = vec![2; 3];
    less[slice] = 1;
    assert_eq!(loads(&wire), less);
    wire.introduce(0, 2);
    assert_eq!(loads(&wire), [2, 2, 2]);
    // One that is known stays where it is.
    wire.introduce(0, 2);
    assert_eq!(slice_of(&wire.hosts[0], gone), slice);
}

#[test]
fn no_peer_speaks_for_one_of_another_slice() {
    let mut wire = mesh(3, 2);
    let [one, two] = [1, 2].map(|peer| slice_of(&wire.hosts[0], wire.hosts[peer].key()));
    assert_ne!(one, two);
    for (liar, victim) in [(1, 2), (2, 1)] {
        wire.send(liar, 0, b"myself");
        wire.run_ms(50);
        let mut forged = wire.packet(victim, 0, KERNEL_PORT, b"somebody else", true);
        wire.inner(liar, &std::mem::take(&mut forged));
        wire.run_ms(50);
    }
    assert_eq!(wire.hosts[0].drops(Drop::SourceNotAllowed), 2);
    assert_eq!(wire.hosts[0].out.delivered.len(), 2);
}

#[test]
fn prefixes_move_between_peers_of_different_slices() {
    let mut wire = mesh(3, 2);
    let (key, mut plan) = (wire.hosts[2].key(), wire.hosts[2].plan());
    plan.allowed_ips = wire.hosts[1].addrs.host_prefixes().to_vec();
    wire.update(0, Update::SetPeer(key, plan));
    assert!(wire.hosts[0].peer(wire.hosts[1].key()).allowed_ips.is_empty());
    let packet = wire.packet(0, 1, KERNEL_PORT, b"to whoever has it", true);
    kernel(&mut wire, 0, &packet);
    wire.run_ms(50);
    assert!(wire.hosts[0].peer(key).established);
    assert!(!wire.hosts[0].peer(wire.hosts[1].key()).established);
    // Gone with its holder, and not the former one's again.
    wire.update(0, Update::RemovePeer(key));
    kernel(&mut wire, 0, &packet);
    assert_eq!(wire.hosts[0].drops(Drop::NoRoute), 1);
}

#[test]
fn what_a_peer_gives_up_is_given_up_in_every_slice() {
    let mut wire = mesh(3, 2);
    let wide = "100.88.0.0/24".parse().unwrap();
    let [narrow, mut wider] = [1, 2].map(|peer| wire.hosts[peer].plan());
    wider.allowed_ips.push(wide);
    wire.update(0, Update::SetPeer(wire.hosts[2].key(), wider));
    let less = PeerPlan { allowed_ips: Vec::new(), ..narrow };
    wire.update(0, Update::SetPeer(wire.hosts[1].key(), less));
    // Host 2 speaks from an address that was host 1's, and is spoken to there.
    let packet = wire.packet(1, 0, KERNEL_PORT, b"mine now", false);
    wire.inner(2, &packet);
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].out.delivered, [packet]);
    let packet = wire.packet(0, 1, KERNEL_PORT, b"to its holder", false);
    kernel(&mut wire, 0, &packet);
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].engine.drops().total(), 0);
    assert!(!wire.hosts[0].peer(wire.hosts[1].key()).established);
}

#[test]
fn slices_that_have_not_heard_the_same_lose_packets_and_nothing_goes_round() {
    let mut wire = mesh(5, 3);
    let now = wire.now;
    let key = wire.hosts[1].key();
    let before = slice_of(&wire.hosts[0], key);
    let plan = wire.hosts[1].plan();
    // It changes slices: others take the place it leaves.
    let newcomer =
        Update::SetPeer(secret(77).public(), PeerPlan { allowed_ips: Vec::new(), ..plan.clone() });
    let Host { engine, out, .. } = &mut wire.hosts[0];
    for update in [Update::RemovePeer(key), newcomer, Update::SetPeer(key, plan)] {
        engine.handle_update_early(0, update, now, out);
    }
    for n in 0..20u8 {
        wire.send(1, 0, &[n]);
        let packet = wire.packet(0, 1, KERNEL_PORT, &[n], true);
        kernel(&mut wire, 0, &packet);
        wire.inner(0, &packet);
        wire.run_ms(20);
    }
    assert!(wire.hosts[0].drops(Drop::Moved) > 0);
    let now = wire.now;
    let Host { engine, out, .. } = &mut wire.hosts[0];
    engine.catch_up(now, out);
    wire.drain(0);
    assert_ne!(slice_of(&wire.hosts[0], key), before);
    wire.run_ms(6000);
    let (there, back) = (wire.send(1, 0, b"there"), wire.send(0, 1, b"back"));
    wire.run_ms(6000);
    assert_eq!(wire.hosts[0].out.delivered.last(), Some(&there));
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&back));
}

#[test]
fn strangers_cost_no_more_than_they_cost_one_engine() {
    let spoofed = |n: u32| -> SocketAddr {
        let [_, a, b, c] = n.to_be_bytes();
        ([10, a, b, c], 1).into()
    };
    let paid = [1, MAX_SLICES].map(|of| {
        let mut wire = mesh(2, of);
        let mut stranger = Attacker::new(&secret(99), wire.hosts[1].key());
        for n in 0..2000 {
            let initiation = stranger.initiation();
            wire.inject(1, spoofed(n), &initiation);
            wire.inject(1, underlay(66), &initiation);
        }
        let host = &wire.hosts[1];
        (host.drops(Drop::UnknownPeer), host.drops(Drop::CookieRequired))
    });
    assert_eq!(paid[0], paid[1]);
    assert_eq!(paid[0].0, 128);
}

#[test]
fn garbage_is_counted_once_wherever_it_goes() {
    let mut wire = mesh(2, 3);
    for index in 0..=255u8 {
        let data = [&[4, 0, 0, 0, index, 7, 7, 7][..], &[0; 56]].concat();
        wire.inject(0, underlay(66), &data);
    }
    assert_eq!(wire.hosts[0].drops(Drop::UnknownIndex), 256);
    wire.inject(0, underlay(66), &[2; 92]);
    wire.inject(0, underlay(66), &[1, 0, 0, 0]);
    assert_eq!(wire.hosts[0].drops(Drop::DatagramMalformed), 2);
    assert_eq!(wire.hosts[0].engine.drops().total(), 258);
}

#[test]
fn no_two_slices_make_the_same_keys() {
    let mut wire = mesh(5, 4);
    for peer in 1..5 {
        wire.send(0, peer, b"hello");
    }
    let ephemeral = wire.seen.iter().map(|initiation| initiation.bytes[8..40].to_vec());
    assert_eq!(ephemeral.collect::<std::collections::BTreeSet<_>>().len(), 4);
}
