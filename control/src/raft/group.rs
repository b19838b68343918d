//! The agreement group as seen from one member.
//!
//! Everyone who wants something agreed calls [`Group::propose`], everyone who wants to know what is agreed
//! watches [`Group::views`], and what other members send comes in through
//! [`Group::handle_rpc`](Group::handle_rpc). Behind it run openraft and the tasks that [`starting`](super::starting) sets going.

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
use super::hearing::Hearing;
use super::history::{History, Transition};
use super::lookout::Lookout;
use super::machine::SharedReplica;
use super::network::{Peers, calls, known_voters};
use super::outdated::Outdated;
use super::place::{Lasting, Place};
use super::reading::Confirmations;
use super::recollection::Recollection;
use super::runtime::{Runtime, fold};
use super::speaker::Speakers;
use super::status::{EpochStatus, Follower, GroupFailure, GroupStatus, Leadership, Role};
use super::steward::Stewardship;
use super::store::{Aside, Db, Store, StoreError};
use super::testimony::{Testimony, sets_of_voters};
use super::timing::Timing;
use super::transfer::Succession;
use super::types::{Instant, Raft, Types, Vote};
use super::watch as ordered;
use super::withdrawal::Withdrawal;
use crate::ports::{Seeds, Transport, WallClock};
use crate::refusals::Refusals;
use crate::state::State;
use crate::sync::{Desk, Sync};

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
    pub(super) refusals: Arc<Refusals>,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) timing: Timing,
    pub(super) contact: Contact,
    pub(super) outdated: Outdated,
    pub(super) recollection: Recollection,
    pub(super) reads: Edition,
    pub(super) census: Arc<Census>,
    pub(super) speakers: Speakers,
    pub(super) confirmations: Confirmations,
    pub(super) stewardship: Stewardship,
    pub(super) succession: Succession,
    pub(super) hearing: Arc<Hearing>,
    pub(super) key: IdentitySecret,
    pub(super) testimony: Arc<Testimony>,
    pub(super) sync: Mutex<Sync>,
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) nudges: ordered::Sender<u64>,
    /// What this host is to take back of what it promised.
    pub(super) withdrawal: ordered::Sender<Option<Withdrawal>>,
    /// How many members are between this one and agreement, while it follows one.
    pub(super) depth: AtomicU8,
    pub(super) born: Instant,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) views: ordered::Receiver<Arc<ClusterView>>,
    pub(super) failure: ordered::Receiver<Option<GroupFailure>>,
}

impl Group {
    /// Starts agreement on `store`, for the member whose identity is `key`. A founder's first start founds the group; a sole voter leads at once.
    ///
    /// Needs a tokio runtime with its timer on.
    pub async fn start(
        mut store: Store,
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
            refusals: Arc::default(),
            reads: store.reads,
            census: Arc::default(),
            hearing: Arc::default(),
            history: Arc::new(Mutex::new(store.take_history())),
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

    /// Who votes: one set, or two while one is being exchanged for another; then nothing is agreed without a majority of each.
    pub fn electorate(&self) -> Vec<BTreeSet<MemberId>> {
        let metrics = self.inner().raft.server_metrics();
        sets_of_voters(metrics.borrow_watched().membership_config.membership())
    }

    /// The leaderships and the changes of voters that this host saw, oldest first, and how many more it saw before those.
    pub fn history(&self) -> (Vec<Transition>, u64) {
        self.inner().history().tell()
    }

    /// How many of them there were: whether there is something new to keep.
    pub fn history_count(&self) -> u64 {
        self.inner().history().count()
    }

    /// The same as [`Store::recall`] takes it at the next start.
    pub fn history_to_keep(&self) -> Vec<u8> {
        self.inner().history().keep(self.place.lasting.root.mesh)
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

pub(super) fn leadership(raft: &Raft) -> Leadership {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let leader = leader_by(&metrics.vote, metrics.current_leader);
    Leadership { role: metrics.state.into(), term: metrics.vote.leader_id.term, leader }
}

/// `leader`, if it leads in the term of `vote`: Raft tells the vote that is on disk, and a new leader as soon as it hears of one.
fn leader_by(vote: &Vote, leader: Option<u64>) -> Option<MemberId> {
    leader.filter(|leader| *leader == vote.leader_id.voted_for).map(MemberId)
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{GUEST, leads};
    use super::*;

    /// The vote of a host whose disk has failed stays where it was; whoever it hears of then does not lead in that term.
    #[test]
    fn a_leader_is_told_with_the_term_in_which_it_leads_or_not_at_all() {
        let leader = |leader: Option<MemberId>| leader_by(&leads(GUEST, 1), leader.map(|id| id.0));
        assert_eq!(leader(Some(GUEST)), Some(GUEST));
        assert_eq!(leader(Some(MemberId::FOUNDER)), None);
        assert_eq!(leader(None), None);
    }
}
