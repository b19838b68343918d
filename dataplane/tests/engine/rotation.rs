//! A host's key changes, and nobody misses a packet.
//!
//! The steps of a change are those of `OwnKeys`: the new key is there, the change is agreed, everybody knows. In
//! which order hosts hear that it is agreed, nobody can say, so all orders are tried.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_dataplane::{Drop, HandshakeBudget, OtherKey, OwnKeys, Rate};
use mesh_model::plan::{PeerPlan, Update};
use mesh_model::{TunnelKey, TunnelSecret};
use proptest::prelude::*;

use crate::attacker::Attacker;
use crate::wire::{Faults, Wire, secret, underlay};

/// The key that `host` has before, and the one it has after.
fn keys(host: usize) -> (TunnelSecret, TunnelSecret) {
    let n = host as u8 + 1;
    (secret(n), secret(n + 100))
}

fn publics(host: usize) -> (TunnelKey, TunnelKey) {
    let (old, new) = keys(host);
    (old.public(), new.public())
}

impl Wire {
    fn set_keys(&mut self, host: usize, current: TunnelSecret, other: Option<OtherKey>) {
        self.hosts[host].engine.handle_keys(&OwnKeys { current, other });
        self.drain(host);
    }

    /// The new key of `host` is there, and nobody has heard of it.
    fn prepare(&mut self, host: usize) {
        let (old, new) = keys(host);
        self.set_keys(host, old, Some(OtherKey::Next(new)));
    }

    /// `host` hears that its new key is agreed.
    fn agree(&mut self, host: usize) {
        let (old, new) = keys(host);
        self.set_keys(host, new, Some(OtherKey::Before(old)));
    }

    /// `host` hears that everybody has heard.
    fn finish(&mut self, host: usize) {
        self.set_keys(host, keys(host).1, None);
    }

    /// `host` hears that the new key of `peer` is agreed.
    fn hear(&mut self, host: usize, peer: usize) {
        let (old, new) = publics(peer);
        let plan = PeerPlan { before: Some(old), ..self.hosts[peer].plan() };
        self.update(host, Update::RekeyPeer(old, new));
        self.update(host, Update::SetPeer(new, plan));
    }

    /// What crosses when both send a packet, within `ms`.
    fn talk(&mut self, ms: u64) -> [bool; 2] {
        let sent = [self.send(0, 1, b"there"), self.send(1, 0, b"and back")];
        self.run_ms(ms);
        [(1, &sent[0]), (0, &sent[1])]
            .map(|(to, packet)| self.hosts[to].out.delivered.contains(packet))
    }

    /// All sessions are dead, and nobody has anything to say.
    fn forget_sessions(&mut self) {
        self.run_ms(200_000);
    }
}

/// Talk in both directions, one packet each every 50 ms, and what came of it.
struct Talk {
    sent: [BTreeSet<Vec<u8>>; 2],
    n: u32,
}

impl Talk {
    fn new() -> Self {
        Self { sent: Default::default(), n: 0 }
    }

    fn go_on(&mut self, wire: &mut Wire, time: Duration) {
        let end = wire.now + time;
        while wire.now < end {
            self.n += 1;
            for (from, to) in [(0, 1), (1, 0)] {
                self.sent[to].insert(wire.send(from, to, &self.n.to_be_bytes()));
            }
            wire.run_ms(50);
        }
    }

    /// How many did not arrive.
    fn missing(&self, wire: &Wire) -> usize {
        let lost = |host: usize| {
            let arrived: BTreeSet<_> = wire.hosts[host].out.delivered.iter().cloned().collect();
            self.sent[host].difference(&arrived).count()
        };
        lost(0) + lost(1)
    }
}

#[test]
fn both_ends_change_at_once_and_no_packet_is_lost() {
    let mut wire = Wire::mesh(2);
    let mut talk = Talk::new();
    let minute = Duration::from_secs(60);
    talk.go_on(&mut wire, minute);
    for host in [0, 1] {
        wire.prepare(host);
    }
    talk.go_on(&mut wire, 3 * minute);
    for (host, peer) in [(0, 1), (1, 0)] {
        wire.agree(host);
        wire.hear(host, peer);
    }
    let before = [0, 1].map(|host| wire.hosts[host].handshakes());
    talk.go_on(&mut wire, 3 * minute);
    for host in [0, 1] {
        wire.finish(host);
    }
    talk.go_on(&mut wire, 5 * minute);
    assert_eq!(talk.missing(&wire), 0);
    for (host, peer) in [(0, 1), (1, 0)] {
        let done = wire.hosts[host].handshakes() - before[host];
        assert!((3..=5).contains(&done), "one each two minutes, as ever, and not {done}");
        assert_eq!(wire.hosts[host].engine.peers().count(), 1);
        let stats = wire.hosts[host].peer(publics(peer).1);
        assert!(stats.established && stats.rx_bytes > 100_000, "the same peer as before");
        assert_eq!(wire.hosts[host].engine.drops().total(), 0);
    }
}

/// What somebody hears of.
#[derive(Clone, Copy, Debug)]
enum Step {
    Agree(usize),
    Hear(usize, usize),
}

/// Two hosts whose keys change, on a wire that has everything come late, twice and in any order.
#[derive(Clone, Copy, Debug)]
struct Change {
    seed: u64,
    of: usize,
    delay_ms: u64,
    order: [Step; 4],
    /// Before each step and after the last, in seconds.
    pauses: [u64; 5],
}

impl Change {
    /// How many packets are missing five minutes after it.
    fn missing(self) -> usize {
        let Self { seed, of, delay_ms, order, pauses } = self;
        let mut wire = Wire::sliced(2, of, HandshakeBudget::default()).introduced();
        wire.seed(seed);
        let mut talk = Talk::new();
        talk.go_on(&mut wire, Duration::from_secs(1));
        wire.faults = Faults { loss: 0, double: 20, delay: Duration::from_millis(delay_ms) };
        for host in [0, 1] {
            wire.prepare(host);
        }
        for (step, pause) in order.into_iter().zip(pauses) {
            talk.go_on(&mut wire, Duration::from_secs(pause));
            match step {
                Step::Agree(host) => wire.agree(host),
                Step::Hear(host, peer) => wire.hear(host, peer),
            }
        }
        talk.go_on(&mut wire, Duration::from_secs(pauses[4]));
        for host in [0, 1] {
            wire.finish(host);
        }
        talk.go_on(&mut wire, Duration::from_secs(300));
        wire.run_ms(1_000);
        talk.missing(&wire)
    }
}

/// Every step there is, in some order.
const STEPS: [Step; 4] = [Step::Agree(0), Step::Agree(1), Step::Hear(0, 1), Step::Hear(1, 0)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Both change at about the same time, hear of it in any order, minutes apart or at once, while datagrams and with them
    /// handshakes come late, twice and in any order.
    #[test]
    fn in_whichever_order_it_is_heard_of_no_packet_is_lost(seed in any::<u64>(), of in 1usize..4, delay_ms in 0u64..250, order in Just(STEPS).prop_shuffle(), pauses in prop::array::uniform5(0u64..150)) {
        prop_assert_eq!(Change { seed, of, delay_ms, order, pauses }.missing(), 0);
    }
}

/// An answer takes longer than a turn of the greetings, so both ends begin twice before they hear of each other. The session
/// in which packets are still on their way is not among those that make room.
#[test]
fn two_that_begin_twice_at_once_on_a_slow_path_lose_no_packet() {
    let order = [Step::Hear(1, 0), Step::Agree(1), Step::Hear(0, 1), Step::Agree(0)];
    let change = Change { seed: 4759760814710027279, of: 1, delay_ms: 229, order, pauses: [0; 5] };
    assert_eq!(change.missing(), 0);
}

#[test]
fn one_that_has_not_heard_of_the_change_is_reached_and_reaches() {
    for first in [0, 1] {
        let mut wire = Wire::mesh(2);
        wire.agree(0);
        let packet = wire.send(first, 1 - first, b"as ever");
        wire.run_ms(1_000);
        assert!(wire.hosts[1 - first].out.delivered.contains(&packet), "from {first}");
        assert_eq!(wire.talk(50), [true; 2]);
        // It comes of age, and knows.
        wire.hear(1, 0);
        wire.finish(0);
        wire.forget_sessions();
        assert_eq!(wire.talk(50), [true; 2], "at once");
    }
}

#[test]
fn one_that_heard_of_the_change_before_its_host_is_reached_and_reaches() {
    for first in [0, 1] {
        let mut wire = Wire::mesh(2);
        wire.prepare(0);
        wire.hear(1, 0);
        let packet = wire.send(first, 1 - first, b"as ever");
        wire.run_ms(50);
        assert!(wire.hosts[1 - first].out.delivered.contains(&packet), "from {first}, at once");
        wire.forget_sessions();
        wire.agree(0);
        assert_eq!(wire.talk(50), [true; 2], "at once");
    }
}

#[test]
fn nobody_is_greeted_with_a_key_that_is_not_agreed() {
    let mut wire = Wire::mesh(2);
    wire.prepare(0);
    wire.lose_next = vec![1; 3];
    wire.send(0, 1, b"patience");
    wire.run_ms(3_000);
    assert_eq!(wire.hosts[1].out.delivered.len(), 1);
    assert_eq!(wire.hosts[1].drops(Drop::UnknownPeer), 0);
}

#[test]
fn a_handshake_under_way_survives_the_change() {
    // The response is under way when the initiator's key changes; the initiation, when the responder's does.
    for (us, changed) in [(1_500, 0), (500, 1)] {
        let mut wire = Wire::mesh(2);
        wire.prepare(changed);
        wire.send(0, 1, b"first");
        wire.run(Duration::from_micros(us));
        wire.agree(changed);
        wire.hear(1 - changed, changed);
        wire.run_ms(20);
        assert_eq!(wire.hosts[1].out.delivered.len(), 1);
        assert_eq!(wire.count(1), 1, "and is not begun anew");
    }
}

#[test]
fn the_old_key_is_worth_nothing_once_the_new_one_was_heard() {
    let (old, _) = keys(0);
    let mut wire = Wire::mesh(2);
    wire.prepare(0);
    wire.hear(1, 0);
    assert_eq!(wire.talk(1_000), [true; 2], "it may not have heard yet");
    wire.agree(0);
    wire.forget_sessions();
    assert_eq!(wire.talk(1_000), [true; 2]);
    // The plan goes on to name the key before, as long as agreement does.
    wire.hear(1, 0);
    wire.forget_sessions();
    let delivered = wire.hosts[1].out.delivered.len();
    wire.set_secret(0, Some(old));
    wire.send(0, 1, b"who had the disk");
    wire.run_ms(1_000);
    assert_eq!(wire.hosts[1].out.delivered.len(), delivered);
    assert!(wire.hosts[1].drops(Drop::UnknownPeer) > 0);
}

#[test]
fn a_thief_of_the_old_key_locks_nobody_out_of_the_new_one() {
    let mut wire = Wire::mesh(2);
    // By the real clock, which shows years more than that of the hosts.
    let mut thief = Attacker::new(&keys(0).0, wire.hosts[1].key());
    assert_eq!(wire.inject(1, underlay(66), &thief.initiation()).len(), 1, "it has the key");
    wire.send(0, 1, b"locked out");
    wire.run_ms(5_000);
    assert!(wire.hosts[1].out.delivered.is_empty(), "as everywhere in WireGuard");
    wire.prepare(0);
    wire.agree(0);
    wire.hear(1, 0);
    wire.forget_sessions();
    let packet = wire.send(0, 1, b"at last");
    wire.run_ms(5_000);
    assert!(wire.hosts[1].out.delivered.contains(&packet));
    let refused = wire.hosts[1].drops(Drop::HandshakeReplay);
    let initiation = wire.last(1);
    wire.inject(1, underlay(66), &initiation);
    assert_eq!(wire.hosts[1].drops(Drop::HandshakeReplay), refused + 1, "once under each key");
}

#[test]
fn a_key_that_is_gone_is_not_answered() {
    let mut wire = Wire::mesh(2);
    wire.agree(0);
    wire.finish(0);
    wire.send(1, 0, b"to the old key");
    wire.run_ms(1_000);
    assert!(wire.hosts[0].out.delivered.is_empty());
    assert!(wire.hosts[0].drops(Drop::BadMac) > 0);
}

#[test]
fn under_a_flood_cookies_are_sealed_for_the_key_that_was_asked() {
    let nothing = Rate { burst: 0, per_second: 1 };
    let budget = HandshakeBudget { free: nothing, ..HandshakeBudget::default() };
    for knows in [false, true] {
        let mut wire = Wire::with_budget(2, budget).introduced();
        wire.agree(0);
        if knows {
            wire.hear(1, 0);
        }
        wire.send(1, 0, b"through the flood");
        wire.run_ms(1_000);
        assert!(wire.count(3) > 0, "a cookie was asked for");
        assert_eq!(wire.hosts[0].out.delivered.len(), 1);
    }
}
