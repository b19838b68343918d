//! The engine against another implementation: boringtun, in both roles and through all of a
//! tunnel's life. Its clock is a mock one and keeps step with the engine's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Drop, Engine, EngineConfig, HandshakeBudget, Rate, Role, WallTime};
use mesh_model::plan::{PeerPlan, Update};
use mesh_model::{MemberId, PresharedKey};
use mock_instant::MockClock;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::wire::{Faults, Outbox, WALL, secret, single, underlay};

/// How often boringtun wants to be told that time passes.
const STEP: Duration = Duration::from_millis(100);

/// Longest datagram boringtun may write.
const ROOM: usize = 2048;

/// A datagram on the wire: when it lands, whether at the engine, and what.
type Flying = (Instant, bool, Vec<u8>);

/// An engine, a boringtun tunnel, and a wire between them.
struct Pair {
    now: Instant,
    engine: Engine,
    out: Outbox,
    stock: Tunn,
    /// What boringtun delivered.
    arrived: Vec<Vec<u8>>,
    wire: Vec<Flying>,
    /// Types and directions of all datagrams: `true` from the engine.
    seen: Vec<(bool, u8)>,
    faults: Faults,
    cut: bool,
    rng: ChaCha8Rng,
}

fn stock(psk: Option<[u8; 32]>, busy: bool) -> Tunn {
    let own = StaticSecret::from(*secret(2).to_bytes());
    let peer = PublicKey::from(secret(1).public().0);
    let limiter = busy.then(|| Arc::new(RateLimiter::new(&PublicKey::from(&own), 0)));
    Tunn::new(own, peer, psk, None, 77, limiter)
}

fn plan(psk: Option<[u8; 32]>) -> PeerPlan {
    PeerPlan {
        before: None,
        member: MemberId(2),
        allowed_ips: vec!["10.0.0.2/32".parse().expect("a prefix")],
        endpoints: vec![underlay(2)],
        keepalive: None,
        preshared: psk.map(PresharedKey::from_bytes).into(),
        inbound: Default::default(),
    }
}

impl Pair {
    fn new(psk: Option<[u8; 32]>, budget: HandshakeBudget, busy: bool) -> Self {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let config = EngineConfig {
            secret: Some(secret(1)),
            role: Role::Plain,
            budget,
            wall: WALL,
            stamp_floor: WallTime::default(),
        };
        let mut pair = Self {
            now,
            engine: Engine::new(config, [1; 32], now),
            out: Outbox::default(),
            stock: stock(psk, busy),
            arrived: Vec::new(),
            wire: Vec::new(),
            seen: Vec::new(),
            faults: Faults::default(),
            cut: false,
            rng: ChaCha8Rng::from_seed([3; 32]),
        };
        pair.update(plan(psk));
        pair
    }

    fn plain() -> Self {
        Self::new(None, HandshakeBudget::default(), false)
    }

    fn update(&mut self, plan: PeerPlan) {
        let update = Update::SetPeer(secret(2).public(), plan);
        self.engine.handle_update(update, self.now, &mut self.out);
        self.post();
    }

    /// The engine sends a packet.
    fn there(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = packet(1, 2, payload);
        self.engine.handle_kernel(&single(&packet), self.now, &mut self.out);
        self.post();
        packet
    }

    /// boringtun sends a packet.
    fn back(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = packet(2, 1, payload);
        self.seal(&packet);
        packet
    }

    /// boringtun sends these bytes.
    fn seal(&mut self, packet: &[u8]) {
        let mut out = [0; ROOM];
        if let TunnResult::WriteToNetwork(datagram) = self.stock.encapsulate(packet, &mut out) {
            let datagram = datagram.to_vec();
            self.launch(true, datagram);
        }
    }

    /// What the engine wrote goes onto the wire.
    fn post(&mut self) {
        for (to, datagram) in std::mem::take(&mut self.out.sent) {
            assert_eq!(to, underlay(2));
            self.launch(false, datagram);
        }
    }

    fn launch(&mut self, to_engine: bool, datagram: Vec<u8>) {
        self.seen.push((!to_engine, datagram[0]));
        let copies = 1 + usize::from(self.rng.random_range(0..100) < self.faults.double);
        for _ in 0..copies {
            if self.cut || self.rng.random_range(0..100) < self.faults.loss {
                continue;
            }
            let most = self.faults.delay.as_micros() as u64;
            let late = Duration::from_micros(self.rng.random_range(0..=most));
            self.wire.push((
                self.now + Duration::from_millis(1) + late,
                to_engine,
                datagram.clone(),
            ));
        }
    }

    fn land(&mut self, to_engine: bool, mut datagram: Vec<u8>) {
        if to_engine {
            let inner = self.engine.handle_datagram(
                underlay(2).into(),
                &mut datagram,
                self.now,
                &mut self.out,
            );
            self.out.delivered.extend(inner.map(|inner| datagram[inner].to_vec()));
            while self.engine.poll_event().is_some() {}
            return self.post();
        }
        let from = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let mut next = &datagram[..];
        loop {
            let mut out = [0; ROOM];
            match self.stock.decapsulate(from, next, &mut out) {
                TunnResult::WriteToNetwork(answer) => {
                    let answer = answer.to_vec();
                    self.launch(true, answer);
                    // Asked again without a datagram it sends what it kept.
                    next = &[];
                }
                TunnResult::WriteToTunnelV4(packet, _) => {
                    return self.arrived.push(packet.to_vec());
                }
                _ => return,
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            MockClock::advance(STEP);
            while let Some(at) = self.wire.iter().position(|(due, ..)| *due <= self.now) {
                let (_, to_engine, datagram) = self.wire.remove(at);
                self.land(to_engine, datagram);
            }
            if self.engine.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.engine.handle_timeout(self.now, &mut self.out);
                self.post();
            }
            let mut out = [0; ROOM];
            if let TunnResult::WriteToNetwork(datagram) = self.stock.update_timers(&mut out) {
                let datagram = datagram.to_vec();
                self.launch(true, datagram);
            }
        }
    }

    fn run_secs(&mut self, secs: u64) {
        self.run(Duration::from_secs(secs));
    }

    fn count(&self, from_engine: bool, kind: u8) -> usize {
        self.seen.iter().filter(|seen| **seen == (from_engine, kind)).count()
    }
}

fn packet(from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let at = |host| SocketAddr::from(([10, 0, 0, host], 4000));
    udp::encode(at(from), at(to), payload).expect("fits")
}

#[test]
fn either_may_begin_with_and_without_a_preshared_key() {
    for psk in [None, Some([9; 32])] {
        for engine_begins in [true, false] {
            let mut pair = Pair::new(psk, HandshakeBudget::default(), false);
            for len in [0, 1, 3, 4, 1000, 1372] {
                let payload = vec![5; len];
                if engine_begins {
                    let there = pair.there(&payload);
                    pair.run_secs(1);
                    assert_eq!(pair.arrived.pop(), Some(there));
                }
                let back = pair.back(&payload);
                pair.run_secs(1);
                assert_eq!(pair.out.delivered.pop(), Some(back));
                let there = pair.there(&payload);
                pair.run_secs(1);
                assert_eq!(pair.arrived.pop(), Some(there));
            }
            assert_eq!(pair.count(engine_begins, 1), 1, "one handshake, by whoever began");
            assert_eq!(pair.count(!engine_begins, 1), 0);
            assert_eq!(pair.engine.drops().total(), 0);
        }
    }
}

#[test]
fn a_plain_device_leaves_ports_and_destinations_to_the_kernel() {
    let mut pair = Pair::plain();
    let gossip = SocketAddr::from(([10, 0, 0, 2], mesh_model::addr::port::GOSSIP));
    let anywhere = SocketAddr::from(([203, 0, 113, 9], mesh_model::addr::port::GOSSIP));
    let there = udp::encode(anywhere, gossip, b"out").expect("fits");
    pair.engine.handle_kernel(&single(&there), pair.now, &mut pair.out);
    pair.post();
    pair.run_secs(1);
    assert_eq!(pair.arrived, [there]);
    for (from, passes) in [("10.0.0.2:1", true), ("10.0.0.3:1", false)] {
        let back = udp::encode(from.parse().expect("an address"), anywhere, b"in").expect("fits");
        pair.seal(&back);
        pair.run_secs(1);
        assert_eq!(pair.out.delivered.pop(), passes.then_some(back));
    }
    assert!(pair.out.control.is_empty());
    assert_eq!(pair.engine.drops().get(Drop::SourceNotAllowed), 1);
    assert_eq!(pair.engine.drops().total(), 1);
}

#[test]
fn a_wrong_preshared_key_opens_nothing() {
    let mut pair = Pair::new(Some([9; 32]), HandshakeBudget::default(), false);
    pair.update(plan(Some([8; 32])));
    pair.there(b"into the void");
    pair.back(b"into the void");
    pair.run_secs(20);
    assert!(pair.arrived.is_empty() && pair.out.delivered.is_empty());
    assert!(pair.engine.drops().get(Drop::HandshakeInvalid) > 0);
    // From the next handshake on, and not before.
    pair.update(plan(Some([9; 32])));
    pair.run_secs(10);
    assert_eq!(pair.arrived.len(), 1);
    pair.update(plan(None));
    let there = pair.there(b"the old session lives");
    pair.run_secs(1);
    assert_eq!(pair.arrived.last(), Some(&there));
}

#[test]
fn sessions_are_renewed_for_an_hour_without_a_gap() {
    for engine_begins in [true, false] {
        let mut pair = Pair::plain();
        if engine_begins {
            pair.there(b"first")
        } else {
            pair.back(b"first")
        };
        pair.run_secs(1);
        for second in 0..3600u32 {
            pair.there(&second.to_be_bytes());
            pair.back(&second.to_be_bytes());
            pair.run_secs(1);
        }
        let extra = usize::from(engine_begins);
        assert_eq!(pair.arrived.len(), 3600 + extra);
        assert_eq!(pair.out.delivered.len(), 3601 - extra);
        let handshakes = pair.count(true, 1) + pair.count(false, 1);
        assert!((29..=32).contains(&handshakes), "every 120 s: {handshakes}");
        assert_eq!(pair.engine.drops().total(), 0);
    }
}

#[test]
fn one_sided_talk_is_kept_alive_by_the_listeners_keepalives() {
    for engine_talks in [true, false] {
        let mut pair = Pair::plain();
        for second in 0..100u8 {
            if engine_talks {
                pair.there(&[second])
            } else {
                pair.back(&[second])
            };
            pair.run_secs(1);
        }
        let arrived = if engine_talks { &pair.arrived } else { &pair.out.delivered };
        assert_eq!(arrived.len(), 100);
        assert_eq!(pair.count(true, 1) + pair.count(false, 1), 1, "and nobody starts over");
        let keepalives = pair.count(!engine_talks, 4);
        assert!((9..=11).contains(&keepalives), "every 10 s: {keepalives}");
    }
}

#[test]
fn a_busy_responder_gets_its_cookie_back() {
    let mut pair = Pair::new(None, HandshakeBudget::default(), true);
    let there = pair.there(b"how busy?");
    pair.run_secs(2);
    assert_eq!(pair.arrived, [there]);
    assert_eq!((pair.count(true, 1), pair.count(false, 3)), (2, 1));
}

#[test]
fn a_cookie_of_ours_is_understood() {
    let nothing = Rate { burst: 0, per_second: 1 };
    let proven = HandshakeBudget::default().proven_per_source;
    let budget =
        HandshakeBudget { free: nothing, free_per_source: nothing, proven_per_source: proven };
    let mut pair = Pair::new(None, budget, false);
    let back = pair.back(b"busy?");
    pair.run_secs(8);
    assert_eq!(pair.out.delivered, [back]);
    assert_eq!((pair.count(true, 3), pair.count(false, 1)), (1, 2));
    assert_eq!(pair.engine.drops().get(Drop::CookieRequired), 1);
}

#[test]
fn packets_reordered_by_thousands_arrive_once() {
    /// What the kernel's window takes (its selftest's COUNTER_WINDOW_SIZE).
    const DEPTH: usize = 8128;
    let mut pair = Pair::plain();
    pair.there(b"hello");
    pair.run_secs(1);
    pair.cut = true;
    let mut sealed = Vec::new();
    for n in 0..=DEPTH {
        let mut out = [0; ROOM];
        let packet = packet(2, 1, &n.to_be_bytes());
        let TunnResult::WriteToNetwork(datagram) = pair.stock.encapsulate(&packet, &mut out) else {
            panic!("a session");
        };
        sealed.push(datagram.to_vec());
    }
    // The newest first: the oldest is one too old.
    for _ in 0..2 {
        for datagram in sealed.iter().rev() {
            pair.land(true, datagram.clone());
        }
        assert_eq!(pair.out.delivered.len(), DEPTH);
    }
    assert_eq!(pair.engine.drops().get(Drop::Replay), (DEPTH + 2) as u64);
}

fn faults() -> impl Strategy<Value = Faults> {
    (0u32..40, 0u32..50, 0u64..400).prop_map(|(loss, double, delay)| Faults {
        loss,
        double,
        delay: Duration::from_millis(delay),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_bad_wire_loses_but_does_not_lie(seed in any::<u64>(), faults in faults(), talk in prop::collection::vec((any::<bool>(), 0u64..30), 1..40)) {
        let mut pair = Pair::plain();
        pair.rng = ChaCha8Rng::seed_from_u64(seed);
        pair.faults = faults;
        let mut sent = [BTreeSet::new(), BTreeSet::new()];
        for (n, (there, pause)) in talk.into_iter().enumerate() {
            let payload = n.to_be_bytes();
            let packet = if there { pair.there(&payload) } else { pair.back(&payload) };
            sent[usize::from(there)].insert(packet);
            pair.run(STEP * pause as u32);
        }
        // A stock peer tries again every 5 s, and finds out after 15 s that a session is lost.
        pair.faults = Faults::default();
        for _ in 0..40 {
            pair.there(b"heal");
            pair.back(b"heal");
            pair.run_secs(1);
        }
        let heal = [packet(2, 1, b"heal"), packet(1, 2, b"heal")];
        pair.out.delivered.retain(|packet| *packet != heal[0]);
        pair.arrived.retain(|packet| *packet != heal[1]);
        for (arrived, sent) in [&pair.out.delivered, &pair.arrived].into_iter().zip(&sent) {
            let set: BTreeSet<_> = arrived.iter().cloned().collect();
            prop_assert_eq!(set.len(), arrived.len(), "twice");
            prop_assert!(set.is_subset(sent), "changed");
        }
        let there = pair.there(b"healed");
        let back = pair.back(b"healed");
        pair.run_secs(1);
        prop_assert!(pair.arrived.contains(&there));
        prop_assert!(pair.out.delivered.contains(&back));
    }
}
