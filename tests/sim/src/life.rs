//! One run of one host's daemon: the cores, wired as the daemon wires them.
//!
//! ```text
//! Node ──updates, gossip frames──> Engine ──datagrams──> the underlay
//!   ^ <──endpoints, control frames──┘ └──> inner packets for the kernel
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_control::node::{Event, Node, NodeConfig, Timing};
use mesh_control::raft::Group;
use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::packet::{ip, udp};
use mesh_dataplane::{
    Endpoint, Engine, EngineConfig, Event as PathEvent, HandshakeBudget, Lane, OwnKeys, Role, Sink,
    WallTime,
};
use mesh_model::addr::port;
use mesh_model::plan::Update;
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::wire::join::PeerHint;
use mesh_model::{Edition, IdentitySecret, MemberId, OverlayAddrs};

use crate::forger::Rumours;
use crate::net::HostNo;
use crate::seeds::RunSeed;
use crate::tunnels::Tunnels;

/// The build that every daemon says it is.
pub(crate) const VERSION: &str = "0.0.0-sim";

/// Which run of a daemon, over all hosts. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LifeId(pub u64);

/// What a life starts from.
pub struct Birth<'a> {
    /// Which life.
    pub id: LifeId,
    /// On which host.
    pub host: HostNo,
    /// Whose.
    pub me: MemberId,
    /// Who it is.
    pub identity: &'a IdentitySecret,
    /// Its ends of tunnels.
    pub keys: OwnKeys,
    /// The newest edition its build reads.
    pub reads: Edition,
    /// What its disk knows to be agreed.
    pub view: Arc<ClusterView>,
    /// Its peer cache.
    pub hints: Vec<PeerHint>,
    /// When, by its own wall clock.
    pub boot_ms: u64,
    /// The earliest stamp its handshakes may have.
    pub stamp_floor: WallTime,
}

/// What a life said and did since it was last asked.
#[derive(Default)]
pub struct Output {
    /// Datagrams for the underlay.
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// Inner packets for the kernel.
    pub delivered: Vec<Vec<u8>>,
    /// Who the packet core took for the sender of each control frame, and its inner source.
    pub control: Vec<(MemberId, IpAddr)>,
    /// The mesh has agreed that this host is no member.
    pub removed: bool,
    /// The plan changed.
    pub replanned: bool,
}

/// The packet core's way out.
#[derive(Default)]
struct Outlet {
    slot: Vec<u8>,
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    control: VecDeque<(MemberId, Vec<u8>)>,
}

impl Sink for Outlet {
    fn slot(&mut self, _: Lane, max: usize) -> &mut [u8] {
        if self.slot.len() < max {
            self.slot.resize(max, 0);
        }
        &mut self.slot
    }

    fn send(&mut self, to: Endpoint, len: usize) {
        let to = to.remote;
        self.datagrams.push((to, self.slot[..len].to_vec()));
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        self.control.push_back((from, packet.to_vec()));
    }
}

/// A running daemon.
pub struct Life {
    /// Which.
    pub id: LifeId,
    /// Whose.
    pub me: MemberId,
    /// Since when.
    pub born: Instant,
    /// Its overlay addresses.
    pub addrs: OverlayAddrs,
    /// The keys it answers to.
    pub keys: OwnKeys,
    /// Its place in agreement; `None` until that has started.
    pub group: Option<Group>,
    /// The control core but for agreement.
    pub node: Node,
    engine: Engine,
    outlet: Outlet,
    /// Said, but not yet asked for; datagrams wait in the outlet.
    pending: Output,
    /// Rewrites the plan's steps: how a planted bug gets at them.
    bend: Option<fn(Update) -> Option<Update>>,
    /// Rewrites what it says in gossip, if it is a forger's.
    rumours: Option<Rumours>,
}

impl Life {
    /// The daemon comes up, of the member that is `own` by its view.
    pub fn new(birth: Birth<'_>, own: &MemberView, seed: RunSeed, now: Instant) -> Self {
        let addrs = own.addrs;
        let engine = EngineConfig {
            secret: Some(birth.keys.current.clone()),
            role: Role::Member(addrs),
            budget: HandshakeBudget::default(),
            wall: WallTime(Duration::from_millis(birth.boot_ms)),
            stamp_floor: birth.stamp_floor,
        };
        let mut engine = Engine::new(engine, seed.of("engine", birth.id.0), now);
        engine.handle_keys(&birth.keys);
        let config = NodeConfig {
            me: birth.me,
            identity: birth.identity.clone(),
            version: VERSION.to_owned(),
            reads: birth.reads,
            capabilities: Vec::new(),
            boot_ms: birth.boot_ms,
            timing: Timing::default(),
        };
        let seed = seed.of("node", birth.id.0);
        let mut node = Node::new(config, birth.view, birth.hints, seed, now);
        node.handle_own_endpoints(vec![birth.host.endpoint()], now);
        let (id, me) = (birth.id, birth.me);
        let (outlet, pending) = (Outlet::default(), Output::default());
        Self {
            id,
            me,
            born: now,
            addrs,
            keys: birth.keys,
            group: None,
            node,
            engine,
            outlet,
            pending,
            bend: None,
            rumours: None,
        }
    }

    /// From now on it answers to `keys`.
    pub fn set_keys(&mut self, keys: OwnKeys) {
        self.engine.handle_keys(&keys);
        self.keys = keys;
    }

    /// The host was asleep: its sessions end.
    pub fn handle_resume(&mut self, now: Instant) -> Output {
        self.engine.handle_resume(now, &mut self.outlet);
        self.output(now)
    }

    /// From now on the packet core gets `bend` of what the node says.
    pub fn bend_updates(&mut self, bend: fn(Update) -> Option<Update>) {
        self.bend = Some(bend);
    }

    /// From now on others get what `rumours` makes of its gossip.
    pub fn forge_gossip(&mut self, rumours: Rumours) {
        self.rumours = Some(rumours);
    }

    /// How many of its datagrams of gossip were forged.
    pub fn forged_gossip(&self) -> u64 {
        self.rumours.as_ref().map_or(0, Rumours::forged)
    }

    /// Whom it has tunnels with.
    pub fn tunnels(&self) -> Tunnels {
        Tunnels::of(self.node.plan(), &self.keys)
    }

    /// When it wants to be woken.
    pub fn wake(&self) -> Option<Instant> {
        let engine = self.engine.poll_timeout().map(|(at, _)| at);
        let node = self.node.poll_timeout().map(|(at, _)| at);
        engine.into_iter().chain(node).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Output {
        if self.engine.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.engine.handle_timeout(now, &mut self.outlet);
            self.settle(now);
        }
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.node.handle_timeout(now);
        }
        self.output(now)
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, from: SocketAddr, bytes: &mut [u8], now: Instant) -> Output {
        if let Some(inner) = self.engine.handle_datagram(from.into(), bytes, now, &mut self.outlet)
        {
            self.pending.delivered.push(bytes[inner].to_vec());
        }
        self.output(now)
    }

    /// Agreement has a new view.
    pub fn handle_view(&mut self, view: Arc<ClusterView>, now: Instant) -> Output {
        self.settle(now);
        self.node.handle_view(view, now);
        self.output(now)
    }

    /// A newcomer asked from `endpoint`.
    pub fn handle_seen(&mut self, member: MemberId, endpoint: SocketAddr, now: Instant) -> Output {
        self.settle(now);
        self.node.handle_endpoint(member, endpoint, now);
        self.output(now)
    }

    /// The host's wall clock was set.
    pub fn handle_wall(&mut self, wall_ms: u64, now: Instant) {
        self.engine.handle_wall(WallTime(Duration::from_millis(wall_ms)), now);
    }

    /// The latest stamp of its handshakes.
    pub fn newest_stamp(&self) -> Option<WallTime> {
        self.engine.newest_stamp()
    }

    /// The host's kernel sends a packet.
    pub fn handle_kernel(&mut self, packet: &[u8], now: Instant) -> Output {
        // The simulated kernel makes whole packets only.
        if let Ok(packet) = Segments::one(packet) {
            self.engine.handle_kernel(&packet, now, &mut self.outlet);
        }
        self.output(now)
    }

    /// What it has to say before anything happened to it.
    pub fn output(&mut self, now: Instant) -> Output {
        self.settle(now);
        let mut output = std::mem::take(&mut self.pending);
        output.datagrams = std::mem::take(&mut self.outlet.datagrams);
        output
    }

    /// Carries things between node and engine until both are quiet.
    fn settle(&mut self, now: Instant) {
        loop {
            self.drain_node(now);
            if let Some(event) = self.engine.poll_event() {
                if let PathEvent::EndpointChanged { member, endpoint } = event {
                    self.node.handle_endpoint(member, endpoint, now);
                }
            } else if let Some((from, packet)) = self.outlet.control.pop_front() {
                self.hear(from, &packet, now);
            } else {
                return;
            }
        }
    }

    fn drain_node(&mut self, now: Instant) {
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::Update(update) => {
                    self.pending.replanned = true;
                    let update = match self.bend {
                        Some(bend) => bend(update),
                        None => Some(update),
                    };
                    if let Some(update) = update {
                        self.engine.handle_update(update, now, &mut self.outlet);
                    }
                }
                Event::Peer { .. } => {}
                Event::Sighted(seen) => {
                    if let Some(group) = &self.group {
                        group.handle_sighting(seen);
                    }
                }
                Event::Removed => self.pending.removed = true,
                // No member of a simulated mesh wants pair keys.
                Event::AskKey(_) => {}
            }
        }
        while let Some(datagram) = self.node.poll_transmit() {
            let Some(to) = self.node.view().members.get(&datagram.to) else { continue };
            let from = SocketAddr::from((self.addrs.v6, port::GOSSIP));
            let to = SocketAddr::from((to.addrs.v6, port::GOSSIP));
            let payload = self.bend_gossip(datagram.payload);
            let packet = udp::encode(from, to, &payload)
                .expect("both ends are IPv6 and gossip datagrams are small");
            self.engine.handle_inner(&packet, now, &mut self.outlet);
        }
    }

    fn bend_gossip(&mut self, payload: Vec<u8>) -> Vec<u8> {
        let Some(rumours) = &mut self.rumours else { return payload };
        let known: Vec<_> = self.node.peers().filter_map(|peer| peer.facts.cloned()).collect();
        rumours.bend(payload, &known)
    }

    fn hear(&mut self, from: MemberId, packet: &[u8], now: Instant) {
        let Ok(inner) = ip::Inner::parse(packet) else { return };
        self.pending.control.push((from, inner.src()));
        let Ok(datagram) = udp::parse(packet) else { return };
        if datagram.dst.port() == port::GOSSIP {
            self.node.handle_datagram(from, datagram.payload, now);
        }
    }
}
