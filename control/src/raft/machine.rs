//! openraft's state machine around the agreed state.
//!
//! The state lives in memory and is rebuilt at start from the last snapshot and the log behind it, so
//! applying writes nothing; what is durable is the log. Each applied batch is published as a fresh
//! [`ClusterView`] that everyone may keep.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, TryStreamExt as _};
use mesh_model::trust::MeshRoot;
use mesh_model::view::ClusterView;
use openraft::async_runtime::WatchSender as _;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use super::history::chronicle::Chronicle;
use super::replica::Replica;
use super::snapshot::peek_meta;
use super::store::{Db, StoreError};
use super::testimony::{Testimony, is_marked};
use super::types::{LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, Types};
use super::watch as ordered;

/// The replica, shared between the state machine that moves it and the group that reads it. Held for
/// the length of one batch, never across an await.
#[derive(Clone)]
pub(crate) struct SharedReplica(Arc<Mutex<Replica>>);

impl SharedReplica {
    pub(crate) fn new(replica: Replica) -> Self {
        Self(Arc::new(Mutex::new(replica)))
    }

    /// A panic while applying leaves the replica between two entries; openraft stops the group then,
    /// and reading what is there does no harm.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Replica> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where views go: first to agreement itself, then to the rest of the house.
pub(crate) struct Views {
    pub(crate) own: ordered::Sender<Arc<ClusterView>>,
    pub(crate) public: watch::Sender<Arc<ClusterView>>,
}

/// See the [module](self).
pub(crate) struct Machine {
    db: Arc<Db>,
    root: MeshRoot,
    replica: SharedReplica,
    testimony: Arc<Testimony>,
    chronicle: Chronicle,
    views: Views,
}

impl Machine {
    pub(crate) fn new(
        root: MeshRoot,
        db: Arc<Db>,
        (replica, testimony, chronicle): (SharedReplica, Arc<Testimony>, Chronicle),
        views: Views,
    ) -> Self {
        Self { db, root, replica, testimony, chronicle, views }
    }

    fn publish(&self) {
        let (view, mark) = {
            let replica = self.replica.lock();
            let view = replica.view();
            let mark = replica.applied.map(|at| replica.mark_of(at, view.hash));
            (view, mark.map(|mark| (mark, replica.voters())))
        };
        self.views.own.send_if_modified(|before| {
            *before = Arc::clone(&view);
            true
        });
        self.views.public.send_replace(view);
        // Whoever is told of it by a word finds the view there already.
        if let Some((mark, voters)) = mark {
            self.testimony.note(mark, &voters);
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let replica = self.replica.lock();
        Ok((replica.applied, replica.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = {
                let mut replica = self.replica.lock();
                let outcome = replica.apply(&entry);
                if let Payload::Membership(_) = &entry.payload {
                    self.chronicle.note(&replica);
                }
                if is_marked(&entry) {
                    self.testimony.note_replica(&replica);
                }
                outcome
            };
            if let Some(responder) = responder {
                answers.push((responder, outcome));
            }
        }
        // Whoever hears the answer finds it in the view.
        self.publish();
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { db: Arc::clone(&self.db), replica: self.replica.lock().clone() }
    }

    /// Only what is signed all the way from the root gets in, whoever sends it.
    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Vec<u8>,
    ) -> Result<(), io::Error> {
        let replica = Replica::open(&snapshot, &self.root).map_err(StoreError::from)?;
        if replica.meta() != *meta {
            return Err(io::Error::other(
                "the snapshot stands for another log id than it was sent as",
            ));
        }
        self.db.save_snapshot(snapshot).await?;
        self.chronicle.note(&replica);
        *self.replica.lock() = replica;
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let Some(snapshot) = self.db.snapshot()? else { return Ok(None) };
        let meta = peek_meta(&snapshot).map_err(StoreError::from)?;
        Ok(Some(Snapshot { meta, snapshot }))
    }
}

/// Makes a snapshot of the replica as it was when it was asked for.
pub(crate) struct Builder {
    db: Arc<Db>,
    replica: Replica,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let snapshot = self.replica.to_snapshot();
        self.db.save_snapshot(snapshot.clone()).await?;
        Ok(Snapshot { meta: self.replica.meta(), snapshot })
    }
}
