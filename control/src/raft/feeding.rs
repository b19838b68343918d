//! Handing what was pulled and proven to Raft, as the leader would that the voters followed.

use std::time::Duration;

use mesh_model::wire::sync::Lead;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::type_config::TypeConfigExt as _;

use super::draft::{Base, Proven};
use super::group::Inner;
use super::rpc::{MAX_APPEND, RpcError};
use super::types::{Entry, LogId, Types, Vote};

/// How long Raft may take to apply what it was given.
const APPLY_LIMIT: Duration = Duration::from_secs(10);

/// Why Raft was not given, or did not take, what was proven.
pub(super) enum NotTaken {
    /// It follows a later leader, or waits for the votes of an election.
    Later,
    Snapshot(RpcError),
    Ended,
}

impl Inner {
    /// Gives Raft what is proven of a draft that follows `own`, as its leader would, and waits until it is applied.
    pub(super) async fn feed(
        &self,
        base: Option<Base>,
        entries: &[Entry],
        own: Option<LogId>,
        proven: Proven,
    ) -> Result<(), NotTaken> {
        let Proven { upto, lead } = proven;
        let vote = self.vote_of(lead).ok_or(NotTaken::Later)?;
        let mut prev = own;
        if let Some(Base { bytes, replica }) = base {
            let snapshot = self.check_snapshot(&vote, bytes).map_err(NotTaken::Snapshot)?;
            let answer = self.raft.install_full_snapshot(vote, snapshot).await;
            if answer.map_err(|_| NotTaken::Ended)?.vote != vote {
                return Err(NotTaken::Later);
            }
            prev = replica.applied;
        }
        let proven = entries.iter().filter(|entry| entry.log_id.index <= upto);
        let proven: Vec<Entry> = proven.cloned().collect();
        for entries in proven.chunks(MAX_APPEND) {
            let last = entries.last().map(|entry| entry.log_id);
            let append = AppendEntriesRequest {
                vote,
                prev_log_id: prev,
                entries: entries.to_vec(),
                leader_commit: last,
            };
            match self.raft.append_entries(append).await.map_err(|_| NotTaken::Ended)? {
                AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) => {}
                AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => {
                    return Err(NotTaken::Later);
                }
            }
            prev = last;
        }
        let mut views = self.views.clone();
        let applied = views.wait_until(|view| view.applied >= upto);
        match Types::timeout(APPLY_LIMIT, applied).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(NotTaken::Ended),
        }
    }

    /// Has Raft follow whom the voters followed when they signed what this host holds. One that just came in has heard of no
    /// leader, and would hear of none before the next entry.
    pub(super) async fn adopt_lead(&self) {
        let (applied, electorate) = {
            let replica = self.replica.lock();
            (replica.applied, replica.electorate())
        };
        let Some(applied) = applied else { return };
        let signed = self.testimony.words().lead(applied.index, &electorate);
        let own = self.raft.server_metrics().borrow_watched().vote;
        let Some(vote) = signed.and_then(|lead| self.vote_of(lead)) else { return };
        if vote > own {
            let prev_log_id = Some(applied);
            let append = AppendEntriesRequest {
                vote,
                prev_log_id,
                entries: Vec::new(),
                leader_commit: prev_log_id,
            };
            if self.raft.append_entries(append).await.is_err() {
                tracing::debug!("agreement has ended");
            }
        }
    }

    /// The vote under which this host's Raft takes what those that follow `lead` agreed on.
    fn vote_of(&self, lead: Lead) -> Option<Vote> {
        let own = self.raft.server_metrics().borrow_watched().vote;
        let vote = Vote::new_committed(lead.term, lead.leader.0);
        if own.committed && own.leader_id.term >= lead.term {
            // It heard of a later leader, whose log has all that was agreed before.
            return (own.leader_id.voted_for != self.me.0).then_some(own);
        }
        (lead.leader != self.me && vote >= own).then_some(vote)
    }
}
