//! A vote that counts in no election gives way to that of the leader there is. Whether it counts in none is found out
//! [elsewhere](crate::raft::withdrawal); nobody else may change what a host has promised.

use mesh_model::wire::sync::Lead;
use redb::Durability;

use super::db::META;
use super::log::VOTE;
use super::{Store, StoreError};
use crate::raft::types::Vote;
use crate::raft::withdrawal::is_later_candidacy;

impl Store {
    /// Puts the vote of `lead`'s election in place of one that was given to a candidate of a later term; whether there was one. The log
    /// stays as it is, and must be of that term or before.
    pub(crate) fn withdraw(&mut self, lead: Lead) -> Result<bool, StoreError> {
        let (_, last) = self.log.bounds()?;
        let is_bound = self.log.vote()?.is_some_and(|vote| is_later_candidacy(&vote, lead));
        if !is_bound || last.is_some_and(|last| last.leader_id.term > lead.term) {
            return Ok(false);
        }
        let vote = Vote::new_committed(lead.term, lead.leader.0);
        self.log.db.write_now(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            VOTE.write(&mut meta, &vote.into())
        })?;
        Ok(true)
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

    /// What is left of `vote` when a store that has promised it is told of [`LEAD`].
    fn left_of(vote: Vote, lead: Lead) -> Vote {
        let mut store = guest_store(MemoryDisk::new());
        Types::run(store.log.save_vote(&vote)).expect("saved");
        let is_withdrawn = store.withdraw(lead).expect("the disk is there");
        let left = store.log.vote().expect("the disk is there").expect("it was saved");
        assert_eq!(is_withdrawn, left != vote);
        left
    }

    #[test]
    fn only_a_vote_for_a_candidate_of_a_later_term_gives_way() {
        assert_eq!(left_of(Vote::new(7, 3), LEAD), Vote::new_committed(6, 5));
        for stays in [Vote::new(6, 3), Vote::new(5, 3), Vote::new_committed(7, 4)] {
            assert_eq!(left_of(stays, LEAD), stays);
        }
        // The log is of term 1.
        let before = Lead { term: 0, ..LEAD };
        assert_eq!(left_of(Vote::new(7, 3), before), Vote::new(7, 3));
    }
}
