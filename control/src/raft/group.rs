//! The agreement group as seen from one member.
//!
//! Everyone who wants something agreed calls [`Group::propose`], everyone who wants to know what is agreed
//! watches [`Group::views`], and what other members send comes in through
//! [`Group::handle_rpc`](Group::handle_rpc). Behind it run openraft and the steward.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::trust::EpochId;
use mesh_model::view::ClusterView;
use mesh_model::{Edition, IdentitySecret, LogIndex, MemberId};
use openraft::ConfigError;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::async_runtime::{AsyncRuntime as _, Select2};
use openraft::type_config::TypeConfigExt as _;
use tokio::sync::watch;

use super::contact::Contact;
use super::editions::Census;
use super::ferry::Ferry;
use super::following::Following;
use super::herald::Herald;
use super::history::{History, Transition};
use super::lookout::Lookout;
use super::machine::{Machine, SharedReplica, Views};
use super::network::{Peers, calls, known_voters};
use super::notary::Notary;
use super::outdated::Outdated;
use super::place::{Lasting, Place};
use super::pulse::Pulse;
use super::reading::Confirmations;
use super::runtime::{Runtime, fold};
use super::speaker::Speakers;
use super::status::{EpochStatus, Follower, GroupFailure, GroupStatus, Leadership, Role};
use super::steward::{Steward, Stewardship};
use super::store::{Aside, Db, Store, StoreError};
use super::testimony::Testimony;
use super::timing::Timing;
use super::transfer::Succession;
use super::tribunal::{Hearing, Tribunal};
use super::types::{Instant, Raft, StoredMembership, Types};
use super::warden::Warden;
use super::watch as ordered;
use crate::ports::{Seeds, Transport, WallClock};
use crate::state::State;
use crate::sync::{Desk, MAX_DEPTH, Sync};

/// Why a group could not start.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The store does not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The timing makes no sense.
    #[error("the timing of agreement is unusable: {0}")]
    Timing(#[from] ConfigError),
    /// openraft would not start on what the store holds.
    #[error("agreement cannot start: {0}")]
    Start(String),
}

/// One member's place in the agreement group. Clones are handles to the same place.
#[derive(Clone)]
pub struct Group {
    pub(super) place: Arc<Place>,
}

/// Agreement in one epoch: what its tasks share.
pub(super) struct Inner {
    pub(super) me: MemberId,
    pub(super) epoch: EpochId,
    pub(super) aside: Option<Aside>,
    pub(super) raft: Raft,
    pub(super) db: Arc<Db>,
    pub(super) replica: SharedReplica,
    pub(super) peers: Peers,
    pub(super) lookout: Arc<Lookout>,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) timing: Timing,
    pub(super) contact: Contact,
    pub(super) outdated: Outdated,
    pub(super) reads: Edition,
    pub(super) census: Arc<Census>,
    pub(super) speakers: Speakers,
    pub(super) confirmations: Confirmations,
    pub(super) stewardship: Stewardship,
    pub(super) succession: Succession,
    pub(super) hearing: Hearing,
    pub(super) key: IdentitySecret,
    pub(super) testimony: Arc<Testimony>,
    pub(super) sync: Mutex<Sync>,
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) nudges: ordered::Sender<u64>,
    /// How many members are between this one and agreement, while it follows one.
    pub(super) depth: AtomicU8,
    pub(super) born: Instant,
    history: Mutex<History>,
    pub(super) views: ordered::Receiver<Arc<ClusterView>>,
    pub(super) failure: ordered::Receiver<Option<GroupFailure>>,
}

impl Group {
    /// Starts agreement on `store`, for the member whose identity is `key`. A founder's first start founds the group; a sole voter leads at once.
    ///
    /// Needs a tokio runtime with its timer on.
    pub async fn start(
        store: Store,
        key: IdentitySecret,
        transport: impl Transport,
        seeds: &impl Seeds,
        wall: impl WallClock,
        timing: Timing,
    ) -> Result<Self, GroupError> {
        let seed = seeds.seed();
        let unknown = Leadership { role: Role::Follower, term: 0, leader: None };
        let lasting = Lasting {
            me: store.me(),
            root: *store.root(),
            key,
            seed,
            calls: calls(transport),
            wall: Arc::new(wall),
            timing,
            lookout: Arc::default(),
            reads: store.reads,
            census: Arc::default(),
            views: watch::Sender::new(store.view()),
            leadership: watch::Sender::new(unknown),
        };
        Box::pin(Runtime::scope(fold(seed), Self::take_up(lasting, store))).await
    }

    async fn take_up(lasting: Lasting, store: Store) -> Result<Self, GroupError> {
        let place = Arc::new(Box::pin(Place::take_up(Arc::new(lasting), store)).await?);
        drop(Runtime::spawn(Ferry::new(Arc::clone(&place)).run()));
        Ok(Self { place })
    }

    /// Agreement in the epoch this host is in. To be asked for anew after whatever takes its time.
    pub(super) fn inner(&self) -> Arc<Inner> {
        self.place.inner()
    }

    /// This host.
    pub fn me(&self) -> MemberId {
        self.place.lasting.me
    }

    /// The agreed state, again after each applied batch.
    pub fn views(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.place.lasting.views.subscribe()
    }

    /// Who leads as Raft believes it, again after each change; [`Self::status`] asks for more.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.place.lasting.leadership.subscribe()
    }

    /// Agreement as this host sees it now. A leader that was not confirmed lately is none.
    pub fn status(&self) -> GroupStatus {
        let inner = self.inner();
        let membership = inner.membership();
        let data = inner.raft.data_metrics();
        let commit = data.borrow_watched().local_committed.map_or(0, |id| id.index);
        let view = inner.view();
        GroupStatus {
            leadership: inner.confirmed_leadership(),
            commit: commit.max(view.applied),
            applied: view.applied,
            state_hash: view.hash,
            edition: inner.replica.lock().state.edition(),
            reads: inner.reads,
            voters: membership.voters.into_iter().collect(),
            changing: membership.changing,
            learners: membership.learners.into_iter().collect(),
            epoch: EpochStatus {
                id: inner.epoch,
                aside: inner.aside,
                refused: inner.lookout.refused(),
                obstacle: inner.lookout.obstacle(inner.epoch),
            },
        }
    }

    /// The leaderships this host saw since it started, oldest first, and how many more it saw before those.
    pub fn history(&self) -> (Vec<Transition>, u64) {
        self.inner().history().tell()
    }

    /// Everyone that follows this leader, itself included; `None` on a host that does not lead.
    pub fn followers(&self) -> Option<BTreeMap<MemberId, Follower>> {
        let inner = self.inner();
        let leads = inner.confirmed_leadership().leader == Some(inner.me);
        leads.then(|| inner.followers())
    }

    /// Why agreement on this host has ended, if it has.
    pub fn fatal(&self) -> Option<GroupFailure> {
        let failure = self.place.failure().borrow_watched().clone();
        failure.or_else(|| self.inner().db.fault().cloned().map(GroupFailure::Store))
    }

    /// Waits until agreement on this host has ended, and says why.
    pub async fn failed(&self) -> GroupFailure {
        let mut failure = self.place.failure();
        let ended = failure.wait_until(Option::is_some).await;
        ended.ok().flatten().unwrap_or(GroupFailure::Shutdown)
    }

    /// Waits until this host has applied `index`; `false` if that takes longer than `limit`.
    pub async fn applied_at_least(&self, index: LogIndex, limit: Duration) -> bool {
        let mut views = self.inner().views.clone();
        let reached = views.wait_until(|view| view.applied >= index);
        matches!(Types::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// What `look` finds in the agreed state as this host has applied it, up to the index it is given. Nothing
    /// is applied meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&State, LogIndex) -> T) -> T {
        let inner = self.inner();
        let replica = inner.replica.lock();
        look(&replica.state, replica.index())
    }

    /// The serial for the next verdict about `member`: later than the last this host knows of.
    pub fn next_serial(&self, member: MemberId) -> u64 {
        let inner = self.inner();
        let wall_ms = inner.wall.wall_ms();
        inner.replica.lock().state.bans().next_serial(member, wall_ms)
    }

    /// Has on disk how far this host knows the log to be agreed. `false`: the disk has failed, and the next start may know less.
    pub async fn keep(&self) -> bool {
        self.inner().db.flush().await.is_ok()
    }

    /// Ends agreement on this host in good order and closes the store.
    pub async fn shutdown(&self) {
        Box::pin(self.place.close()).await;
        self.failed().await;
        self.inner().db.close();
    }
}

impl Inner {
    /// Starts agreement in the epoch that `store` is in. Knows neither the transport's nor the clock's type, so that openraft
    /// is compiled here, once.
    pub(super) async fn start(
        lasting: &Arc<Lasting>,
        store: Store,
    ) -> Result<Arc<Self>, GroupError> {
        let me = store.me();
        let (unborn, membership) = (store.is_unborn()?, store.membership()?);
        let config = lasting.timing.config(store.root().mesh)?;
        let db = Arc::clone(&store.log.db);
        let (epoch, aside) = (store.replica.state.epoch(), db.aside()?);
        let (own, views) = ordered::channel(store.view());
        let public = lasting.views.clone();
        public.send_replace(store.view());
        let root = *store.root();
        let mut sync = Sync::new(me, lasting.seed);
        sync.handle_members(store.view().members.keys().copied());
        let replica = SharedReplica::new(store.replica);
        let testimony = Testimony::of(&replica, root.mesh, me);
        let views_out = Views { own, public };
        let shared = (replica.clone(), Arc::clone(&testimony));
        let machine = Machine::new(root, Arc::clone(&db), shared, views_out);
        let lookout = Arc::clone(&lasting.lookout);
        let peers = {
            let calls = Arc::clone(&lasting.calls);
            Peers::new(me, epoch, calls, Arc::clone(&lookout), lasting.timing.recent)
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
            wall: Arc::clone(&lasting.wall),
            timing: lasting.timing,
            contact: Contact::default(),
            outdated: Outdated::default(),
            reads: lasting.reads,
            census: Arc::clone(&lasting.census),
            speakers: Speakers::default(),
            confirmations: Confirmations::default(),
            stewardship: Stewardship::default(),
            succession: Succession::default(),
            hearing: Hearing::default(),
            key: lasting.key.clone(),
            testimony,
            sync: Mutex::new(sync),
            desk: Arc::default(),
            nudges: ordered::channel(0).0,
            depth: AtomicU8::new(MAX_DEPTH),
            born: Types::now(),
            history: Mutex::new(History::new(me)),
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
        let warden = Warden::new(Arc::clone(self));
        let notary = Notary::new(Arc::clone(self));
        let following = Following::new(Arc::clone(self));
        let tribunal = Tribunal::new(Arc::clone(self));
        // They run until Raft ends; nobody waits for them.
        drop(Runtime::spawn(herald.run()));
        drop(Runtime::spawn(pulse.run()));
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

pub(super) fn leadership(raft: &Raft) -> Leadership {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    Leadership {
        role: metrics.state.into(),
        term: metrics.vote.leader_id.term,
        leader: metrics.current_leader.map(MemberId),
    }
}

/// Raft's membership in our words.
pub(super) struct GroupMembership {
    pub(super) voters: BTreeSet<MemberId>,
    pub(super) learners: BTreeSet<MemberId>,
    /// There are two sets of voters.
    pub(super) changing: bool,
}

impl Inner {
    /// Why agreement on this host has ended. With the store it ends at once, though Raft may need a moment to
    /// notice.
    pub(super) fn ended(&self) -> Option<GroupFailure> {
        let fault = self.db.fault().cloned().map(GroupFailure::Store);
        fault.or_else(|| self.failure.borrow_watched().clone())
    }

    /// What comes of `work`, unless agreement on this host ends first: Raft's last metrics stay as they were, and
    /// whoever waits for them to change would wait for ever.
    pub(super) async fn unless_ended<T: Send>(
        &self,
        work: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let mut failure = self.failure.clone();
        if self.ended().is_some() {
            return None;
        }
        match Runtime::select2(work, failure.wait_until(Option::is_some)).await {
            Select2::First(done) => Some(done),
            Select2::Second(_) => None,
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agreed state as it is now.
    pub(super) fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.views.borrow_watched())
    }

    /// The membership in effect: that of the last membership entry, agreed or not.
    pub(super) fn membership(&self) -> GroupMembership {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        GroupMembership {
            voters: membership.voter_ids().map(MemberId).collect(),
            learners: membership.learner_ids().map(MemberId).collect(),
            changing: membership.get_joint_config().len() > 1,
        }
    }

    /// Everyone this host has reason to take for a voter: by the membership in effect or the one agreed
    /// before it.
    pub(super) fn known_voters(&self) -> BTreeSet<MemberId> {
        let metrics = self.raft.server_metrics();
        known_voters(&metrics.borrow_watched())
    }
}
