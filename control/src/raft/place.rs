//! A member's place in agreement, through all epochs: what stays when the mesh begins another, or when Raft starts anew on
//! this host.
//!
//! ```text
//! Place ──> Inner of epoch 0 ──ended──┐
//!       └──────────────────────────> Inner of epoch 1 ──> ...      one at a time, on the same file
//! ```

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mesh_model::trust::MeshRoot;
use mesh_model::view::ClusterView;
use mesh_model::{Edition, IdentitySecret, MemberId};
use openraft::async_runtime::watch::WatchSender as _;
use tokio::sync::watch;

use super::editions::Census;
use super::group::{GroupError, Inner};
use super::hearing::Hearing;
use super::history::History;
use super::lookout::Lookout;
use super::network::Calls;
use super::passage::Passage;
use super::status::{GroupFailure, Leadership};
use super::store::{Store, StoreError};
use super::timing::Timing;
use super::watch as ordered;
use crate::ports::WallClock;
use crate::refusals::Refusals;

/// What stays when agreement begins anew.
pub(super) struct Lasting {
    pub(super) me: MemberId,
    pub(super) root: MeshRoot,
    pub(super) key: IdentitySecret,
    pub(super) seed: [u8; 32],
    pub(super) calls: Arc<dyn Calls>,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) timing: Timing,
    pub(super) lookout: Arc<Lookout>,
    pub(super) refusals: Arc<Refusals>,
    /// The newest edition this host reads.
    pub(super) reads: Edition,
    pub(super) census: Arc<Census>,
    pub(super) hearing: Arc<Hearing>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) views: watch::Sender<Arc<ClusterView>>,
    pub(super) leadership: watch::Sender<Leadership>,
}

/// See the [module](self).
pub(super) struct Place {
    pub(super) lasting: Arc<Lasting>,
    current: RwLock<Arc<Inner>>,
    /// Whoever ends agreement holds it: to begin anew, or for good, which it says.
    is_closed: tokio::sync::Mutex<bool>,
    failure: ordered::Sender<Option<GroupFailure>>,
}

impl Place {
    /// Agreement in the epoch that `store` is in.
    pub(super) async fn take_up(lasting: Arc<Lasting>, store: Store) -> Result<Self, GroupError> {
        let inner = Box::pin(Inner::start(&lasting, store)).await?;
        let (failure, _) = ordered::channel(None);
        let is_closed = tokio::sync::Mutex::default();
        Ok(Self { lasting, current: RwLock::new(inner), is_closed, failure })
    }

    /// Agreement in the epoch this host is in.
    pub(super) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why agreement on this host has ended, if it has.
    pub(super) fn failure(&self) -> ordered::Receiver<Option<GroupFailure>> {
        self.failure.subscribe()
    }

    /// Agreement on this host has ended for good.
    pub(super) fn end(&self, failure: GroupFailure) {
        self.failure.send_if_modified(|ended| {
            *ended = Some(failure);
            true
        });
    }

    /// Ends agreement on this host in good order.
    pub(super) async fn close(&self) {
        let mut is_closed = self.is_closed.lock().await;
        *is_closed = true;
        self.inner().leave_agreement().await;
    }

    /// Goes over into the epoch that `passage` leads to. After an error agreement has ended, and the store is as it was
    /// before or as it should be.
    pub(super) async fn go_over(&self, passage: &Passage) -> Result<(), GroupFailure> {
        let aside = Box::pin(self.start_anew(|store| store.go_over(passage))).await?;
        let epoch = passage.epoch();
        tracing::warn!(
            number = epoch.number,
            from = epoch.from,
            ?aside,
            "the mesh goes on without its majority: this host went over into the epoch its admins began, and its \
             store before that is set aside"
        );
        Ok(())
    }

    /// Ends agreement on this host, makes `change` to the store, and begins again. After an error it has ended.
    pub(super) async fn start_anew<T>(
        &self,
        change: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, GroupFailure> {
        let is_closed = self.is_closed.lock().await;
        if *is_closed {
            return Err(GroupFailure::Shutdown);
        }
        let old = self.inner();
        old.leave_agreement().await;
        match old.see_ended().await {
            GroupFailure::Shutdown => {}
            failure => return Err(failure),
        }
        let Lasting { me, root, .. } = &*self.lasting;
        let mut store = Store::on(old.db.hand_on().await?, *me, root)?;
        let changed = change(&mut store)?;
        let started = Box::pin(Inner::start(&self.lasting, store)).await;
        let inner = started.map_err(|error| match error {
            GroupError::Store(error) => GroupFailure::Store(error),
            other => GroupFailure::Bug(other.to_string()),
        })?;
        inner.sync().inherit(&old.sync());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = inner;
        Ok(changed)
    }
}

impl Inner {
    /// Ends it.
    async fn leave_agreement(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(%error, "agreement did not end in good order");
        }
    }
}
