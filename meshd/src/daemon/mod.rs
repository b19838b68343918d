//! The daemon's life: not joined, a member, gone.
//!
//! ```text
//!              init / join                      leave
//! not joined ───────────────> member ─────────────────────> not joined (under a new identity)
//!                               │ Mesh: packet thread, driver, agreement, door
//!                               ├─ a part that cannot go on ends the process with its reason
//!                               └─ a failed disk ends agreement only: degraded, until it is started anew
//! ```
//!
//! One change of membership happens at a time: whoever makes one holds the state directory. Everything
//! that only looks works on the [`Mesh`] in service, or says that there is none.

mod admin;
mod auditing;
mod backing_up;
mod boot;
mod degraded;
mod door;
mod driver;
mod echo;
mod ending;
mod epoch;
mod founding;
mod ground;
mod inviting;
mod joining;
mod judging;
mod keys;
mod leaving;
mod mesh;
mod onlooker;
mod pinging;
mod reaching;
mod reading;
mod refusal;
mod remembering;
mod report;
mod reporting;
mod requesting;
mod revoking;
mod rotating;
mod snapshots;
mod spreading;
mod supervising;
mod syncing;
mod tagging;
mod target;
mod voting;
mod waiting;
mod window;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use mesh_control::raft::{Store, StoreError};
use mesh_model::api::v1::ErrorBody;
use mesh_model::wire::join::PeerHint;
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::config::{Config, Tun as TunConfig};
use crate::exit::{Exit, expecting_panic};
use crate::io::handed::Handed;
use crate::io::udp::{BindError, UdpPort};
use crate::io::{clock, disk, tun::Tun};
use crate::state_dir::{Membership, StateDir};
use boot::{End, Opening};
pub(crate) use ending::store_exit;
use ground::Ground;
use mesh::Mesh;
use refusal::{Answer, already_joined, ending, failed, not_joined};
use remembering::Saver;
use window::Windows;
pub(crate) use window::is_looked_at;

/// The daemon as the local API and `main` see it.
pub(crate) struct Daemon {
    config: Config,
    started: Instant,
    /// When it started, by the wall clock: orders this run's facts after those of earlier runs.
    boot_ms: u64,
    /// Held through every change of membership.
    state_dir: Mutex<StateDir>,
    mesh: ArcSwapOption<Mesh>,
    /// What `wg` looks at through sockets that were handed over.
    windows: Windows,
    /// Has the peer cache saved.
    saver: Saver,
    /// Why the last backup that was due was not made, or an old one not removed.
    backup_failure: std::sync::Mutex<Option<String>>,
    /// Why the process must end, once a part of it cannot go on.
    end: End,
    /// The process is ending: whoever waits for others gives up.
    stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Starts with what `state_dir` remembers: a member has its tunnels up when this returns, whoever
    /// else is there or not. `handed` are sockets for `wg` that were handed over.
    pub(crate) async fn start(
        config: Config,
        state_dir: StateDir,
        handed: Handed,
    ) -> Result<Arc<Self>, Exit> {
        let membership = state_dir.membership().copied();
        let (saver, requests) = remembering::saver();
        let daemon = Arc::new_cyclic(|daemon| Self {
            config,
            started: clock::now(),
            boot_ms: clock::wall_ms(),
            state_dir: Mutex::new(state_dir),
            mesh: ArcSwapOption::empty(),
            windows: Windows::open(daemon, handed),
            saver,
            backup_failure: std::sync::Mutex::default(),
            end: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
        });
        match membership {
            Some(membership) => daemon.resume(membership).await?,
            None => daemon.check_host()?,
        }
        // They end with the daemon they look after.
        tokio::spawn(remembering::run(Arc::downgrade(&daemon), requests));
        tokio::spawn(rotating::run(Arc::downgrade(&daemon)));
        if let Some(plan) = daemon.config.backup.clone() {
            tokio::spawn(backing_up::run(Arc::downgrade(&daemon), plan));
        }
        Ok(daemon)
    }

    /// Runs until `signal` comes or a part cannot go on; either way everything is closed afterwards.
    pub(crate) async fn run_until(&self, signal: impl Future<Output = ()>) -> Exit {
        let mut end = self.end.subscribe();
        let failed = end.wait_for(Option::is_some);
        let exit = tokio::select! {
            () = signal => Exit::clean(),
            exit = failed => exit
                .ok()
                .and_then(|exit| exit.clone())
                .unwrap_or_else(Exit::clean),
        };
        self.stopping.send_replace(true);
        let state_dir = self.state_dir.lock().await;
        if let Some(mesh) = self.mesh.swap(None) {
            remembering::save(&state_dir, &mesh.hints().await);
            remembering::save_stamp(&state_dir, mesh.newest_stamp().await);
            remembering::save_history(&state_dir, &mesh.group);
            mesh.stop().await;
            return mesh.end_of_process(exit);
        }
        exit
    }

    /// Takes up the membership that was there before the process started.
    async fn resume(&self, membership: Membership) -> Result<(), Exit> {
        let mut state_dir = self.state_dir.lock().await;
        let path = state_dir.store_path();
        let file = disk::open_log(&path)?;
        // The database panics over some damaged files; the store catches that and says so.
        let open = || Store::open(file, membership.member, &membership.root);
        let store = tokio::task::block_in_place(|| expecting_panic(open));
        let what = |error: &StoreError| format!("{}: {error}", path.display());
        let mut store = store.map_err(|error| ending::store_exit(&error, what(&error)))?;
        if store.said_goodbye() {
            return self.finish_leaving(&mut state_dir, store);
        }
        remembering::recall(&state_dir, &mut store);
        let ground = Ground::lay(&self.config, &store, state_dir.identity()).await?;
        let port = self.bind()?;
        let mesh = self.open(&state_dir, store, ground, port, state_dir.peer_hints()).await?;
        self.mesh.store(Some(mesh));
        Ok(())
    }

    /// Holds the state directory of a host that belongs to no mesh, for one that is about to.
    async fn unjoined(&self) -> Answer<MutexGuard<'_, StateDir>> {
        let state_dir = self.state_dir.lock().await;
        if *self.stopping.borrow() {
            return Err(ending());
        }
        match self.mesh.load_full() {
            Some(mesh) => Err(already_joined(mesh.view().mesh_name.as_str())),
            // Committed, but not in service: the process is about to end for that reason.
            None if state_dir.membership().is_some() => Err(ending()),
            None => Ok(state_dir),
        }
    }

    /// Puts the mesh that `state_dir` has just committed to into service. The host is a member from the
    /// commit on: if that fails, the process ends, and the next start takes up the membership.
    async fn enter(
        &self,
        state_dir: &StateDir,
        store: Store,
        ground: Ground,
        port: UdpPort,
        hints: Vec<PeerHint>,
    ) -> Answer<Arc<Mesh>> {
        match self.open(state_dir, store, ground, port, hints).await {
            Ok(mesh) => {
                self.mesh.store(Some(Arc::clone(&mesh)));
                Ok(mesh)
            }
            Err(exit) => {
                let error = failed(exit.clone());
                self.end.send_replace(Some(exit));
                Err(error)
            }
        }
    }

    /// `work`, unless the process ends first.
    async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Answer<T> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            done = work => Ok(done),
            _ = stopping.wait_for(|stopping| *stopping) => Err(ending()),
        }
    }

    /// Puts a mesh into service.
    async fn open(
        &self,
        state_dir: &StateDir,
        store: Store,
        ground: Ground,
        port: UdpPort,
        hints: Vec<PeerHint>,
    ) -> Result<Arc<Mesh>, Exit> {
        let opening = Opening {
            identity: state_dir.identity().clone(),
            is_admin: state_dir.is_admin(),
            boot_ms: self.boot_ms,
            store,
            ground,
            port,
            hints,
            stamp_floor: state_dir.stamp_floor(),
            saver: self.saver.clone(),
        };
        let mesh = Mesh::start(&self.config, opening, self.end.clone()).await?;
        if !self.windows.has_own() {
            mesh.show().await;
        }
        Ok(mesh)
    }

    /// A host that is no member finds out now, not when it joins, what it will be missing.
    fn check_host(&self) -> Result<(), Exit> {
        self.bind()?;
        if let TunConfig::Kernel(name) = &self.config.tun {
            Tun::create(name, self.config.mtu)?;
        }
        Ok(())
    }

    /// The one UDP port.
    fn bind(&self) -> Result<UdpPort, BindError> {
        match self.config.listen.addr {
            Some(addr) => UdpPort::bind(SocketAddr::new(addr, self.config.listen.port)),
            None => UdpPort::bind_any(self.config.listen.port),
        }
    }

    /// The mesh in service.
    fn mesh(&self) -> Result<Arc<Mesh>, ErrorBody> {
        self.mesh.load_full().ok_or_else(not_joined)
    }
}
