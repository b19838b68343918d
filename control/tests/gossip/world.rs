//! Many nodes over a network in memory, in virtual time, all from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_control::command::NEWEST;
use mesh_control::node::{Datagram, Event, Node, NodeConfig, Timing};
use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::api::v1::GossipState;
use mesh_model::facts::Capability;
use mesh_model::plan::Update;
use mesh_model::trust::MeshRoot;
use mesh_model::view::{BannedView, ClusterView, MemberView, StateHash};
use mesh_model::wire::join::PeerHint;
use mesh_model::{IdentitySecret, MemberId, OverlayAddrs, Prefixes, TunnelKey};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// When the first daemons start, by everyone's clock: some day in 2026.
pub(crate) const BOOT_MS: u64 = 1_780_000_000_000;

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn m(id: u64) -> MemberId {
    MemberId(id)
}

pub(crate) fn identity(member: MemberId) -> IdentitySecret {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&member.0.to_be_bytes());
    IdentitySecret::from_seed(seed)
}

pub(crate) fn own_endpoint(member: MemberId) -> SocketAddr {
    let [.., high, low] = member.0.to_be_bytes();
    SocketAddr::from(([192, 0, high, low], 51820))
}

/// A view with `members` at index `applied`.
pub(crate) fn view(members: &[u64], applied: u64) -> Arc<ClusterView> {
    let root = MeshRoot::of(IdentitySecret::from_seed([1; 32]).public());
    let prefixes = Prefixes::for_mesh(root.mesh, DEFAULT_IPV4_PREFIX).expect("valid");
    let member = |id: &u64| {
        let [.., high, low] = id.to_be_bytes();
        let member = MemberView {
            id: m(*id),
            name: format!("n{id}").parse().expect("a name"),
            identity: identity(m(*id)).public(),
            tunnel: TunnelKey([*id as u8; 32]),
            addrs: OverlayAddrs { v4: [100, 88, high, low].into(), v6: prefixes.ipv6_of(m(*id)) },
            tags: Default::default(),
            change: None,
        };
        (m(*id), member)
    };
    Arc::new(ClusterView {
        mesh_name: "test".parse().expect("a name"),
        prefixes,
        applied,
        hash: StateHash([0; 32]),
        members: members.iter().map(member).collect(),
        banned: BTreeMap::new(),
        access: None,
        root,
    })
}

/// The same with those of `members` that are `banned` out of it.
pub(crate) fn banning(members: &[u64], banned: &[u64], applied: u64) -> Arc<ClusterView> {
    let mut view = Arc::unwrap_or_clone(view(members, applied));
    for id in banned {
        let member = view.members.remove(&m(*id)).expect("a member");
        let ban =
            BannedView { member, since_ms: BOOT_MS, until_ms: None, reason: None, exclusion: None };
        view.banned.insert(m(*id), ban);
    }
    Arc::new(view)
}

pub(crate) fn config(member: MemberId, boot_ms: u64) -> NodeConfig {
    NodeConfig {
        me: member,
        identity: identity(member),
        version: "0.1.0".to_owned(),
        reads: NEWEST,
        capabilities: vec![Capability::KernelTun],
        boot_ms,
        timing: Timing::default(),
    }
}

/// A change of mind: when (since the start), who, about whom, what.
pub(crate) type Verdict = (Duration, MemberId, MemberId, GossipState);

pub(crate) struct World {
    start: Instant,
    now: Instant,
    rng: ChaCha8Rng,
    pub(crate) nodes: BTreeMap<MemberId, Node>,
    /// Every datagram under way: when it arrives, a tie breaker, from, to, payload.
    wire: BTreeMap<(Instant, u64), (MemberId, MemberId, Vec<u8>)>,
    serial: u64,
    /// The chance that a datagram is lost, in percent.
    pub(crate) loss: u32,
    /// Ordered pairs between which nothing passes.
    pub(crate) cut: BTreeSet<(MemberId, MemberId)>,
    /// Nodes that neither read nor wake until then.
    stalled: BTreeMap<MemberId, Instant>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) updates: BTreeMap<MemberId, Vec<Update>>,
    pub(crate) removed: Vec<MemberId>,
    pub(crate) sent: u64,
    /// A running hash of everything sent.
    pub(crate) trace: u64,
}

impl World {
    /// Members 1 to `count`, all started at once.
    pub(crate) fn new(count: u64, seed: u64) -> Self {
        let now = Instant::now();
        let mut world = Self {
            start: now,
            now,
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes: BTreeMap::new(),
            wire: BTreeMap::new(),
            serial: 0,
            loss: 0,
            cut: BTreeSet::new(),
            stalled: BTreeMap::new(),
            verdicts: Vec::new(),
            updates: BTreeMap::new(),
            removed: Vec::new(),
            sent: 0,
            trace: 0,
        };
        let members: Vec<u64> = (1..=count).collect();
        for id in &members {
            world.boot(m(*id), BOOT_MS, view(&members, 1), Vec::new());
        }
        world
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn boot(
        &mut self,
        member: MemberId,
        boot_ms: u64,
        view: Arc<ClusterView>,
        hints: Vec<PeerHint>,
    ) {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let config = config(member, boot_ms);
        let mut node = Node::new(config, view, hints, seed, self.now);
        node.handle_own_endpoints(vec![own_endpoint(member)], self.now);
        self.nodes.insert(member, node);
        self.drain(member);
    }

    pub(crate) fn kill(&mut self, member: MemberId) -> Node {
        self.nodes.remove(&member).expect("it runs")
    }

    /// Gives all running nodes the view.
    pub(crate) fn agree(&mut self, view: &Arc<ClusterView>) {
        for member in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.with(member, |node, now| node.handle_view(Arc::clone(view), now));
        }
    }

    /// Calls one node, then drains it.
    pub(crate) fn with(&mut self, member: MemberId, call: impl FnOnce(&mut Node, Instant)) {
        call(self.nodes.get_mut(&member).expect("it runs"), self.now);
        self.drain(member);
    }

    /// Lets nothing pass between the two groups.
    pub(crate) fn part(&mut self, left: &[u64], right: &[u64]) {
        for (one, other) in left.iter().flat_map(|l| right.iter().map(move |r| (*l, *r))) {
            self.cut.extend([(m(one), m(other)), (m(other), m(one))]);
        }
    }

    /// `member`'s process gets no processor for `pause`.
    pub(crate) fn stall(&mut self, member: MemberId, pause: Duration) {
        self.stalled.insert(member, self.now + pause);
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, step)) = self.next_step().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            match step {
                Step::Arrival(key) => {
                    let (from, to, payload) = self.wire.remove(&key).expect("just seen");
                    if self.nodes.contains_key(&to) {
                        self.with(to, |node, now| node.handle_datagram(from, &payload, now));
                    }
                }
                Step::Wake(member) => self.with(member, Node::handle_timeout),
            }
        }
        self.now = end;
    }

    fn next_step(&self) -> Option<(Instant, Step)> {
        let delayed = |member: &MemberId, at: Instant| {
            at.max(*self.stalled.get(member).unwrap_or(&self.start))
        };
        let wakes = self.nodes.iter().filter_map(|(member, node)| {
            Some((delayed(member, node.poll_timeout()?.0), Step::Wake(*member)))
        });
        // The wire is in order of time, but what goes to the stalled comes later than it says.
        let look_at = if self.stalled.is_empty() { 1 } else { self.wire.len() };
        let arrivals = self
            .wire
            .iter()
            .take(look_at)
            .map(|(key, (_, to, _))| (delayed(to, key.0), Step::Arrival(*key)));
        // On equal times a stalled node wakes before it reads: the worse order.
        wakes.chain(arrivals).min()
    }

    fn drain(&mut self, member: MemberId) {
        let elapsed = self.elapsed();
        let node = self.nodes.get_mut(&member).expect("it runs");
        let mut out: Vec<Datagram> = Vec::new();
        while let Some(datagram) = node.poll_transmit() {
            out.push(datagram);
        }
        while let Some(event) = node.poll_event() {
            match event {
                Event::Update(update) => self.updates.entry(member).or_default().push(update),
                Event::Peer { member: about, state } => {
                    self.verdicts.push((elapsed, member, about, state));
                }
                Event::Removed => self.removed.push(member),
                Event::AskKey(_) => unreachable!("nobody here wants pair keys"),
                Event::Sighted { .. } => {}
            }
        }
        for datagram in out {
            assert!(datagram.payload.len() <= mesh_control::gossip::MAX_DATAGRAM);
            self.transmit(member, datagram);
        }
    }

    fn transmit(&mut self, from: MemberId, Datagram { to, payload }: Datagram) {
        self.sent += 1;
        self.serial += 1;
        let record = (self.elapsed(), from, to, &payload);
        self.trace = fold(self.trace, format!("{record:?}").as_bytes());
        let lost = self.rng.random_range(0..100) < self.loss;
        let delay = Duration::from_millis(self.rng.random_range(10..40));
        if !lost && !self.cut.contains(&(from, to)) {
            let key = (self.now + delay, self.serial);
            self.wire.insert(key, (from, to, payload));
        }
    }

    pub(crate) fn state(&self, at: MemberId, about: MemberId) -> GossipState {
        let mut peers = self.nodes[&at].peers();
        peers.find(|peer| peer.member == about).expect("present").state
    }

    /// Whether every running node takes every other running one for `state`.
    pub(crate) fn all(&self, state: GossipState) -> bool {
        let running = || self.nodes.keys().copied();
        running().all(|at| {
            running().filter(|about| *about != at).all(|about| self.state(at, about) == state)
        })
    }

    /// When `at` first took `about` for `state`, not before `since`.
    pub(crate) fn when(
        &self,
        at: u64,
        about: u64,
        state: GossipState,
        since: Duration,
    ) -> Duration {
        let verdict = self
            .verdicts
            .iter()
            .find(|v| v.0 >= since && (v.1, v.2, v.3) == (m(at), m(about), state));
        let (time, ..) =
            verdict.unwrap_or_else(|| panic!("m{at} never took m{about} for {state:?}"));
        *time
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Wake(MemberId),
    Arrival((Instant, u64)),
}

/// FNV-1a over `bytes`, going on from `hash`.
fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
