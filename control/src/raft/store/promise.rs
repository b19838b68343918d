//! A vote for a candidate of whom it is not known that it won: as long as it stands, this host takes nothing from leaders of earlier
//! terms.
//!
//! One that counts in no election gives way to the vote for the leader there is. Whether it counts in none is found out
//! [elsewhere](crate::raft::withdrawal); nobody else may change what a host has promised.

use std::fmt;

use mesh_model::wire::sync::Lead;
use redb::Durability;

use super::db::META;
use super::log::{LogStore, VOTE};
use super::{Store, StoreError};
use crate::raft::types::Vote;

/// See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise(Vote);

impl Promise {
    /// What `vote` promises; `None` if it is for one that is known to lead.
    pub(crate) fn new(vote: &Vote) -> Option<Self> {
        (!vote.committed).then_some(Self(*vote))
    }

    /// Whether it is of a later term than that of `lead`.
    pub(crate) fn is_beyond(&self, lead: Lead) -> bool {
        self.0.leader_id.term > lead.term
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl LogStore {
    /// What stands in the way of following `lead`, and can give way to it: the log is of its term or before.
    pub(crate) fn promise_beyond(&self, lead: Lead) -> Result<Option<Promise>, StoreError> {
        let (_, last) = self.bounds()?;
        if last.is_some_and(|last| last.leader_id.term > lead.term) {
            return Ok(None);
        }
        let promise = self.vote()?.and_then(|vote| Promise::new(&vote));
        Ok(promise.filter(|promise| promise.is_beyond(lead)))
    }
}

impl Store {
    /// Puts the vote of `lead`'s election in place of `promise`; whether that was what this host has promised last. The log stays as
    /// it is.
    pub(crate) fn withdraw(&mut self, promise: Promise, lead: Lead) -> Result<bool, StoreError> {
        let stands = self.log.promise_beyond(lead)? == Some(promise);
        // Raft takes what it finds when it starts for flushed: what is in memory only is written here too.
        self.log.db.write_now(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            if stands {
                VOTE.write(&mut meta, &Vote::new_committed(lead.term, lead.leader.0).into())?;
            }
            Ok(())
        })?;
        Ok(stands)
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;
    use openraft::storage::RaftLogStorage as _;
    use openraft::type_config::TypeConfigExt as _;

    use super::*;
    use crate::raft::MemoryDisk;
    use crate::raft::fixture::guest_store;
    use crate::raft::types::Types;

    const LEAD: Lead = Lead { term: 6, leader: MemberId(5) };

    /// A store whose log is of term 1 and that has promised `vote`.
    fn bound(vote: Vote) -> Store {
        let mut store = guest_store(MemoryDisk::new());
        Types::run(store.log.save_vote(&vote)).expect("saved");
        store
    }

    fn vote_of(store: &Store) -> Option<Vote> {
        store.log.vote().expect("the disk is there")
    }

    #[test]
    fn a_promise_to_a_candidate_of_a_later_term_gives_way() {
        let mut store = bound(Vote::new(7, 3));
        let promise = store.log.promise_beyond(LEAD).expect("the disk is there").expect("bound");
        assert_eq!(store.withdraw(promise, LEAD), Ok(true));
        assert_eq!(vote_of(&store), Some(Vote::new_committed(6, 5)));
    }

    #[test]
    fn what_is_of_no_later_term_or_kept_or_of_a_later_log_stays() {
        for stays in [Vote::new(6, 3), Vote::new(5, 3), Vote::new_committed(7, 4)] {
            assert_eq!(bound(stays).log.promise_beyond(LEAD), Ok(None));
        }
        let before = Lead { term: 0, ..LEAD };
        assert_eq!(bound(Vote::new(7, 3)).log.promise_beyond(before), Ok(None));
    }

    #[test]
    fn what_was_promised_since_stays() {
        let mut store = bound(Vote::new(8, 3));
        let earlier = Promise::new(&Vote::new(7, 3)).expect("not elected");
        assert_eq!(store.withdraw(earlier, LEAD), Ok(false));
        assert_eq!(vote_of(&store), Some(Vote::new(8, 3)));
    }
}
