//! How agreement starts: a store becomes a running Raft with everything around it that goes on by itself.
//!
//! ```text
//! store ──> replica, testimony ──> Machine ──> Raft ──founds, or leads at once if it votes alone──> Inner ──> its tasks
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex};

use mesh_model::MemberId;
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::type_config::TypeConfigExt as _;
use tokio::sync::watch;

use super::contact::Contact;
use super::following::Following;
use super::group::{GroupError, Inner, leadership};
use super::herald::Herald;
use super::history::chronicle::Chronicle;
use super::machine::{Machine, SharedReplica, Views};
use super::network::Peers;
use super::notary::Notary;
use super::outdated::Outdated;
use super::place::Lasting;
use super::pulse::Pulse;
use super::reading::Confirmations;
use super::recollection::{Recollecting, Recollection};
use super::runtime::Runtime;
use super::speaker::Speakers;
use super::status::{GroupFailure, Leadership};
use super::steward::{Steward, Stewardship};
use super::store::Store;
use super::testimony::Testimony;
use super::transfer::Succession;
use super::tribunal::Tribunal;
use super::types::{Raft, StoredMembership, Types};
use super::warden::Warden;
use super::watch as ordered;
use crate::sync::{MAX_DEPTH, Sync};

impl Inner {
    /// Starts agreement in the epoch that `store` is in. Knows neither the transport's nor the clock's type, so that openraft
    /// is compiled here, once.
    pub(super) async fn start(
        lasting: &Arc<Lasting>,
        store: Store,
    ) -> Result<Arc<Self>, GroupError> {
        let me = store.me();
        store.log.db.check_is_current()?;
        let (unborn, membership, ends) = (store.is_unborn()?, store.membership()?, store.ends()?);
        let config = lasting.timing.config(store.root().mesh)?;
        let db = Arc::clone(&store.log.db);
        let (epoch, aside) = (store.replica.state.epoch(), db.aside()?);
        let (own, views) = ordered::channel(store.view());
        let public = lasting.views.clone();
        public.send_replace(store.view());
        let root = *store.root();
        let mut sync = Sync::new(me, lasting.seed);
        sync.handle_members(store.view().members.keys().copied());
        let chronicle = Chronicle::of(&lasting.history, &lasting.wall);
        chronicle.note(&store.replica);
        let replica = SharedReplica::new(store.replica);
        let testimony = Testimony::of(&replica, root.mesh, me);
        let views_out = Views { own, public };
        let shared = (replica.clone(), Arc::clone(&testimony), chronicle);
        let machine = Machine::new(root, Arc::clone(&db), shared, views_out);
        let lookout = Arc::clone(&lasting.lookout);
        let peers = {
            let calls = Arc::clone(&lasting.calls);
            let heard = (Arc::clone(&lookout), Arc::clone(&lasting.refusals));
            Peers::new(me, epoch, calls, heard, lasting.timing.recent)
        };
        let raft = Raft::new(me.0, config, peers.clone(), store.log, machine)
            .await
            .map_err(|error| GroupError::Start(error.to_string()))?;
        peers.follow(raft.server_metrics());
        begin(&raft, me, unborn, &membership).await?;
        lasting.leadership.send_replace(leadership(&raft));
        let (failure_tx, failure) = ordered::channel(None);
        let inner = Arc::new(Self {
            me,
            epoch,
            aside,
            raft,
            db,
            replica,
            peers,
            lookout,
            refusals: Arc::clone(&lasting.refusals),
            wall: Arc::clone(&lasting.wall),
            timing: lasting.timing,
            contact: Contact::default(),
            outdated: Outdated::default(),
            recollection: Recollection::new(ends),
            reads: lasting.reads,
            census: Arc::clone(&lasting.census),
            speakers: Speakers::default(),
            confirmations: Confirmations::default(),
            stewardship: Stewardship::default(),
            succession: Succession::default(),
            hearing: Arc::clone(&lasting.hearing),
            key: lasting.key.clone(),
            testimony,
            sync: Mutex::new(sync),
            desk: Arc::default(),
            nudges: ordered::channel(0).0,
            withdrawal: ordered::channel(None).0,
            depth: AtomicU8::new(MAX_DEPTH),
            born: Types::now(),
            history: Arc::clone(&lasting.history),
            views,
            failure,
        });
        inner.set_going(lasting.leadership.clone(), failure_tx);
        Ok(inner)
    }

    /// Begins all that goes on by itself until Raft ends.
    fn set_going(
        self: &Arc<Self>,
        leadership: watch::Sender<Leadership>,
        failure: ordered::Sender<Option<GroupFailure>>,
    ) {
        let herald = Herald::new(Arc::clone(self), leadership, failure);
        let steward = Steward::new(Arc::clone(self));
        let pulse = Pulse::new(Arc::clone(self));
        let recollecting = Recollecting::new(Arc::clone(self));
        let warden = Warden::new(Arc::clone(self));
        let notary = Notary::new(Arc::clone(self));
        let following = Following::new(Arc::clone(self));
        let tribunal = Tribunal::new(Arc::clone(self));
        // They run until Raft ends; nobody waits for them.
        drop(Runtime::spawn(herald.run()));
        drop(Runtime::spawn(pulse.run()));
        drop(Runtime::spawn(recollecting.run()));
        drop(Runtime::spawn(steward.run()));
        drop(Runtime::spawn(warden.run()));
        drop(Runtime::spawn(notary.run()));
        drop(Runtime::spawn(following.run()));
        drop(Runtime::spawn(tribunal.run()));
    }
}

/// Founds the group, or has a sole voter lead at once; then waits until openraft shows the membership
/// it started with, which decides whom this host listens to.
async fn begin(
    raft: &Raft,
    me: MemberId,
    unborn: bool,
    membership: &StoredMembership,
) -> Result<(), GroupError> {
    let failed = |error: String| GroupError::Start(error);
    let mut server = raft.server_metrics();
    if unborn {
        let founder = BTreeMap::from([(me.0, ())]);
        raft.initialize(founder).await.map_err(|error| failed(error.to_string()))?;
    } else if membership.membership().voter_ids().eq([me.0]) {
        raft.trigger().elect(false).await.map_err(|error| failed(error.to_string()))?;
    }
    while unborn && server.borrow_watched().membership_config.log_id().is_none()
        || server.borrow_watched().membership_config.log_id() < membership.log_id()
    {
        server.changed().await.map_err(|_| failed("it ended at once".to_owned()))?;
    }
    Ok(())
}
