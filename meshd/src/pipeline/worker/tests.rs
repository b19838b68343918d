//! A kernel that has no more room in the middle of a turn.

use mesh_dataplane::packet::offload::{Segmentation, Segments, VirtioHeader};
use mesh_dataplane::{Drop, EngineConfig, HandshakeBudget, Parcel, Role, Slice, WallTime};
use mesh_model::MemberId;
use mesh_model::plan::{PeerPlan, Preshared, Update};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::*;
use crate::io::fixture::{addrs, prefixes, skip, tunnel};
use crate::io::netlink::Netlink;
use crate::io::offloads::Offloads;
use crate::io::overlay::Ingress;
use crate::io::udp::{Udp, UdpPort};
use crate::pipeline::handover::{Outgoing, between};
use crate::pipeline::tests::flooder::Flooder;

/// The host whose packet thread it is about, and its peer.
const HOST: u8 = 1;
const PEER: u8 = 2;

/// Where nobody is: on the link of [`unanswered_link`].
const NOBODY: u8 = 77;

/// The packet thread of [`HOST`], without its thread, and two others' ways to it.
struct Bench {
    worker: Worker,
    others: [Outgoing; 2],
    at: std::net::SocketAddr,
}

fn bench() -> Bench {
    let port = UdpPort::bind_any(0).expect("any");
    let at = ([127, 0, 0, 1], port.local().port()).into();
    let udp = Udp::serve_sliced(port, 1, Offloads::ALL).expect("served").remove(0);
    let config = EngineConfig {
        secret: Some(tunnel(HOST)),
        role: Role::Member(addrs(HOST)),
        budget: HandshakeBudget::default(),
        wall: clock::wall(),
        stamp_floor: WallTime::default(),
    };
    let engine = Engine::new(config, [HOST; 32], clock::now());
    let bells = [(); 3].map(|()| {
        let (orders, queue) = doorbell::channel(ORDER_QUEUE).expect("a doorbell");
        (orders.ringer().expect("a bell"), queue)
    });
    let ringers = bells.each_ref().map(|(ringer, _)| ringer.clone());
    let mut ways = between(&ringers).into_iter();
    let (outgoing, incoming) = ways.next().expect("the first's");
    let others = [(); 2].map(|()| ways.next().expect("another's").0);
    let [(_, orders), ..] = bells;
    let ends = Ends {
        orders,
        events: mpsc::channel(1).0,
        joiners: mpsc::channel(1).0,
        refused: Arc::default(),
        incoming,
        team: Team::new(Vec::new()),
    };
    let outlet = Outlet::new(udp, None, Ingress::new().0, outgoing);
    let backlog = Backlog::new(Slice::WHOLE, [HOST; 32]);
    Bench { worker: Worker::new(engine, backlog, outlet, ends), others, at }
}

impl Bench {
    /// Gives it a session with [`PEER`].
    fn introduce(&mut self) {
        let plan = PeerPlan {
            member: MemberId(PEER.into()),
            allowed_ips: addrs(PEER).host_prefixes().to_vec(),
            endpoints: Vec::new(),
            keepalive: None,
            before: None,
            preshared: Preshared::None,
            inbound: Default::default(),
        };
        let Self { worker, at, .. } = self;
        let update = Update::SetPeer(tunnel(PEER).public(), plan);
        worker.engine.handle_update(update, clock::now(), &mut worker.outlet);
        let mut peer = Flooder::new(PEER);
        peer.knows(HOST, *at);
        let packet = peer.packet(HOST, 16);
        while !worker.engine.peers().all(|peer| peer.established) {
            peer.send(&packet, 1);
            worker.receive_datagrams(Lane::Control);
            worker.receive_datagrams(Lane::Bulk);
            worker.outlet.flush();
        }
    }

    /// Has it send to [`PEER`] where nobody is.
    fn lead_astray(&mut self) {
        let nobody = (addrs(NOBODY).v4, 9).into();
        let update = Update::MovePeer(tunnel(PEER).public(), nobody);
        self.worker.engine.handle_update(update, clock::now(), &mut self.worker.outlet);
    }

    /// Has another thread hand over `packets`, `most` times if there is room for that.
    fn hand_over(&mut self, other: usize, packets: &Segments<'_>, most: usize) {
        let other = &mut self.others[other];
        for _ in 0..most {
            if !other.put(0, Parcel::Inner { lane: Lane::Bulk, packets }) {
                break;
            }
        }
        other.dispatch();
    }

    /// What the packet core had no room for.
    fn lost(&self) -> u64 {
        self.worker.engine.drops().get(Drop::SinkFull)
    }
}

/// A link on which nobody has an address: what is sent to them stays in the socket's account while they are looked for.
async fn unanswered_link() -> Option<SyncDevice> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
    let netlink = Netlink::open().expect("netlink");
    let loopback = nix::net::if_::if_nametoindex("lo").expect("loopback");
    netlink.bring_up(loopback).await.expect("loopback up");
    let link = DeviceBuilder::new().name("deaf0").layer(Layer::L2).build_sync().ok()?;
    // For as long as the test may take, and with room for all that it sends.
    let setting = |name: &str| format!("/proc/sys/net/ipv4/neigh/deaf0/{name}");
    std::fs::write(setting("mcast_solicit"), "10000").ok()?;
    std::fs::write(setting("unres_qlen_bytes"), "100000000").ok()?;
    let index = link.if_index().expect("an index");
    netlink.configure(index, addrs(HOST), prefixes()).await.expect("configured");
    Some(link)
}

#[tokio::test]
async fn what_the_kernel_has_no_room_for_waits() {
    let Some(_link) = unanswered_link().await else {
        return skip("no right to make network namespaces and TAP devices");
    };
    let one = Flooder::new(HOST).packet(PEER, 1_000);
    let many = Flooder::new(HOST).packet(PEER, 60_000);
    let cut = VirtioHeader {
        checksum: Some((40, 6)),
        segmentation: Some((Segmentation::Udp, 1_000)),
        header_len: 48,
    };
    let one = Segments::one(&one).expect("a packet");
    let many = Segments::of(cut, &many).expect("packets");
    // One is too many in the middle of a run; a super-packet is, when so many wait to leave as one run.
    for (first, then) in [(usize::MAX, &one), (100, &many)] {
        let mut bench = bench();
        bench.introduce();
        bench.lead_astray();
        bench.hand_over(0, &one, first);
        bench.hand_over(1, then, usize::MAX);
        bench.worker.take_all_handed();
        assert!(bench.worker.outlet.uplink.is_full(), "everything left");
        assert!(!bench.worker.backlog.is_empty());
        assert_eq!(bench.lost(), 0);
        // What waits goes on waiting while that is so, and nothing is lost by asking.
        bench.worker.send_backlog();
        bench.worker.outlet.flush();
        assert_eq!(bench.lost(), 0);
    }
}
