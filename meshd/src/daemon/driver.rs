//! Drives the node: what happens goes in, what it says is carried out.
//!
//! The one task that touches the [`Node`]. After each input it drains the node and goes back to sleep until
//! something happens or the node's own deadline comes.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mesh_control::node::{Drops, Event, Node};
use mesh_control::pairs::NoKey;
use mesh_control::raft::Group;
use mesh_dataplane::Event as PathEvent;
use mesh_model::addr::port;
use mesh_model::api::v1::GossipState;
use mesh_model::facts::{Facts, MAX_ENDPOINTS};
use mesh_model::view::ClusterView;
use mesh_model::wire::join::PeerHint;
use mesh_model::{LogIndex, MemberId, PresharedKey};
use tokio::sync::{mpsc, oneshot, watch};

use crate::io::agreement::Agreement;
use crate::io::alarm::Alarm;
use crate::io::clock;
use crate::io::directory::Directory;
use crate::io::netlink::{AddressWatch, Exclude, Netlink, NetlinkError};
use crate::io::overlay::{GossipFrame, Overlay};
use crate::pipeline::PacketPath;

/// Questions that may wait: as many as the local API has connections, and joiners besides.
pub(super) const QUESTIONS: usize = 256;

/// What others ask the driver.
pub(super) enum Question {
    /// What gossip thinks of everyone.
    Gossip(oneshot::Sender<Gossip>),
    /// Where everyone was last seen.
    Hints(oneshot::Sender<Vec<PeerHint>>),
    /// Who is not known to have applied the log up to an index.
    Behind(LogIndex, oneshot::Sender<Vec<MemberId>>),
    /// `member` was just heard from `endpoint`, outside its tunnel but beyond doubt.
    Seen(MemberId, SocketAddr),
    /// Put this key in force for the pair of this host and `member`, who has it already; answered once the packet threads have it, or
    /// with `false` if it is not taken.
    TakeKey(MemberId, PresharedKey, oneshot::Sender<bool>),
}

/// A question for a pair key, and what becomes of it.
pub(super) type Asking = BoxFuture<'static, (MemberId, Result<PresharedKey, NoKey>)>;

/// A member as gossip sees it, for the local API.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) member: MemberId,
    pub(super) state: GossipState,
    pub(super) incarnation: u64,
    pub(super) facts: Option<Facts>,
}

/// Everyone as gossip sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Gossip {
    /// This host; `None` while the process is ending.
    pub(super) own: Option<Sighting>,
    /// Where this host can be reached, best first; its facts say so a little later.
    pub(super) own_endpoints: Vec<SocketAddr>,
    /// The others, by id.
    pub(super) others: Vec<Sighting>,
    /// What was not taken, by reason.
    pub(super) drops: Drops,
}

/// The node and everything it is connected with.
pub(super) struct Driver {
    pub(super) node: Node,
    pub(super) path: PacketPath,
    pub(super) overlay: Overlay,
    pub(super) agreement: Agreement,
    pub(super) group: Group,
    pub(super) directory: Directory,
    pub(super) gossip: mpsc::Receiver<GossipFrame>,
    pub(super) events: mpsc::Receiver<PathEvent>,
    pub(super) views: watch::Receiver<Arc<ClusterView>>,
    pub(super) questions: mpsc::Receiver<Question>,
    /// Pair keys that this host asks for; the node bounds how many at a time.
    pub(super) asking: FuturesUnordered<Asking>,
    /// Where the one UDP port listens.
    pub(super) listen: SocketAddr,
    pub(super) exclude: Exclude,
    /// Underlay addresses the operator names, before those found.
    pub(super) advertised: Vec<SocketAddr>,
    /// Both together, as last looked up.
    pub(super) own_endpoints: Vec<SocketAddr>,
}

impl Driver {
    /// Runs until `stop` says so.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut addresses = AddressWatch::open()
            .inspect_err(
                |error| tracing::warn!(%error, "changes of this host's addresses go unseen"),
            )
            .ok();
        self.look_up_own_endpoints().await;
        let mut alarm = Alarm::default();
        loop {
            self.drain().await;
            let deadline = self.node.poll_timeout().map(|(at, _)| at);
            tokio::select! {
                () = stopped(&mut stop) => return,
                Some(frame) = self.gossip.recv() => {
                    self.node.handle_datagram(frame.from, &frame.payload, clock::now());
                }
                Some(event) = self.events.recv() => self.heed(event),
                Ok(()) = self.views.changed() => self.adopt_view(),
                Some(question) = self.questions.recv() => {
                    // Whoever asks may know of a member that the newest view was the first to have.
                    self.adopt_view();
                    self.answer(question).await;
                }
                Some((member, answer)) = self.asking.next() => {
                    self.node.handle_pair_answer(member, answer, clock::now());
                }
                () = changed(&mut addresses) => self.look_up_own_endpoints().await,
                () = alarm.wait(deadline) => self.node.handle_timeout(clock::now()),
            }
        }
    }

    /// Carries out everything the node has to say.
    async fn drain(&mut self) {
        let mut updates = Vec::new();
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::Update(update) => updates.push(update),
                Event::Peer { member, state } => tracing::info!(%member, ?state, "gossip"),
                Event::Sighted(seen) => self.group.handle_sighting(seen),
                Event::AskKey(member) => self.ask_key(member),
                Event::Removed => tracing::warn!("the mesh has agreed that this host is no member"),
            }
        }
        self.path.update(updates).await;
        let view = self.directory.view();
        while let Some(datagram) = self.node.poll_transmit() {
            if let Some(to) = view.members.get(&datagram.to) {
                let to = SocketAddr::from((to.addrs.v6, port::GOSSIP));
                // A full queue is counted there; gossip survives losses.
                let _ = self.overlay.send(port::GOSSIP, to, &datagram.payload);
            }
        }
    }

    fn adopt_view(&mut self) {
        let view = Arc::clone(&self.views.borrow_and_update());
        if view.hash != self.node.view().hash || view.applied != self.node.view().applied {
            self.directory.store(Arc::clone(&view));
            self.node.handle_view(view, clock::now());
        }
    }

    fn heed(&mut self, event: PathEvent) {
        match event {
            PathEvent::EndpointChanged { member, endpoint } => {
                self.node.handle_endpoint(member, endpoint, clock::now());
            }
            PathEvent::HandshakeDone { member, is_paired } => {
                tracing::debug!(%member, is_paired, "tunnel up");
                self.agreement.nudge(member);
                self.node.handle_session(member, is_paired, clock::now());
            }
        }
    }

    fn ask_key(&self, member: MemberId) {
        let agreement = self.agreement.clone();
        self.asking.push(Box::pin(async move { (member, agreement.ask_key(member).await) }));
    }

    async fn answer(&mut self, question: Question) {
        // Whoever asked may have given up; then nobody misses the answer.
        match question {
            Question::Gossip(reply) => drop(reply.send(self.sightings())),
            Question::Hints(reply) => drop(reply.send(self.node.hints())),
            Question::Behind(index, reply) => drop(reply.send(self.node.behind(index))),
            Question::Seen(member, endpoint) => {
                self.node.handle_endpoint(member, endpoint, clock::now());
            }
            Question::TakeKey(member, key, reply) => {
                let is_taken = self.node.handle_pair_offer(member, key, clock::now());
                if is_taken {
                    // Whoever asked begins a handshake with it next.
                    self.drain().await;
                    self.path.carried_out().await;
                }
                let _ = reply.send(is_taken);
            }
        }
    }

    fn sightings(&self) -> Gossip {
        let sighting = |peer: mesh_control::node::PeerState<'_>| Sighting {
            member: peer.member,
            state: peer.state,
            incarnation: peer.incarnation,
            facts: peer.facts.cloned(),
        };
        Gossip {
            own: Some(sighting(self.node.own())),
            own_endpoints: self.own_endpoints.clone(),
            others: self.node.peers().map(sighting).collect(),
            drops: self.node.drops().clone(),
        }
    }

    /// Tells the node where this host can be reached.
    async fn look_up_own_endpoints(&mut self) {
        match own_endpoints(self.listen, self.exclude, &self.advertised).await {
            Ok(endpoints) => {
                self.own_endpoints.clone_from(&endpoints);
                self.node.handle_own_endpoints(endpoints, clock::now());
            }
            Err(error) => tracing::warn!(%error, "this host's addresses are unknown"),
        }
    }
}

/// Where others may reach this host, best first: what the operator says, then what the interfaces have.
async fn own_endpoints(
    listen: SocketAddr,
    exclude: Exclude,
    advertised: &[SocketAddr],
) -> Result<Vec<SocketAddr>, NetlinkError> {
    let found = Netlink::open()?.endpoints(listen, exclude).await?;
    let mut endpoints = advertised.to_vec();
    for endpoint in found {
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    endpoints.truncate(MAX_ENDPOINTS);
    Ok(endpoints)
}

/// Returns once everything shall end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender going away means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Returns when the host's addresses have changed; never without a watch.
async fn changed(watch: &mut Option<AddressWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
