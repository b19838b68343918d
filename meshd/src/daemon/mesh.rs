//! The mesh this host is a member of, in service.
//!
//! Everything that runs while the host is a member hangs here. [`boot`](super::boot) makes it; this file
//! is what the operations of the local API work with, and how it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesh_control::command::{Command, Outcome, Proposal};
use mesh_control::raft::{Applied, Group};
use mesh_dataplane::{OwnKeys, WallTime};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::wire::join::PeerHint;
use mesh_model::{IdentitySecret, LogIndex, MemberId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::driver::{Gossip, Question};
use super::echo::Echoes;
use super::refusal::{Answer, not_agreed, not_done};
use crate::io::agreement::Agreement;
use crate::io::clock;
use crate::io::directory::Directory;
use crate::io::join::JoinServer;
use crate::io::overlay::Overlay;
use crate::pipeline::{PacketPath, PathStats};

/// How long this host may take to apply what was agreed, so that it shows what it was told: a heartbeat
/// brings it.
pub(super) const APPLY_LIMIT: Duration = Duration::from_secs(5);

/// A mesh in service.
pub(crate) struct Mesh {
    pub(super) me: MemberId,
    /// This host as the mesh knows it.
    pub(super) own: MemberView,
    pub(super) identity: IdentitySecret,
    /// The WireGuard keys that the packet threads have.
    pub(super) keys: Mutex<OwnKeys>,
    /// When it went into service.
    pub(super) since: Instant,
    /// The kernel interface; `None` with `--tun none`.
    pub(super) interface: Option<String>,
    /// Where the one UDP port listens.
    pub(super) listen: SocketAddr,
    pub(super) directory: Directory,
    pub(super) path: PacketPath,
    pub(super) overlay: Overlay,
    pub(super) echoes: Arc<Echoes>,
    pub(super) group: Group,
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) agreement: Agreement,
    pub(super) door: JoinServer,
    /// The last round trip measured to each member. At most one per member ever pinged.
    pub(super) round_trips: Mutex<BTreeMap<MemberId, Duration>>,
    pub(super) stopping: watch::Sender<bool>,
    pub(super) tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Mesh {
    /// The agreed view now.
    pub(super) fn view(&self) -> Arc<ClusterView> {
        self.directory.view()
    }

    /// Has `command` agreed; `what` says in an error what could not be.
    pub(super) async fn propose(&self, command: Command, what: &str) -> Answer<Applied> {
        let proposal = Proposal { at_ms: clock::wall_ms(), command };
        let told = |error| self.without_agreement(what).unwrap_or_else(|| not_agreed(what, &error));
        self.group.propose(proposal).await.map_err(told)
    }

    /// Has `command` agreed and applied here; where it stands in the log, which is where it stood already if it was
    /// agreed before. An outcome that is not what was wanted, by `is_done`, is an error with `hint`.
    pub(super) async fn carry_out(
        &self,
        command: Command,
        what: &str,
        is_done: impl FnOnce(&Outcome) -> bool,
        hint: &str,
    ) -> Answer<LogIndex> {
        let Applied { index, outcome } = self.propose(command.clone(), what).await?;
        if !is_done(&outcome) {
            return Err(not_done(what, &outcome, hint));
        }
        self.group.applied_at_least(index, APPLY_LIMIT).await;
        Ok(self.group.read(|state, _| state.agreed_at(&command)).unwrap_or(index))
    }

    /// What the packet path says of itself; `None` while the process is ending.
    pub(super) async fn path_stats(&self) -> Option<PathStats> {
        self.path.stats().await
    }

    /// What gossip says; nothing while the process is ending.
    pub(super) async fn gossip(&self) -> Gossip {
        self.ask(Question::Gossip).await.unwrap_or_default()
    }

    /// Where everyone was last seen, and what they say of themselves.
    pub(super) async fn hints(&self) -> Vec<PeerHint> {
        self.ask(Question::Hints).await.unwrap_or_default()
    }

    /// Present members not known to have applied the log up to `index`; `None` while the process is ending.
    pub(super) async fn behind(&self, index: LogIndex) -> Option<Vec<MemberId>> {
        self.ask(|reply| Question::Behind(index, reply)).await
    }

    /// The latest stamp of a handshake so far.
    pub(super) async fn newest_stamp(&self) -> Option<WallTime> {
        self.path.stats().await?.newest_stamp
    }

    /// Asks the driver.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(question(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Notes the round trip to `member`.
    pub(super) fn note_round_trip(&self, member: MemberId, round_trip: Duration) {
        let mut round_trips = self.round_trips.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        round_trips.retain(|member, _| view.members.contains_key(member));
        round_trips.insert(member, round_trip);
    }

    /// The last round trip to `member`.
    pub(super) fn round_trip(&self, member: MemberId) -> Option<Duration> {
        self.round_trips.lock().unwrap_or_else(PoisonError::into_inner).get(&member).copied()
    }

    /// Ends everything in good order: agreement while it can still speak, then the links, then the
    /// tunnels. The store is closed, the port free and the interface gone when this returns.
    pub(super) async fn stop(&self) {
        self.door.close();
        self.group.shutdown().await;
        self.agreement.close();
        self.stopping.send_replace(true);
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }
}
