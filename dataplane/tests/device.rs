//! A plain device: what it says of itself is what was asked for, and what the packet core does.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_dataplane::device::{Device, Effects, Needs, TooMany};
use mesh_dataplane::packet::udp;
use mesh_dataplane::{
    Drop, Engine, EngineConfig, HandshakeBudget, Lane, PeerStats, Role, Sink, WallTime,
};
use mesh_model::plan::Update;
use mesh_model::uapi::{
    AllowedIp, DeviceChange, DeviceReport, Endpoint, MAX_ALLOWED_IPS, MAX_PEERS, PeerChange,
};
use mesh_model::{MemberId, PresharedKey, TunnelKey, TunnelSecret};
use proptest::prelude::*;

/// The port of every device here.
const PORT: u16 = 51820;

/// When everything happens: any instant will do.
#[allow(clippy::disallowed_methods)]
fn some_time() -> Instant {
    Instant::now()
}

/// Takes every packet and forgets it.
struct Nowhere(Vec<u8>);

impl Sink for Nowhere {
    fn slot(&mut self, _: Lane, max: usize) -> &mut [u8] {
        self.0.resize(max, 0);
        &mut self.0
    }

    fn send(&mut self, _: mesh_dataplane::Endpoint, _: usize) {}

    fn control(&mut self, _: MemberId, _: &[u8]) {}
}

/// A device and the packet core that it configures.
struct Host {
    device: Device,
    engine: Engine,
    now: Instant,
}

impl Host {
    fn new() -> Self {
        let now = some_time();
        let config = EngineConfig {
            secret: None,
            role: Role::Plain,
            budget: HandshakeBudget::default(),
            wall: WallTime::default(),
            stamp_floor: WallTime::default(),
        };
        Self { device: Device::new(PORT), engine: Engine::new(config, [7; 32], now), now }
    }

    fn set(&mut self, change: DeviceChange) -> Effects {
        self.device.check(&change).unwrap();
        let effects = self.device.apply(change, PORT);
        let sink = &mut Nowhere(Vec::new());
        if let Some(secret) = &effects.secret {
            self.engine.handle_secret(secret.clone(), self.now, sink);
        }
        for update in &effects.updates {
            self.engine.handle_update(update.clone(), self.now, sink);
        }
        effects
    }

    fn peer(&mut self, peer: PeerChange) -> Effects {
        self.set(DeviceChange { peers: vec![peer], ..DeviceChange::default() })
    }

    fn report(&self) -> DeviceReport {
        self.device.report(self.engine.peers(), self.now, WallTime(Duration::from_secs(1_000)))
    }

    /// How a packet to the first address of `net` ends: everything does here, for want of a way or of a key.
    fn end_of(&mut self, net: IpNet) -> Drop {
        let at = |addr| SocketAddr::new(addr, 1);
        let packet = udp::encode(at([192, 0, 2, 1].into()), at(net.network()), b"hello").unwrap();
        let before = self.engine.drops().clone();
        self.engine.handle_inner(&packet, self.now, &mut Nowhere(Vec::new()));
        let counts = before.iter().zip(self.engine.drops().iter());
        let counted = counts.filter(|((_, before), (_, after))| before != after);
        let counted: Vec<_> = counted.map(|((reason, _), _)| reason).collect();
        assert_eq!(counted.len(), 1, "{counted:?}");
        counted[0]
    }

    /// Each peer's allowed IPs, as the device shows them.
    fn allowed_ips(&self) -> BTreeMap<TunnelKey, Vec<IpNet>> {
        self.report().peers.into_iter().map(|peer| (peer.key, peer.allowed_ips)).collect()
    }
}

fn secret(id: u8) -> TunnelSecret {
    TunnelSecret::from_bytes([id | 0x40; 32])
}

fn key(id: u8) -> TunnelKey {
    secret(id).public()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn change(id: u8, adds: &[&str]) -> PeerChange {
    let allowed_ips = adds.iter().map(|text| AllowedIp::Add(net(text))).collect();
    PeerChange { allowed_ips, ..PeerChange::new(key(id)) }
}

fn own(id: u8) -> DeviceChange {
    DeviceChange { secret: Some(Some(secret(id))), ..DeviceChange::default() }
}

#[test]
fn an_allowed_ip_goes_to_whoever_asked_last() {
    let mut host = Host::new();
    host.peer(change(1, &["10.0.0.0/8", "10.1.0.0/16"]));
    host.peer(change(2, &["10.0.0.0/8"]));
    assert_eq!(host.allowed_ips()[&key(1)], [net("10.1.0.0/16")]);
    assert_eq!(host.allowed_ips()[&key(2)], [net("10.0.0.0/8")]);

    // Within one request too, and back again.
    let peers = vec![change(1, &["10.0.0.0/8"]), change(2, &["10.1.0.0/16"])];
    host.set(DeviceChange { peers, ..DeviceChange::default() });
    assert_eq!(host.allowed_ips()[&key(1)], [net("10.0.0.0/8")]);
    assert_eq!(host.allowed_ips()[&key(2)], [net("10.1.0.0/16")]);
}

/// As many prefixes as a peer may have. Were each looked for among all of the loser's, one change of hands
/// would take a minute.
fn masses() -> impl Iterator<Item = IpNet> {
    (0..MAX_ALLOWED_IPS as u32).map(|n| IpNet::new((n << 8).to_be_bytes().into(), 24).unwrap())
}

#[test]
fn prefixes_in_masses_change_hands_soon() {
    let mut host = Host::new();
    let all = || masses().map(AllowedIp::Add).collect();
    // Of those who take and those who lose each comes first in the order of keys now and then.
    for id in [1, 2, 3, 1, 3, 2, 1] {
        host.peer(PeerChange { allowed_ips: all(), ..change(id, &[]) });
        let engine: BTreeMap<_, _> =
            host.engine.peers().map(|peer| (peer.key, peer.allowed_ips)).collect();
        assert_eq!(engine, host.allowed_ips());
        assert_eq!(engine[&key(id)], masses().collect::<Vec<_>>());
    }
    let place = Some(Endpoint::At(([192, 0, 2, 1], 1).into()));
    host.peer(PeerChange { endpoint: place, ..change(1, &[]) });
    assert!(masses().step_by(99).all(|net| host.end_of(net) == Drop::NoPrivateKey), "peer 1");
    // One by one, too: whoever has many more keeps all but that one.
    for (n, prefix) in masses().take(5).enumerate() {
        host.peer(PeerChange { allowed_ips: vec![AllowedIp::Add(prefix)], ..change(2, &[]) });
        assert_eq!(host.end_of(prefix), Drop::NoEndpoint, "peer 2");
        let left = MAX_ALLOWED_IPS - 1 - n;
        assert_eq!(
            [host.allowed_ips()[&key(1)].len(), host.allowed_ips()[&key(2)].len()],
            [left, n + 1]
        );
    }
}

#[test]
fn an_allowed_ip_that_was_taken_only_to_be_given_up_is_nobodys() {
    let mut host = Host::new();
    host.peer(change(1, &["10.0.0.0/8"]));
    let mut passing = change(2, &["10.0.0.0/8"]);
    passing.allowed_ips.push(AllowedIp::Remove(net("10.0.0.0/8")));
    host.peer(passing);
    assert!(host.engine.peers().all(|peer| peer.allowed_ips.is_empty()));
}

#[test]
fn an_allowed_ip_is_taken_from_its_holder_only() {
    let mut host = Host::new();
    host.peer(change(1, &["10.0.0.0/8"]));
    let remove = |id| PeerChange {
        allowed_ips: vec![AllowedIp::Remove(net("10.0.0.0/8"))],
        ..PeerChange::new(key(id))
    };
    host.peer(remove(2));
    assert_eq!(host.allowed_ips()[&key(1)], [net("10.0.0.0/8")]);
    host.peer(remove(1));
    assert_eq!(host.allowed_ips()[&key(1)], []);

    host.peer(change(1, &["10.0.0.0/8"]));
    host.peer(PeerChange { replace_allowed_ips: true, ..change(1, &["10.9.0.0/16"]) });
    assert_eq!(host.allowed_ips()[&key(1)], [net("10.9.0.0/16")]);
}

#[test]
fn a_peer_that_is_named_again_and_again_is_set_once() {
    let mut host = Host::new();
    let mut request = own(9);
    let mut moved = change(1, &["10.0.0.0/24"]);
    moved.endpoint = Some(Endpoint::At(([192, 0, 2, 1], 1).into()));
    let taker = |n: u8| change(2, &[&format!("10.1.{n}.0/24")]);
    request.peers = vec![change(1, &["10.1.0.0/16"]), moved];
    request.peers.extend((0..50).map(taker));
    request.peers.extend((0..50).map(|n| change(1, &[&format!("10.1.{n}.0/24")])));
    let updates = host.set(request).updates;
    let sets = updates.iter().filter(|update| matches!(update, Update::SetPeer(..))).count();
    let moves = updates.iter().filter(|update| matches!(update, Update::MovePeer(..))).count();
    assert_eq!((sets, moves, updates.len()), (2, 1, 3));
    assert_eq!(host.allowed_ips()[&key(1)].len(), 52);
}

#[test]
fn a_peer_that_comes_and_goes_in_one_request_is_no_news() {
    let mut host = Host::new();
    let gone = || PeerChange { remove: true, ..change(1, &[]) };
    let request = |peers| DeviceChange { peers, ..DeviceChange::default() };
    assert_eq!(host.set(request(vec![change(1, &["10.0.0.0/8"]), gone()])).updates, []);
    host.peer(change(1, &["10.0.0.0/8"]));
    let again = request(vec![gone(), change(1, &["10.0.0.0/8"]), gone()]);
    assert_eq!(host.set(again).updates, [Update::RemovePeer(key(1))]);
    assert_eq!(host.allowed_ips(), BTreeMap::new());
}

#[test]
fn replacing_peers_begins_them_afresh() {
    let mut host = Host::new();
    host.peer(change(1, &["10.0.0.0/8"]));
    host.peer(change(2, &["10.2.0.0/16"]));
    let effects = host.set(DeviceChange {
        replace_peers: true,
        peers: vec![change(2, &["10.3.0.0/16"])],
        ..DeviceChange::default()
    });
    // The session of the one that stays is not to survive.
    let removed = |id| effects.updates.contains(&Update::RemovePeer(key(id)));
    assert!(removed(1) && removed(2));
    assert_eq!(host.allowed_ips(), BTreeMap::from([(key(2), vec![net("10.3.0.0/16")])]));
}

#[test]
fn a_peer_that_is_only_to_be_updated_is_not_made() {
    let mut host = Host::new();
    let update = |id| PeerChange { update_only: true, ..change(id, &["10.0.0.0/8"]) };
    assert_eq!(host.peer(update(1)), Effects::default());
    host.peer(PeerChange::new(key(1)));
    host.peer(update(1));
    assert_eq!(host.allowed_ips()[&key(1)], [net("10.0.0.0/8")]);
    host.peer(PeerChange { remove: true, ..change(1, &["10.1.0.0/16"]) });
    assert_eq!(host.allowed_ips(), BTreeMap::new());
    // Its prefixes are free again.
    host.peer(change(2, &["10.0.0.0/8"]));
    assert_eq!(host.allowed_ips()[&key(2)], [net("10.0.0.0/8")]);
}

#[test]
fn nobody_is_its_own_peer() {
    let mut host = Host::new();
    host.peer(change(1, &["10.0.0.0/8"]));
    host.set(own(1));
    assert_eq!(host.allowed_ips(), BTreeMap::new());
    assert_eq!(host.peer(change(1, &["10.0.0.0/8"])), Effects::default());
    assert_eq!(host.engine.peers().count(), 0);
    host.set(own(2));
    host.peer(change(1, &["10.0.0.0/8"]));
    assert_eq!(host.engine.peers().count(), 1);
}

#[test]
fn the_same_key_again_disturbs_nobody() {
    let mut host = Host::new();
    assert_eq!(host.set(own(1)).secret, Some(Some(secret(1))));
    assert_eq!(host.set(own(1)), Effects::default());
    let none = DeviceChange { secret: Some(None), ..DeviceChange::default() };
    assert_eq!(host.set(none.clone()).secret, Some(None));
    assert_eq!(host.set(none), Effects::default());
}

#[test]
fn what_is_not_named_stays() {
    let mut host = Host::new();
    let endpoint: SocketAddr = "192.0.2.1:51820".parse().unwrap();
    host.set(DeviceChange { fwmark: Some(51), ..own(9) });
    host.peer(PeerChange {
        preshared_key: Some(Some(PresharedKey::from_bytes([5; 32]))),
        endpoint: Some(Endpoint::At(endpoint)),
        keepalive: Some(Some(Duration::from_secs(25))),
        ..change(1, &["10.0.0.0/8"])
    });
    let before = host.report();
    host.set(DeviceChange::default());
    host.peer(PeerChange::new(key(1)));
    assert_eq!(host.report(), before);
    assert_eq!((before.listen_port, before.fwmark), (PORT, 51));
    assert_eq!(before.secret, Some(secret(9)));
    assert_eq!(before.peers[0].endpoint, Some(endpoint));
    assert_eq!(before.peers[0].keepalive, Some(Duration::from_secs(25)));
    assert_eq!(before.peers[0].preshared_key, Some(PresharedKey::from_bytes([5; 32])));

    host.peer(PeerChange {
        preshared_key: Some(None),
        keepalive: Some(None),
        ..PeerChange::new(key(1))
    });
    let after = host.report();
    assert_eq!((&after.peers[0].preshared_key, after.peers[0].keepalive), (&None, None));
}

#[test]
fn a_port_or_mark_is_needed_only_when_it_is_another() {
    let mut device = Device::new(PORT);
    let needs = |device: &Device, port, fwmark| {
        let change = DeviceChange { listen_port: port, fwmark, ..DeviceChange::default() };
        device.check(&change).unwrap()
    };
    assert_eq!(needs(&device, None, None), Needs { port: None, fwmark: None });
    assert_eq!(needs(&device, Some(PORT), Some(0)), Needs { port: None, fwmark: None });
    assert_eq!(needs(&device, Some(1), Some(7)), Needs { port: Some(1), fwmark: Some(7) });
    assert_eq!(needs(&device, Some(0), None).port, Some(0));

    device.apply(DeviceChange { fwmark: Some(7), ..DeviceChange::default() }, 1);
    assert_eq!(device.fwmark(), 7);
    assert_eq!(needs(&device, Some(1), Some(7)), Needs { port: None, fwmark: None });
    let report = device.report([], some_time(), WallTime::default());
    assert_eq!((report.listen_port, report.fwmark), (1, 7));
}

#[test]
fn a_device_has_room_for_so_many_and_no_more() {
    let numbered = |range: std::ops::Range<usize>| {
        let key = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            PeerChange::new(TunnelKey(bytes))
        };
        DeviceChange { peers: range.map(key).collect(), ..DeviceChange::default() }
    };
    let mut device = Device::new(PORT);
    device.apply(numbered(0..MAX_PEERS), PORT);
    assert!(device.check(&numbered(0..MAX_PEERS)).is_ok());
    let other = numbered(MAX_PEERS..MAX_PEERS + 1);
    assert_eq!(device.check(&other), Err(TooMany::Peers));
    assert!(device.check(&DeviceChange { replace_peers: true, ..other }).is_ok());

    let nets = |from: u32| {
        let net = |n: u32| AllowedIp::Add(IpNet::new(n.to_be_bytes().into(), 32).unwrap());
        let allowed_ips = (from..from + MAX_ALLOWED_IPS as u32).map(net).collect();
        PeerChange { allowed_ips, ..PeerChange::new(TunnelKey([0; 32])) }
    };
    let one = |peer| DeviceChange { peers: vec![peer], ..DeviceChange::default() };
    assert!(device.check(&one(nets(0))).is_ok());
    device.apply(one(nets(0)), PORT);
    assert_eq!(device.check(&one(nets(1 << 20))), Err(TooMany::AllowedIps));
    let replacing = PeerChange { replace_allowed_ips: true, ..nets(1 << 20) };
    assert!(device.check(&one(replacing)).is_ok());
}

#[test]
fn a_handshake_is_dated_by_the_wall_clock() {
    let now = some_time();
    let stats = PeerStats {
        member: MemberId(1),
        key: key(1),
        endpoint: None,
        allowed_ips: Vec::new(),
        last_handshake: now.checked_sub(Duration::from_millis(1_500)),
        last_received: None,
        rx_bytes: 1,
        tx_bytes: 2,
        established: true,
        is_paired: false,
        keepalive: None,
    };
    let mut device = Device::new(PORT);
    device.apply(
        DeviceChange { peers: vec![PeerChange::new(key(1))], ..DeviceChange::default() },
        PORT,
    );
    let report = device.report([stats], now, WallTime(Duration::from_secs(1_000)));
    let peer = &report.peers[0];
    assert_eq!(peer.last_handshake, Some(Duration::from_millis(998_500)));
    assert_eq!((peer.rx_bytes, peer.tx_bytes), (1, 2));
}

fn any_step() -> impl Strategy<Value = AllowedIp> {
    // A small corner of the address space, so that peers meet.
    let net = (0u8..4, 30u8..=32)
        .prop_map(|(host, len)| IpNet::new([10, 0, 0, host].into(), len).unwrap().trunc());
    (net, any::<bool>())
        .prop_map(|(net, add)| if add { AllowedIp::Add(net) } else { AllowedIp::Remove(net) })
}

prop_compose! {
    fn any_peer()(
        id in 0u8..4,
        remove in prop::bool::weighted(0.2),
        update_only in prop::bool::weighted(0.2),
        replace_allowed_ips in prop::bool::weighted(0.3),
        allowed_ips in prop::collection::vec(any_step(), 0..4),
    ) -> PeerChange {
        PeerChange {
            remove,
            update_only,
            replace_allowed_ips,
            allowed_ips,
            ..PeerChange::new(key(id))
        }
    }
}

prop_compose! {
    fn any_change()(
        own in proptest::option::weighted(0.2, 0u8..5),
        replace_peers in prop::bool::weighted(0.1),
        peers in prop::collection::vec(any_peer(), 0..4),
    ) -> DeviceChange {
        let secret = own.map(|id| (id < 4).then(|| secret(id)));
        DeviceChange { secret, replace_peers, peers, ..DeviceChange::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the two came to their tables, they are the same.
    #[test]
    fn the_packet_core_has_what_the_device_shows(changes in prop::collection::vec(any_change(), 1..12)) {
        let mut host = Host::new();
        for change in changes {
            host.set(change);
            let engine: BTreeMap<_, _> =
                host.engine.peers().map(|peer| (peer.key, peer.allowed_ips)).collect();
            prop_assert_eq!(&host.allowed_ips(), &engine);
            let mut nets: Vec<_> = engine.into_values().flatten().collect();
            let all = nets.len();
            nets.sort_unstable();
            nets.dedup();
            prop_assert_eq!(nets.len(), all, "a prefix has two holders");
        }
    }
}
