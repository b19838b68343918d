//! A candidate that lost its vote while it campaigned takes its candidacy back.
//!
//! ```text
//!  leader, term 6 ──append──> candidate of term 7      "an earlier term": it takes nothing from the leader
//!                 <──term 7──                          "no voter's word": the leader takes nothing from it
//! ```
//!
//! Behind a bad line a voter campaigns in vain while the others give its vote to somebody else. By the log of the others it is no
//! voter, so nobody elects it, and nobody believes it a later term either: else any member could end any term. By
//! its own log it votes, and what it promised in its later term keeps it from hearing otherwise. Raft would stay like that until the
//! others' terms have caught up.
//!
//! [Sync](super::following) can tell it, because what it brings is proven. If that ends in a state in which this host has no vote, and the
//! leader says so as well, Raft is started anew here with that leader's vote in place of its own candidacy. Its log stays.
//!
//! **Why that is safe.** A vote counts in an election by a set of voters that has this host in it. That it is in none was agreed in
//! the leader's term or before, so whoever is elected in a later one knows it, and needs no vote of this host; a candidate that does not
//! know lacks an agreed entry, and is elected by nobody. So the forgotten vote was given in no election that can have been won by
//! it. And it is given another vote only after it has what is agreed, by a leader that it follows.

use mesh_model::wire::sync::Lead;
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};

use super::group::Inner;
use super::place::Place;
use super::rpc::{Reply, Request};
use super::speaker::VOUCH_LIMIT;
use super::status::GroupFailure;
use super::types::Vote;

impl Inner {
    /// Whether this host is bound to a candidate of a later term than that of `lead`.
    pub(super) fn is_bound_beyond(&self, lead: Lead) -> bool {
        is_later_candidacy(&self.raft.server_metrics().borrow_watched().vote, lead)
    }

    /// Has that taken back, for it is proven that this host had no vote when others followed `lead`. The leader is asked because it
    /// may have given the vote back since.
    pub(super) async fn withdraw_unless_contradicted(&self, lead: Lead) {
        let says = self.peers.ask(lead.leader, Request::IsVoter(self.me), VOUCH_LIMIT).await;
        if matches!(says, Ok(Reply::IsVoter(false))) {
            self.withdrawal.send_if_modified(|wanted| wanted.replace(lead) != Some(lead));
        }
    }
}

impl Place {
    /// Starts agreement anew, as one that follows `lead` and campaigns no more. After an error it has ended.
    pub(super) async fn withdraw(&self, lead: Lead) -> Result<(), GroupFailure> {
        if self.start_anew(|store| store.withdraw(lead)).await? {
            tracing::warn!(
                leader = %lead.leader, term = lead.term,
                "this host lost its vote while it campaigned in a later term: it takes its candidacy back"
            );
        }
        Ok(())
    }
}

/// Whether `vote` was given in a later term than that of `lead` to one of whom it is not known that it won.
pub(super) fn is_later_candidacy(vote: &Vote, lead: Lead) -> bool {
    !vote.committed && vote.leader_id.term > lead.term
}
