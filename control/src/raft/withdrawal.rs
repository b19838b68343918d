//! A candidate that lost its vote while it campaigned takes back what it promised.
//!
//! ```text
//!  leader, term 6 ──append──> candidate of term 7      "an earlier term": it takes nothing from the leader
//!                 <──term 7──                          "no voter's word": the leader takes nothing from it
//! ```
//!
//! Behind a bad line a voter campaigns in vain while the others give its vote to somebody else. By the log of the others it is no
//! voter, so nobody elects it, and nobody believes it a later term either: else any member could end any term. By
//! its own log it votes, and what it promised in its later term, to itself or to another candidate, keeps it from hearing otherwise. Raft
//! would stay like that until the others' terms have caught up.
//!
//! ```text
//! sync brings a state, proven, in which it has no vote
//!   ──ReadIndex──> its leader: a majority confirms it now ──IsVoter──> "no" ──> Raft ends ──> the store takes the leader's vote ──> Raft starts
//! ```
//!
//! **Why that is safe.** A majority confirms the leader after this host has promised, so nobody was elected in a later term before. A
//! candidate that needs this host's vote afterwards goes either by the voters of old, and lacks the agreed entry by which this host lost
//! its vote: nobody elects it. Or it goes by voters that are to come, and this host has no vote among them, as it took nothing from any
//! leader. The proof alone does not do: it may be as old as its source, and a leader that was deposed says "no" as well. The log
//! stays as it is: it keeps this host from helping a candidate that lacks what is agreed.

use std::sync::Arc;

use mesh_model::wire::sync::Lead;
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};

use super::group::Inner;
use super::place::Place;
use super::rpc::{Reply, Request};
use super::speaker::VOUCH_LIMIT;
use super::status::GroupFailure;
use super::store::{LogStore, Promise};

/// A promise that is to give way to the vote of `lead`'s election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Withdrawal {
    lead: Lead,
    promise: Promise,
}

impl Inner {
    /// Whether this host is bound to a candidate of a later term than that of `lead`.
    pub(super) fn is_bound_beyond(&self, lead: Lead) -> bool {
        let vote = self.raft.server_metrics().borrow_watched().vote;
        Promise::new(&vote).is_some_and(|promise| promise.is_beyond(lead))
    }

    /// Has that taken back, if the leader confirms it: by what is proven this host had no vote when others followed `lead`.
    pub(super) async fn withdraw_if_confirmed(&self, lead: Lead) {
        // What the disk says: a restart goes by it.
        let promise = match LogStore::new(Arc::clone(&self.db)).promise_beyond(lead) {
            Ok(Some(promise)) if lead.leader != self.me => promise,
            Ok(_) => return,
            Err(error) => return tracing::error!(%error, "the log cannot be read"),
        };
        if self.ask_read_index(lead.leader).await.is_none() {
            return;
        }
        let says = self.peers.ask(lead.leader, Request::IsVoter(self.me), VOUCH_LIMIT).await;
        if matches!(says, Ok(Reply::IsVoter(false))) {
            let withdrawal = Withdrawal { lead, promise };
            self.withdrawal
                .send_if_modified(|wanted| wanted.replace(withdrawal) != Some(withdrawal));
        }
    }
}

impl Place {
    /// Starts agreement anew, without the promise of `withdrawal`. After an error it has ended.
    pub(super) async fn withdraw(&self, withdrawal: Withdrawal) -> Result<(), GroupFailure> {
        let Withdrawal { lead, promise } = withdrawal;
        if self.start_anew(|store| store.withdraw(promise, lead)).await? {
            tracing::warn!(
                leader = %lead.leader, term = lead.term, was = %promise,
                "this host lost its vote and was bound to a candidate of a later term: it takes back what it promised"
            );
        }
        Ok(())
    }
}
