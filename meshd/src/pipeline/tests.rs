//! Two packet threads on one host, over loopback; with root also a TUN device, in a network
//! namespace of the test's own.

mod allocation;
pub(in crate::pipeline) mod flooder;
mod saturated;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mesh_dataplane::{EngineConfig, Event, HandshakeBudget, Role, WallTime};
use mesh_model::MemberId;
use mesh_model::addr::{OVERLAY_MTU, port};
use mesh_model::plan::{PeerPlan, Preshared, Update};

use super::*;
use crate::io::clock;
use crate::io::fixture::{addrs, prefixes, skip, tunnel};
use crate::io::netlink::{AddressWatch, Exclude, Netlink};
use crate::io::offloads::Offloads;
use crate::io::overlay::Overlay;
use crate::io::tun::{Tun, TunError};
use crate::io::udp::UdpPort;

struct Host {
    id: u8,
    at: SocketAddr,
    thread: PacketThread,
    path: PacketPath,
    outputs: PathOutputs,
    overlay: Overlay,
}

fn config(id: u8) -> EngineConfig {
    EngineConfig {
        secret: Some(tunnel(id)),
        role: Role::Member(addrs(id)),
        budget: HandshakeBudget::default(),
        wall: clock::wall(),
        stamp_floor: WallTime::default(),
    }
}

/// What a peer of member `id` is to know of it.
fn plan(id: u8, endpoints: Vec<SocketAddr>) -> PeerPlan {
    PeerPlan {
        member: MemberId(u64::from(id)),
        allowed_ips: addrs(id).host_prefixes().to_vec(),
        endpoints,
        keepalive: None,
        before: None,
        preshared: Preshared::None,
        inbound: Default::default(),
    }
}

async fn host(id: u8, tun: Option<Tun>) -> Host {
    host_with(id, tun, 1).await
}

async fn host_with(id: u8, tun: Option<Tun>, workers: usize) -> Host {
    host_of(config(id), id, tun, workers).await
}

async fn host_of(engine: EngineConfig, id: u8, tun: Option<Tun>, workers: usize) -> Host {
    let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let at = port.local();
    let config = PathConfig { engine, seed: [id; 32], port, tun, workers, offloads: Offloads::ALL };
    let (thread, path, outputs) = PacketThread::start(config).await.expect("started");
    let overlay = Overlay::new(addrs(id), path.clone());
    Host { id, at, thread, path, outputs, overlay }
}

impl Host {
    /// Makes member `other` a peer; its endpoint is known only to the caller.
    async fn knows(&self, other: u8, endpoints: Vec<SocketAddr>) {
        let update = Update::SetPeer(tunnel(other).public(), plan(other, endpoints));
        self.path.update(vec![update]).await;
    }

    fn to(&self, port: u16) -> SocketAddr {
        SocketAddr::from((addrs(self.id).v6, port))
    }
}

async fn pair() -> (Host, Host) {
    let (one, two) = (host(1, None).await, host(2, None).await);
    one.knows(2, vec![two.at]).await;
    two.knows(1, Vec::new()).await;
    (one, two)
}

#[tokio::test]
async fn control_frames_cross_the_tunnel_and_come_out_by_port() {
    let (one, mut two) = pair().await;
    assert!(one.overlay.send(port::GOSSIP, two.to(port::GOSSIP), b"rumour"));
    let rumour = two.outputs.control.gossip.recv().await.expect("a frame");
    assert_eq!((rumour.from, &rumour.payload[..]), (MemberId(1), &b"rumour"[..]));
    assert!(matches!(
        two.outputs.events.recv().await,
        Some(Event::HandshakeDone { member: MemberId(1), .. } | Event::EndpointChanged { .. })
    ));

    let mut one = one;
    let to_v4 = SocketAddr::new(IpAddr::V4(addrs(1).v4), port::ECHO);
    assert!(two.overlay.send(port::ECHO, to_v4, b"echo"));
    let echo = one.outputs.control.echo.recv().await.expect("a frame");
    assert_eq!(echo.from, MemberId(2));
    assert_eq!(echo.reply_to, SocketAddr::new(IpAddr::V4(addrs(2).v4), port::ECHO));
    assert_eq!(echo.payload, b"echo");

    let stats = one.path.stats().await.expect("running");
    assert!(stats.peers.len() == 1 && stats.peers[0].established);
    assert!(stats.drops.iter().all(|(_, count)| *count == 0), "{:?}", stats.drops);
    one.thread.shutdown().await;
    assert!(one.path.stats().await.is_none());
    two.thread.shutdown().await;
}

#[tokio::test]
async fn a_clock_that_was_set_since_the_start_dates_handshakes() {
    let before = clock::wall();
    let engine = EngineConfig { wall: WallTime::default(), ..config(1) };
    let one = host_of(engine, 1, None, 1).await;
    one.knows(2, vec![one.at]).await;
    assert!(one.overlay.send(
        port::GOSSIP,
        SocketAddr::from((addrs(2).v6, port::GOSSIP)),
        b"hello"
    ));
    one.path.carried_out().await;
    let newest = one.path.stats().await.expect("running").newest_stamp.expect("an initiation");
    // Stamps are rounded down, to less than this.
    assert!(WallTime(newest.0 + Duration::from_millis(20)) > before, "{newest:?}");
}

#[tokio::test]
async fn a_large_payload_leaves_no_one_behind() {
    let (one, mut two) = pair().await;
    let payload = vec![7; 1300];
    for _ in 0..64 {
        assert!(one.overlay.send(port::AGREEMENT, two.to(port::AGREEMENT), &payload));
    }
    let mut got = 0;
    // Packets wait for the handshake boundedly: the surplus is a counted drop, the rest arrives.
    let held = loop {
        let datagram = two.outputs.control.agreement.recv().await.expect("a frame");
        assert_eq!(datagram.payload, payload);
        got += 1;
        let stats = one.path.stats().await.expect("running");
        let dropped: u64 = stats.drops.iter().map(|(_, count)| count).sum();
        if got + dropped == 64 {
            break dropped;
        }
    };
    assert!(got > 0 && held < 64);
}

#[tokio::test]
async fn strangers_quic_goes_to_the_door_and_noise_is_counted() {
    let mut one = host(1, None).await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    stranger.send_to(b"\0noise", one.at).await.expect("sent");
    let quic = [0xc0; 1200];
    stranger.send_to(&quic, one.at).await.expect("sent");
    let inbound = one.outputs.joiners.recv().await.expect("a datagram");
    assert_eq!(inbound.from, stranger.local_addr().expect("bound"));
    assert!(inbound.payload == quic, "{} other bytes", inbound.payload.len());

    let stats = one.path.stats().await.expect("running");
    let noise = stats.drops.iter().find(|(name, _)| *name == "not_ours");
    assert_eq!(noise, Some(&("not_ours", 1)));

    // And back out of the same port.
    let order = Order::Datagram { to: inbound.from, payload: b"reply"[..].into() };
    assert!(one.path.orders().send(order).await.is_ok());
    let mut buf = [0; 16];
    let (len, from) = stranger.recv_from(&mut buf).await.expect("received");
    assert_eq!((&buf[..len], from), (&b"reply"[..], one.at));
}

/// `count` hosts of `workers` threads each that know each other; only the first knows where all are.
async fn hosts(count: u8, workers: usize) -> Vec<Host> {
    let mut all = Vec::new();
    for id in 1..=count {
        all.push(host_with(id, None, workers).await);
    }
    for one in &all {
        for other in all.iter().filter(|other| other.id != one.id) {
            let endpoints = if one.id == 1 { vec![other.at] } else { Vec::new() };
            one.knows(other.id, endpoints).await;
        }
    }
    all
}

#[tokio::test]
async fn several_threads_share_the_peers_and_keep_the_order_of_each() {
    for workers in [2, 3] {
        let mut all = hosts(6, workers).await;
        let [one, others @ ..] = &mut all[..] else { unreachable!("six") };
        for other in &mut *others {
            assert!(one.overlay.send(port::ECHO, other.to(port::ECHO), b"hello"));
            other.outputs.control.echo.recv().await.expect("a frame");
        }
        let rounds = 60u32;
        for n in 0..rounds {
            for other in &mut *others {
                let payload = n.to_be_bytes();
                while !one.overlay.send(port::GOSSIP, other.to(port::GOSSIP), &payload) {
                    tokio::task::yield_now().await;
                }
            }
        }
        for other in &mut *others {
            for n in 0..rounds {
                let rumour = other.outputs.control.gossip.recv().await.expect("a frame");
                assert_eq!((rumour.from, rumour.payload), (MemberId(1), n.to_be_bytes().to_vec()));
            }
            assert!(other.overlay.send(port::ECHO, one.to(port::ECHO), b"back"));
        }
        for _ in &*others {
            one.outputs.control.echo.recv().await.expect("a frame");
        }
        let stats = one.path.stats().await.expect("running");
        assert_eq!(stats.workers, workers);
        assert!(stats.peers.is_sorted_by_key(|peer| peer.key));
        assert_eq!(stats.peers.len(), others.len());
        assert!(stats.peers.iter().all(|peer| peer.established));
        let dropped: Vec<_> = stats.drops.iter().filter(|(_, count)| *count > 0).collect();
        // Own packets that found the queue full were sent again.
        assert!(dropped.iter().all(|(name, _)| *name == "order_queue_full"), "{dropped:?}");
        for host in all {
            host.thread.shutdown().await;
            assert!(host.path.stats().await.is_none());
        }
    }
}

#[tokio::test]
async fn several_threads_move_to_another_port_together() {
    let mut all = hosts(4, 2).await;
    let [one, others @ ..] = &mut all[..] else { unreachable!("four") };
    let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let moved = port.local();
    one.path.rebind(port).await.expect("moved");
    one.path.set_mark(0).await.expect("marked");
    assert!(UdpPort::bind(one.at).is_ok(), "the old one is free");
    for other in others {
        assert!(one.overlay.send(port::GOSSIP, other.to(port::GOSSIP), b"rumour"));
        other.outputs.control.gossip.recv().await.expect("a frame");
        let stats = other.path.stats().await.expect("running");
        let peer = stats.peers.iter().find(|peer| peer.member == MemberId(1)).expect("a peer");
        assert_eq!(peer.endpoint, Some(moved));
    }
}

#[tokio::test]
async fn orders_reach_all_threads_before_they_are_reported_as_done() {
    let all = hosts(5, 3).await;
    let one = &all[0];
    for n in 0..50 {
        for other in &all[1..] {
            one.path.update(vec![Update::RemovePeer(tunnel(other.id).public())]).await;
        }
        one.path.carried_out().await;
        assert_eq!(one.path.stats().await.expect("running").peers.len(), 0, "{n}");
        for other in &all[1..] {
            one.knows(other.id, vec![other.at]).await;
        }
        one.path.carried_out().await;
        assert_eq!(one.path.stats().await.expect("running").peers.len(), 4, "{n}");
    }
    one.path.set_secret(None).await;
    one.path.carried_out().await;
    let stats = one.path.stats().await.expect("running");
    assert!(stats.peers.iter().all(|peer| !peer.established));
}

#[tokio::test]
async fn threads_that_nobody_can_give_orders_any_more_end() {
    let host = host_with(1, None, 3).await;
    let at = host.at;
    drop(host);
    while UdpPort::bind(at).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Moves the calling thread into a network namespace of its own; `false` without the right to.
fn enter_own_namespace() -> bool {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok()
}

#[tokio::test]
async fn kernel_traffic_crosses_and_a_deleted_interface_is_noticed() {
    if !enter_own_namespace() {
        return skip("no right to make network namespaces and TUN devices");
    }
    let netlink = Netlink::open().expect("netlink");
    let loopback = nix::net::if_::if_nametoindex("lo").expect("loopback");
    netlink.bring_up(loopback).await.expect("loopback up");
    let tun = Tun::create("meshtest0", OVERLAY_MTU).expect("a device");
    let index = tun.index();
    assert_eq!(tun.name(), "meshtest0");

    let mut one = host(1, Some(tun)).await;
    let mut two = host(2, None).await;
    one.knows(2, vec![two.at]).await;
    two.knows(1, Vec::new()).await;
    let mut watch = AddressWatch::open().expect("a subscription");
    netlink.configure(index, addrs(1), prefixes()).await.expect("configured");
    watch.changed().await;

    // Nothing but loopback is left for others to reach us by, and it is offered last resort.
    let exclude = Exclude { interface: Some(index), prefixes: Some(prefixes()) };
    let any = SocketAddr::from(([0; 16], 51820));
    let endpoints = netlink.endpoints(any, exclude).await.expect("listed");
    assert!(!endpoints.is_empty() && endpoints.iter().all(|at| at.ip().is_loopback()));
    assert!(endpoints.iter().all(|at| at.port() == 51820));

    // No neighbour or router solicitations, and nothing but what was asked for.
    let quiet = one.path.stats().await.expect("running");
    assert!(quiet.drops.iter().all(|(_, count)| *count == 0), "{:?}", quiet.drops);

    // The kernel routes to member 2 through the device, from our own address.
    let socket = tokio::net::UdpSocket::bind("[::]:0").await.expect("a socket");
    socket.send_to(b"x", two.to(9)).await.expect("routed");
    let stats = loop {
        let stats = two.path.stats().await.expect("running");
        if stats.drops.contains(&("tun_absent", 1)) {
            break stats;
        }
        tokio::task::yield_now().await;
    };
    assert!(stats.peers[0].established);

    netlink.delete(index).await.expect("deleted");
    let failed = tokio::time::timeout(Duration::from_secs(20), one.thread.failed()).await;
    assert!(matches!(failed, Ok(PathError::Tun(_))), "{failed:?}");
    // Its owner ends what has ended by itself like any other.
    one.thread.shutdown().await;
    two.outputs.events.close();
    two.thread.shutdown().await;
}

#[tokio::test]
async fn traffic_of_several_queues_finds_its_peers_and_a_deleted_interface_ends_all_threads() {
    if !enter_own_namespace() {
        return skip("no right to make network namespaces and TUN devices");
    }
    let netlink = Netlink::open().expect("netlink");
    let loopback = nix::net::if_::if_nametoindex("lo").expect("loopback");
    netlink.bring_up(loopback).await.expect("loopback up");
    let tun = Tun::create_with("meshtest0", OVERLAY_MTU, true, Offloads::ALL).expect("a device");
    let again = Tun::create_with("meshtest0", OVERLAY_MTU, true, Offloads::ALL);
    assert!(matches!(again, Err(TunError::Busy(_))));
    assert!(Tun::create("meshtest0", OVERLAY_MTU).is_err());
    let index = tun.index();
    let mut one = host_with(1, Some(tun), 2).await;
    let mut others = Vec::new();
    for id in 2..6 {
        let other = host_with(id, None, 2).await;
        one.knows(other.id, vec![other.at]).await;
        other.knows(1, Vec::new()).await;
        others.push(other);
    }
    let mut watch = AddressWatch::open().expect("a subscription");
    netlink.configure(index, addrs(1), prefixes()).await.expect("configured");
    watch.changed().await;

    // Many flows, so that both queues get some for peers of either thread.
    let flows = 40;
    for _ in 0..flows {
        let socket = tokio::net::UdpSocket::bind("[::]:0").await.expect("a socket");
        for other in &others {
            socket.send_to(b"x", other.to(9)).await.expect("routed");
        }
    }
    for other in &others {
        loop {
            let stats = other.path.stats().await.expect("running");
            if stats.drops.contains(&("tun_absent", flows)) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let stats = one.path.stats().await.expect("running");
    assert_eq!(stats.workers, 2);
    assert!(stats.drops.iter().all(|(_, count)| *count == 0), "{:?}", stats.drops);

    netlink.delete(index).await.expect("deleted");
    let failed = tokio::time::timeout(Duration::from_secs(20), one.thread.failed()).await;
    assert!(matches!(failed, Ok(PathError::Tun(_))), "{failed:?}");
    one.thread.shutdown().await;
    assert!(one.path.stats().await.is_none());
}

#[tokio::test]
async fn a_device_of_one_queue_gets_one_thread() {
    if !enter_own_namespace() {
        return skip("no right to make network namespaces and TUN devices");
    }
    let tun = Tun::create("meshtest0", OVERLAY_MTU).expect("a device");
    let one = host_with(1, Some(tun), 4).await;
    assert_eq!(one.path.stats().await.expect("running").workers, 1);
    one.thread.shutdown().await;
}

#[tokio::test]
async fn a_host_without_ipv6_gets_the_ipv4_half() {
    if !enter_own_namespace() {
        return skip("no right to make network namespaces and TUN devices");
    }
    if std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").is_err() {
        return skip("cannot switch IPv6 off in a namespace here");
    }
    let netlink = Netlink::open().expect("netlink");
    let tun = Tun::create("meshtest0", OVERLAY_MTU).expect("a device");
    netlink.configure(tun.index(), addrs(1), prefixes()).await.expect("configured");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect((addrs(2).v4, 9)).expect("routed");
    assert_eq!(socket.local_addr().expect("connected").ip(), IpAddr::V4(addrs(1).v4));
}
