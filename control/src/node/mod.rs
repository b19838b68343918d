//! One member's control plane without agreement: routes inputs to gossip and the planner.
//!
//! ```text
//! agreed view ──────────────┬──────────> planner ──> plan ──diff──> Event::Update (packet core)
//! gossip datagrams ──> gossip ──facts──> endpoints ────^
//! observed endpoints (packet core), hints (disk) ──────┘
//! ```
//!
//! Between planner and plan stand only the farewell, for a departed member's tunnel stays until the
//! reply to its goodbye has got through (see [`FAREWELL`]), and the keys that pairs agree on ([`crate::pairs`]).
//!
//! The node decides nothing itself. It starts from whatever view the disk had, so that tunnels come
//! up before anyone leads, and keeps only what an input is worth remembering for: where each member
//! was last seen.

mod endpoints;
mod event;
mod farewell;
pub mod hints;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mesh_model::plan::{Plan, Update};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::wire::join::PeerHint;
use mesh_model::{LogIndex, MemberId, PresharedKey};

use crate::gossip::Gossip;
use crate::pairs::{NoKey, Pairs, PostQuantum};
use crate::planner;
use endpoints::Endpoints;
use farewell::Farewells;

pub use crate::gossip::{
    Datagram, Drop, Drops, GossipConfig as NodeConfig, PeerState, Sighting, Timing,
};
pub use event::Event;
pub use farewell::FAREWELL;

/// One member's node.
///
/// Feed it with `handle_*`, drain `poll_transmit` and `poll_event` until they are empty, and call
/// [`Node::handle_timeout`] at [`Node::poll_timeout`].
pub struct Node {
    me: MemberId,
    view: Arc<ClusterView>,
    gossip: Gossip,
    endpoints: Endpoints,
    farewells: Farewells,
    pairs: Pairs,
    /// What the packet core was told, up to the updates still queued.
    plan: Plan,
    /// Something the plan follows from has changed.
    stale: bool,
    /// At most three updates per peer: refilled only when empty.
    updates: VecDeque<Update>,
    /// Members of whom there is something new to tell.
    sighted: BTreeSet<MemberId>,
    removed: Removal,
}

/// Whether the agreed view still has this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Present,
    ToTell,
    Told,
}

impl Node {
    /// Starts from `view` and from `hints`, the last that was known before: updates for all tunnels
    /// and calls on all members are ready at once.
    pub fn new(
        config: NodeConfig,
        view: Arc<ClusterView>,
        hints: Vec<PeerHint>,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let me = config.me;
        let mut endpoints = Endpoints::default();
        for hint in &hints {
            if let Some(endpoint) = hint.endpoint {
                endpoints.hint(hint.member, endpoint);
            }
        }
        let facts = hints.into_iter().filter_map(|hint| hint.facts);
        let gossip = Gossip::new(config, Arc::clone(&view), facts, seed, now);
        let mut node = Self {
            me,
            view: Arc::clone(&view),
            gossip,
            endpoints,
            farewells: Farewells::default(),
            pairs: Pairs::new(me, PostQuantum::default()),
            plan: Plan::default(),
            stale: true,
            updates: VecDeque::new(),
            sighted: BTreeSet::new(),
            removed: Removal::Present,
        };
        node.adopt(view);
        node
    }

    /// The same, with pairs that agree on keys as `mode` says. To be called before anything is polled.
    pub fn with_post_quantum(mut self, mode: PostQuantum) -> Self {
        self.pairs = Pairs::new(self.me, mode);
        self
    }

    /// The agreed view changed.
    pub fn handle_view(&mut self, view: Arc<ClusterView>, now: Instant) {
        self.gossip.handle_view(Arc::clone(&view), now);
        self.farewells.handle_view(self.me, &self.plan, (&self.view, &view), now);
        self.adopt(view);
    }

    /// A gossip datagram came through `from`'s tunnel.
    pub fn handle_datagram(&mut self, from: MemberId, payload: &[u8], now: Instant) {
        self.gossip.handle_datagram(from, payload, now);
        self.learn();
    }

    /// The packet core saw an authenticated packet of `member` come from `endpoint`.
    pub fn handle_endpoint(&mut self, member: MemberId, endpoint: SocketAddr, _now: Instant) {
        if self.is_other(member) {
            self.stale |= self.endpoints.observe(member, endpoint);
        }
    }

    /// The packet core has a new session with `member`, made with a pair key or without.
    pub fn handle_session(&mut self, member: MemberId, is_paired: bool, now: Instant) {
        if self.is_other(member) {
            self.pairs.handle_session(member, is_paired, now);
        }
    }

    /// `member` has asked this host to take `key` for the two of them, on the connection that the key comes from. Whether it does:
    /// `member` may be told so once all events that follow are carried out.
    pub fn handle_pair_offer(&mut self, member: MemberId, key: PresharedKey, now: Instant) -> bool {
        let is_taken = self.is_other(member) && self.pairs.handle_offer(member, key, now);
        self.stale |= is_taken;
        is_taken
    }

    /// What became of an [`Event::AskKey`].
    pub fn handle_pair_answer(
        &mut self,
        member: MemberId,
        answer: Result<PresharedKey, NoKey>,
        now: Instant,
    ) {
        self.stale |= self.pairs.handle_answer(member, answer, now);
    }

    /// This host's own underlay addresses, best first.
    pub fn handle_own_endpoints(&mut self, endpoints: Vec<SocketAddr>, now: Instant) {
        self.gossip.handle_own_endpoints(endpoints, now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.gossip.handle_timeout(now);
        self.stale |= self.farewells.handle_timeout(now);
        self.pairs.handle_timeout(now);
        self.learn();
    }

    /// The next gossip datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Datagram> {
        self.gossip.poll_transmit()
    }

    /// The next thing to do or to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.updates.is_empty() && std::mem::take(&mut self.stale) {
            let mut next = planner::plan(&self.view, self.me, self.endpoints.candidates());
            self.end_keys_before(&mut next);
            self.pairs.add_to(&mut next);
            self.farewells.add_to(&mut next);
            self.updates.extend(self.plan.diff(&next));
            self.plan = next;
            self.renew();
        }
        if let Some(update) = self.updates.pop_front() {
            return Some(Event::Update(update));
        }
        match self.removed {
            Removal::Present => {}
            Removal::ToTell => {
                self.removed = Removal::Told;
                return Some(Event::Removed);
            }
            Removal::Told => return None,
        }
        if let Some((member, state)) = self.gossip.poll_change() {
            self.sighted.insert(member);
            return Some(Event::Peer { member, state });
        }
        if let Some(member) = self.pairs.poll_ask() {
            return Some(Event::AskKey(member));
        }
        let member = self.sighted.pop_first()?;
        Some(Event::Sighted(self.gossip.peer(member).sighting()))
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let others = [self.farewells.poll_timeout(), self.pairs.poll_timeout()];
        self.gossip.poll_timeout().into_iter().chain(others.into_iter().flatten()).min()
    }

    /// The other present members as gossip sees them, by id.
    pub fn peers(&self) -> impl Iterator<Item = PeerState<'_>> + '_ {
        let members = self.view.members.keys().copied();
        members.filter(|member| *member != self.me).map(|member| self.gossip.peer(member))
    }

    /// Present members, this host included, of which it is not known that they have applied the log up to
    /// `index`.
    pub fn behind(&self, index: LogIndex) -> Vec<MemberId> {
        let here = (self.view.applied < index).then_some(self.me);
        let is_behind = |peer: &PeerState<'_>| peer.facts.is_none_or(|facts| facts.applied < index);
        let others = self.peers().filter(is_behind).map(|peer| peer.member);
        here.into_iter().chain(others).collect()
    }

    /// This host as it presents itself.
    pub fn own(&self) -> PeerState<'_> {
        self.gossip.peer(self.me)
    }

    /// The agreed view it works from.
    pub fn view(&self) -> &Arc<ClusterView> {
        &self.view
    }

    /// What the packet core was told or will be told by the events still to be polled.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where everyone is and what they say, this host included (without an endpoint): for the next
    /// start and for newcomers. At most one per member; of a banned one only where it was.
    pub fn hints(&self) -> Vec<PeerHint> {
        let members = self.view.members.keys().chain(self.view.banned.keys()).copied();
        let hint = |member| PeerHint {
            member,
            endpoint: self.endpoints.last_seen(member),
            facts: self.gossip.signed_facts(member).cloned(),
        };
        members.map(hint).filter(|hint| hint.endpoint.is_some() || hint.facts.is_some()).collect()
    }

    /// What was not taken, and how often.
    pub fn drops(&self) -> &Drops {
        self.gossip.drops()
    }

    fn adopt(&mut self, view: Arc<ClusterView>) {
        if self.removed == Removal::Present && !view.has_place(self.me) {
            self.removed = Removal::ToTell;
        }
        self.view = view;
        // Where a banned one was is worth knowing when it is pardoned: it may have forgotten where we are.
        let placed = self.view.members.keys().chain(self.view.banned.keys());
        self.endpoints.keep(placed.copied().filter(|id| *id != self.me));
        self.sighted.retain(|member| self.view.members.contains_key(member));
        self.pairs.keep(|member| self.view.members.contains_key(&member));
        for member in self.view.members.keys().filter(|id| **id != self.me) {
            if let Some(facts) = self.gossip.peer(*member).facts {
                self.endpoints.announce(*member, &facts.endpoints);
            }
        }
        self.stale = true;
    }

    /// Whether `member` is present, and not this host.
    fn is_other(&self, member: MemberId) -> bool {
        member != self.me && self.view.members.contains_key(&member)
    }

    /// Has the packet core make new sessions where there is a new key for them, which it has by then.
    fn renew(&mut self) {
        while let Some(member) = self.pairs.poll_renewal() {
            let member = self.view.members.get(&member);
            self.updates.extend(member.map(|it| Update::RenewPeer(it.tunnel)));
        }
    }

    /// Takes over what gossip has learnt of others' endpoints.
    fn learn(&mut self) {
        while let Some(member) = self.gossip.poll_news() {
            self.sighted.insert(member);
            if let Some(facts) = self.gossip.peer(member).facts {
                self.stale |= self.endpoints.announce(member, &facts.endpoints);
                self.stale |= self.view.members.get(&member).is_some_and(|it| {
                    let peer = self.plan.peers.get(&it.tunnel);
                    peer.is_some_and(|peer| peer.before.is_some()) && self.goes_by_its_key(it)
                });
            }
        }
    }

    /// Nobody is taken by the key before any more who is known to go by the one after it.
    fn end_keys_before(&self, plan: &mut Plan) {
        for peer in plan.peers.values_mut() {
            let member = self.view.members.get(&peer.member);
            peer.before =
                peer.before.filter(|_| !member.is_some_and(|it| self.goes_by_its_key(it)));
        }
    }

    /// Whether `member` has heard that its own key was changed, by its own word.
    fn goes_by_its_key(&self, member: &MemberView) -> bool {
        let applied = self.gossip.peer(member.id).facts.map_or(0, |facts| facts.applied);
        member.change.is_none_or(|change| applied >= change.at)
    }
}
