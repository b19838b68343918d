//! Takes this host over into a later epoch, and says when agreement on it has ended.
//!
//! ```text
//! another epoch is heard of ──Passage?──> whoever named it
//!     └─ it holds, and is for this host to go ──> Raft ends ──> store goes over ──> Raft starts, as a learner
//! ```
//!
//! Tunnels, gossip and the local API go on meanwhile; the agreed view changes once, from the last of the old epoch to the first
//! of the new one. Nothing of the old log comes along ([`store`](super::store)).

use std::sync::Arc;
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::EpochId;
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::async_runtime::{AsyncRuntime as _, Select2};

use super::group::Inner;
use super::lookout::Obstacle;
use super::passage::Passage;
use super::place::Place;
use super::rpc::{Reply, Request};
use super::runtime::Runtime;
use super::status::GroupFailure;
use super::watch as ordered;
use crate::state::CrossingError;

/// How long a passage may be on its way: as long as a snapshot.
const PASSAGE_LIMIT: Duration = Duration::from_secs(10);

/// The pause after one that led nowhere, whoever named it.
const PAUSE: Duration = Duration::from_millis(500);

/// The task; see the [module](self).
pub(super) struct Ferry {
    place: Arc<Place>,
    sightings: ordered::Receiver<Option<(MemberId, EpochId)>>,
}

impl Ferry {
    pub(super) fn new(place: Arc<Place>) -> Self {
        let sightings = place.lasting.lookout.sightings();
        Self { place, sightings }
    }

    /// Until agreement on this host ends.
    pub(super) async fn run(mut self) {
        loop {
            let inner = self.place.inner();
            let mut withdrawals = inner.withdrawal.subscribe();
            let wanted = withdrawals.wait_until(Option::is_some);
            let woken = Runtime::select2(self.sightings.changed(), wanted);
            match Box::pin(inner.unless_ended(woken)).await {
                // The herald says why before it goes.
                None => return self.place.end(inner.see_ended().await),
                Some(Select2::Second(Ok(Some(withdrawal)))) => {
                    if let Err(failure) = Box::pin(self.place.withdraw(withdrawal)).await {
                        return self.place.end(failure);
                    }
                    continue;
                }
                Some(_) => {}
            }
            let sighted = *self.sightings.borrow_watched();
            let Some((from, epoch)) = sighted else { continue };
            if self.place.lasting.lookout.is_judged(epoch) {
                continue;
            }
            let looked = self.look_into(&inner, from, epoch);
            match Box::pin(inner.unless_ended(looked)).await {
                Some(Some(passage)) => {
                    if let Err(failure) = Box::pin(self.place.go_over(&passage)).await {
                        return self.place.end(failure);
                    }
                }
                Some(None) => {
                    let pause = Runtime::sleep(PAUSE);
                    Box::pin(inner.unless_ended(pause)).await;
                }
                None => {}
            }
        }
    }

    /// The way into the epoch that `from` is in, if this host is to go it.
    async fn look_into(&self, inner: &Inner, from: MemberId, named: EpochId) -> Option<Passage> {
        let (passage, voted) = self.ask(inner, from, named).await?;
        let (epoch, me) = (passage.replica().state.epoch(), inner.me);
        let checked = {
            let replica = inner.replica.lock();
            replica.state.check_crossing(&passage.replica().state, me)
        };
        match checked {
            Ok(()) if voted => self.refuse(epoch, from, CrossingError::HasVoted(me)),
            Ok(()) => return Some(passage),
            Err(CrossingError::NotLater(_)) => {}
            Err(why) => self.refuse(epoch, from, why),
        }
        None
    }

    /// The way that `from` shows, which holds in itself, and whether this host has voted there.
    async fn ask(&self, inner: &Inner, from: MemberId, named: EpochId) -> Option<(Passage, bool)> {
        let lookout = &self.place.lasting.lookout;
        let told = match inner.peers.ask(from, Request::Passage, PASSAGE_LIMIT).await {
            Ok(Reply::Passage(Some(told))) => told,
            reply => {
                tracing::debug!(%from, epoch = %named, "it shows no way into its epoch");
                lookout.asked_in_vain(from, matches!(reply, Ok(Reply::Passage(None))));
                return None;
            }
        };
        match Passage::open(told.passage, &inner.view().root) {
            Ok(passage) => Some((passage, told.voted)),
            Err(error) => {
                tracing::warn!(%from, epoch = %named, %error, "a made-up epoch");
                lookout.asked_in_vain(from, false);
                None
            }
        }
    }

    fn refuse(&self, epoch: EpochId, named_by: MemberId, why: CrossingError) {
        let obstacle = Obstacle { epoch, named_by, why: why.clone() };
        if !self.place.lasting.lookout.judge(obstacle) {
            return;
        }
        match why {
            CrossingError::Rival { .. } => tracing::error!(
                from = %named_by, %why,
                "two parts of the mesh were recovered by themselves, and only people can say which one goes on"
            ),
            _ => tracing::warn!(from = %named_by, %epoch, %why, "this host does not go over"),
        }
    }
}

impl Inner {
    /// Why agreement in this epoch has ended, once the herald has said so.
    pub(super) async fn see_ended(&self) -> GroupFailure {
        let mut failure = self.failure.clone();
        let told = failure.wait_until(Option::is_some).await.unwrap_or_default();
        told.unwrap_or(GroupFailure::Shutdown)
    }
}

#[cfg(test)]
mod tests;
