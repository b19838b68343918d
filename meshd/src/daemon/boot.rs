//! Puts a mesh into service: local replica, tunnels, gossip, agreement, door.
//!
//! Nothing here waits for another host, so a host that comes back finds its tunnels working with no leader
//! anywhere. What cannot start ends the process with its reason; so does what cannot go on later, except that tunnels
//! outlive the disk below agreement ([`degraded`]).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use mesh_control::command::NEWEST;
use mesh_control::node::{Node, NodeConfig, Timing as GossipTiming};
use mesh_control::pairs::PostQuantum;
use mesh_control::raft::{Group, RpcError, Store, Timing};
use mesh_control::refusals::Refused;
use mesh_dataplane::{EngineConfig, HandshakeBudget, OwnKeys, Role, WallTime};
use mesh_model::facts::Capability;
use mesh_model::view::MemberView;
use mesh_model::wire::join::PeerHint;
use mesh_model::{IdentityKey, MemberId, PresharedKey};
use quinn::AsyncUdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use super::degraded;
use super::door::Door;
use super::driver::{Driver, QUESTIONS, Question};
use super::echo::{self, Echoes};
use super::ground::{Ground, key_missing};
use super::mesh::Mesh;
use super::onlooker::Onlooker;
use super::remembering::Saver;
use super::rotating;
use crate::config::Config;
use crate::exit::{Exit, Reason};
use crate::io::agreement::{Agreement, Answer, EndpointError};
use crate::io::clock;
use crate::io::directory::Directory;
use crate::io::entropy::Entropy;
use crate::io::join::JoinServer;
use crate::io::netlink::Exclude;
use crate::io::overlay::{EchoFrame, Overlay};
use crate::io::tls::TlsIdentity;
use crate::io::tun::Tun;
use crate::io::udp::UdpPort;
use crate::pipeline::{
    PacketPath, PacketThread, PathConfig, PathError, PathOutputs, follow_routes,
};
use crate::state_dir::Identity;

/// What a mesh starts from.
pub(super) struct Opening {
    pub(super) identity: Identity,
    pub(super) is_admin: bool,
    pub(super) boot_ms: u64,
    pub(super) store: Store,
    pub(super) ground: Ground,
    pub(super) port: UdpPort,
    pub(super) hints: Vec<PeerHint>,
    pub(super) stamp_floor: WallTime,
    pub(super) saver: Saver,
}

/// Where a part that cannot go on says so.
pub(super) type End = watch::Sender<Option<Exit>>;

impl Mesh {
    /// Puts the mesh of `opening` into service. A failure later on goes to `end`.
    pub(super) async fn start(
        config: &Config,
        opening: Opening,
        end: End,
    ) -> Result<Arc<Self>, Exit> {
        let Opening { identity, is_admin, boot_ms, store, ground, port, hints, stamp_floor, saver } =
            opening;
        let Ground { own, device } = ground;
        let me = store.me();
        let genesis = store.genesis().clone();
        let view = store.view();
        let directory = Directory::new(Arc::clone(&view));
        let listen = port.local();

        let interface = device.as_ref().map(|tun| tun.name().to_owned());
        let exclude =
            Exclude { interface: device.as_ref().map(Tun::index), prefixes: Some(view.prefixes) };
        let keys = rotating::cast(&identity, &own).map_err(key_missing)?;
        let (thread, path, outputs) =
            packets(config, &keys, &own, stamp_floor, port, device).await?;
        let PathOutputs { control, joiners, events } = outputs;
        let overlay = Overlay::new(own.addrs, path.clone());

        let capabilities = capabilities(interface.is_some(), is_admin);
        let node = node_config(me, &identity, capabilities, boot_ms);
        let node = Node::new(node, view, hints, Entropy.fresh(), clock::now())
            .with_post_quantum(config.post_quantum);

        let outside = path.underlay_socket(listen, joiners);
        let inside = overlay.agreement_socket(control.agreement);
        let (door, agreement) = links(config, me, &identity, outside, inside, &directory)?;
        let (key, timing) = (identity.identity.clone(), Timing::default());
        let group =
            Group::start(store, key, agreement.clone(), &Entropy, clock::wall_ms, timing).await?;

        let (questions, asked) = mpsc::channel(QUESTIONS);
        let driver = Driver {
            node,
            path: path.clone(),
            overlay: overlay.clone(),
            agreement: agreement.clone(),
            group: group.clone(),
            directory: directory.clone(),
            gossip: control.gossip,
            events,
            views: group.views(),
            questions: asked,
            asking: FuturesUnordered::new(),
            listen,
            exclude,
            advertised: config.endpoints.clone(),
            own_endpoints: Vec::new(),
        };
        let mesh = Self {
            me,
            own,
            identity: identity.identity,
            keys: Mutex::new(keys),
            since: clock::now(),
            interface,
            listen,
            directory,
            path,
            overlay,
            echoes: Arc::new(Echoes::default()),
            group,
            questions,
            agreement,
            door,
            round_trips: Mutex::default(),
            stopping: watch::Sender::new(false),
            tasks: tokio::sync::Mutex::default(),
        };
        let doorkeeper = Door::new(me, genesis, mesh.group.clone(), mesh.questions.clone(), saver);
        mesh.spawn(thread, driver, control.echo, doorkeeper, end).await;
        Ok(Arc::new(mesh))
    }

    /// Starts everything that runs by itself.
    async fn spawn(
        &self,
        thread: PacketThread,
        driver: Driver,
        echoes: mpsc::Receiver<EchoFrame>,
        doorkeeper: Door,
        end: End,
    ) {
        let stop = || self.stopping.subscribe();
        let mut tasks = self.tasks.lock().await;
        tasks.spawn(guard(thread, self.group.clone(), end, stop()));
        tasks.spawn(driver.run(stop()));
        let (overlay, pending) = (self.overlay.clone(), Arc::clone(&self.echoes));
        tasks.spawn(echo::serve(echoes, overlay, pending, stop()));
        let answers = Answers { group: self.group.clone(), questions: self.questions.clone() };
        let agreement = self.agreement.clone();
        tasks.spawn(async move { agreement.serve(answers).await });
        let door = self.door.clone();
        tasks.spawn(async move { door.serve(doorkeeper).await });
        let (path, mut stop_routes) = (self.path.clone(), stop());
        tasks.spawn(async move {
            tokio::select! {
                () = follow_routes(path) => {}
                _ = stop_routes.wait_for(|stop| *stop) => {}
            }
        });
        let Self { me, own, .. } = self;
        tracing::info!(member = %me, name = %own.name, v4 = %own.addrs.v4, v6 = %own.addrs.v6, "in service");
    }

    /// Lets `wg` look at the interface, if there is one.
    pub(super) async fn show(&self) {
        if let Some(interface) = self.interface.clone() {
            let serving = self.onlooker().serve(interface, self.stopping.subscribe());
            self.tasks.lock().await.spawn(serving);
        }
    }

    /// What `wg` sees.
    pub(super) fn onlooker(&self) -> Onlooker {
        Onlooker::new(self.path.clone(), self.listen.port())
    }
}

/// The packet threads, with no peers yet: the node's first updates bring them.
async fn packets(
    config: &Config,
    keys: &OwnKeys,
    own: &MemberView,
    stamp_floor: WallTime,
    port: UdpPort,
    tun: Option<Tun>,
) -> Result<(PacketThread, PacketPath, PathOutputs), PathError> {
    let engine = EngineConfig {
        secret: Some(keys.current.clone()),
        role: Role::Member(own.addrs),
        budget: HandshakeBudget::default(),
        wall: clock::wall(),
        stamp_floor,
    };
    let &Config { workers, offloads, .. } = config;
    let seed = Entropy.fresh();
    let started =
        PacketThread::start(PathConfig { engine, seed, port, tun, workers, offloads }).await?;
    started.1.set_keys(keys).await;
    Ok(started)
}

/// QUIC, with strangers outside the tunnels and with members inside.
fn links(
    config: &Config,
    me: MemberId,
    identity: &Identity,
    outside: Arc<dyn AsyncUdpSocket>,
    inside: Arc<dyn AsyncUdpSocket>,
    directory: &Directory,
) -> Result<(JoinServer, Agreement), Exit> {
    let tls = TlsIdentity::new(&identity.identity).map_err(|error| unusable(error.into()))?;
    let door = JoinServer::open(outside, &tls).map_err(unusable)?;
    let pairing = (config.post_quantum != PostQuantum::Off).then_some(me);
    let agreement = Agreement::open(inside, tls, directory.clone(), pairing).map_err(unusable)?;
    Ok((door, agreement))
}

/// How this host presents itself in gossip.
fn node_config(
    me: MemberId,
    identity: &Identity,
    capabilities: Vec<Capability>,
    boot_ms: u64,
) -> NodeConfig {
    NodeConfig {
        me,
        identity: identity.identity.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reads: NEWEST,
        capabilities,
        boot_ms,
        timing: GossipTiming::default(),
    }
}

fn capabilities(kernel_tun: bool, admin: bool) -> Vec<Capability> {
    let all = [(kernel_tun, Capability::KernelTun), (admin, Capability::Admin)];
    all.into_iter().filter_map(|(has, capability)| has.then_some(capability)).collect()
}

fn unusable(error: EndpointError) -> Exit {
    Exit::because(Reason::Environment, error)
}

/// Members' questions go to the group, and their pair keys to the driver.
#[derive(Clone)]
struct Answers {
    group: Group,
    questions: mpsc::Sender<Question>,
}

impl Answer for Answers {
    type Error = RpcError;

    async fn answer(&self, from: MemberId, request: Bytes) -> Result<Bytes, RpcError> {
        self.group.handle_rpc(from, &request).await
    }

    async fn may_ask_much(&self, from: MemberId) -> bool {
        self.group.may_ask_much(from).await
    }

    fn turned_away(&self, reason: Refused) {
        self.group.refusals().count(reason);
    }

    fn turned_stranger_away(&self, identity: Option<&IdentityKey>) {
        self.group.refuse_stranger(identity);
    }

    async fn take_key(&self, asker: MemberId, key: PresharedKey) -> bool {
        let (reply, taken) = oneshot::channel();
        // Without a driver the process is ending.
        let is_told = self.questions.send(Question::TakeKey(asker, key, reply)).await.is_ok();
        is_told && taken.await.unwrap_or(false)
    }
}

/// Owns the packet thread, and ends the process when it cannot go on, or agreement ended in a way that leaves nothing
/// to rely upon.
async fn guard(mut thread: PacketThread, group: Group, end: End, mut stop: watch::Receiver<bool>) {
    let failed = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => None,
        error = thread.failed() => Some(Exit::from(error)),
        exit = degraded::unfit(&group) => Some(exit),
    };
    if let Some(exit) = failed {
        tracing::error!(%exit, "cannot go on");
        end.send_replace(Some(exit));
    }
    // Agreement ends before the tunnels do; they go on until everything else has ended.
    let _ = stop.wait_for(|stop| *stop).await;
    thread.shutdown().await;
}
