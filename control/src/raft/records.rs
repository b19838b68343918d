//! Raft's own data as we write it down: on disk, in snapshots and between members.
//!
//! openraft's types change with its releases; what has been written must still be read. So log
//! entries, votes and memberships have shapes of their own here, under the rules of
//! [`mesh_model::codec`], and are converted at the door.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::Edition;
use mesh_model::codec::{CodecError, Message};
use serde::{Deserialize, Serialize};

use super::types::{
    CommittedLeaderId, Entry, LeaderId, LogId, Membership, Payload, StoredMembership, Vote,
};
use crate::command::{NEWEST, Proposal};

/// The most an entry may occupy, in bytes. The largest is a membership of 10,000 nodes, each id 9
/// bytes at worst: 90 kB.
pub(crate) const ENTRY_LIMIT: usize = 128 << 10;

/// The most ids in a membership, a voter of two sets counted three times: as many as fit an entry at 9
/// bytes each, with room for what is around them.
const MAX_IDS: usize = (ENTRY_LIMIT - 64) / 9;

/// One set of voters, or two while one is being exchanged for the other.
const MAX_CONFIGS: usize = 2;

/// The last index that is read, so that whoever goes on by one has somewhere to go. A log of a million entries a second gets there in
/// 290,000 years.
pub(crate) const LAST_INDEX: u64 = u64::MAX >> 1;

/// A place in the log and the term of the leader that put the entry there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)")]
pub(crate) struct LogIdRecord {
    term: u64,
    index: u64,
}

mesh_model::message!(LogIdRecord, "log id", version 1, limit 32);

impl TryFrom<(u64, u64)> for LogIdRecord {
    type Error = &'static str;

    fn try_from((term, index): (u64, u64)) -> Result<Self, Self::Error> {
        match index <= LAST_INDEX {
            true => Ok(Self { term, index }),
            false => Err("an index that no log gets to"),
        }
    }
}

impl From<LogId> for LogIdRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }
}

impl From<LogIdRecord> for LogId {
    fn from(id: LogIdRecord) -> Self {
        Self { leader_id: CommittedLeaderId::new(id.term), index: id.index }
    }
}

/// Whom a member voted for in a term, and whether that candidate won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoteRecord {
    term: u64,
    node: u64,
    committed: bool,
}

mesh_model::message!(VoteRecord, "vote", version 1, limit 32);

impl VoteRecord {
    pub(crate) fn term(&self) -> u64 {
        self.term
    }
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            node: vote.leader_id.voted_for,
            committed: vote.committed,
        }
    }
}

impl From<VoteRecord> for Vote {
    fn from(vote: VoteRecord) -> Self {
        Self {
            leader_id: LeaderId { term: vote.term, voted_for: vote.node },
            committed: vote.committed,
        }
    }
}

/// Who votes (two sets while one is being exchanged for another) and who follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeSet<u64>,
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, ())| *id).collect(),
        }
    }
}

impl TryFrom<MembershipRecord> for Membership {
    type Error = CodecError;

    fn try_from(record: MembershipRecord) -> Result<Self, CodecError> {
        let ids = record.configs.iter().map(BTreeSet::len).sum::<usize>() + record.nodes.len();
        if record.configs.len() > MAX_CONFIGS || ids > MAX_IDS {
            return Err(CodecError::Malformed {
                name: "membership",
                reason: format!("{ids} ids in {} sets of voters", record.configs.len()),
            });
        }
        let nodes: BTreeMap<u64, ()> = record.nodes.into_iter().map(|id| (id, ())).collect();
        Self::new(record.configs, nodes).map_err(|error| CodecError::Malformed {
            name: "membership",
            reason: error.to_string(),
        })
    }
}

/// A membership and the entry that made it so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMembershipRecord {
    by: Option<LogIdRecord>,
    membership: MembershipRecord,
}

// Written as a whole only to be hashed.
mesh_model::message!(StoredMembershipRecord, "stored membership", version 1, limit ENTRY_LIMIT + 32);

impl From<&StoredMembership> for StoredMembershipRecord {
    fn from(stored: &StoredMembership) -> Self {
        Self { by: stored.log_id().map(Into::into), membership: stored.membership().into() }
    }
}

impl TryFrom<StoredMembershipRecord> for StoredMembership {
    type Error = CodecError;

    fn try_from(record: StoredMembershipRecord) -> Result<Self, CodecError> {
        Ok(Self::new(record.by.map(Into::into), record.membership.try_into()?))
    }
}

/// What an entry carries. New kinds go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum PayloadRecord {
    Blank,
    Proposal(Proposal),
    Membership(MembershipRecord),
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    id: LogIdRecord,
    payload: PayloadRecord,
}

impl Message for EntryRecord {
    const NAME: &'static str = "log entry";
    const VERSION: u8 = NEWEST.0;
    const OLDEST: u8 = Edition::FIRST.0;
    const LIMIT: usize = ENTRY_LIMIT;

    fn version(&self) -> u8 {
        self.edition().0
    }
}

impl EntryRecord {
    /// The edition it takes to read it.
    pub(crate) fn edition(&self) -> Edition {
        match &self.payload {
            PayloadRecord::Blank | PayloadRecord::Membership(_) => Edition::FIRST,
            PayloadRecord::Proposal(proposal) => proposal.command.edition(),
        }
    }

    pub(crate) fn index(&self) -> u64 {
        self.id.index
    }

    pub(crate) fn id(&self) -> LogId {
        self.id.into()
    }

    /// The entry, if its membership is one.
    pub(crate) fn open(self) -> Result<Entry, CodecError> {
        let payload = match self.payload {
            PayloadRecord::Blank => Payload::Blank,
            PayloadRecord::Proposal(proposal) => Payload::Normal(proposal),
            PayloadRecord::Membership(membership) => Payload::Membership(membership.try_into()?),
        };
        Ok(Entry { log_id: self.id.into(), payload })
    }
}

impl From<Entry> for EntryRecord {
    fn from(entry: Entry) -> Self {
        let payload = match entry.payload {
            Payload::Blank => PayloadRecord::Blank,
            Payload::Normal(proposal) => PayloadRecord::Proposal(proposal),
            Payload::Membership(membership) => PayloadRecord::Membership((&membership).into()),
        };
        Self { id: entry.log_id.into(), payload }
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::codec;

    use super::*;

    #[test]
    fn what_is_written_keeps_its_bytes() {
        let id = LogIdRecord { term: 3, index: 300 };
        assert_eq!(codec::encode(&id), [1, 3, 251, 44, 1]);
        let vote = VoteRecord { term: 3, node: 7, committed: true };
        assert_eq!(codec::encode(&vote), [1, 3, 7, 1]);
        let membership =
            MembershipRecord { configs: vec![[1, 2].into(), [1].into()], nodes: [1, 2, 9].into() };
        let entry = EntryRecord { id, payload: PayloadRecord::Membership(membership) };
        assert_eq!(codec::encode(&entry), [1, 3, 251, 44, 1, 2, 2, 2, 1, 2, 1, 1, 3, 1, 2, 9]);
        let blank = EntryRecord { id, payload: PayloadRecord::Blank };
        assert_eq!(codec::encode(&blank), [1, 3, 251, 44, 1, 0]);
    }

    #[test]
    fn a_membership_whose_voters_are_no_nodes_is_refused() {
        let record = MembershipRecord { configs: vec![[1, 2].into()], nodes: [1].into() };
        assert!(Membership::try_from(record).is_err());
        let record = MembershipRecord { configs: vec![[].into()], nodes: [1].into() };
        assert!(Membership::try_from(record).is_err());
    }

    #[test]
    fn a_membership_that_is_accepted_fits_an_entry() {
        let most = MembershipRecord {
            configs: vec![[u64::MAX].into(), [u64::MAX].into()],
            nodes: (0..MAX_IDS as u64 - 2).map(|below| u64::MAX - below).collect(),
        };
        assert!(Membership::try_from(most.clone()).is_ok());
        let id = LogIdRecord { term: u64::MAX, index: u64::MAX };
        let payload = PayloadRecord::Membership(most.clone());
        assert!(codec::encode(&EntryRecord { id, payload }).len() <= ENTRY_LIMIT);

        let mut more = most.clone();
        more.nodes.insert(1);
        assert!(Membership::try_from(more).is_err());
        let sets = MembershipRecord { configs: vec![[u64::MAX].into(); 3], ..most };
        assert!(Membership::try_from(sets).is_err());
    }

    #[test]
    fn an_index_that_nothing_can_follow_is_refused() {
        let read = |index| codec::decode(&codec::encode(&LogIdRecord { term: 3, index }));
        let last = LogIdRecord { term: 3, index: LAST_INDEX };
        assert_eq!(read(LAST_INDEX), Ok(last));
        for index in [LAST_INDEX + 1, u64::MAX] {
            let refused = read(index);
            assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{refused:?}");
        }
    }

    #[test]
    fn entries_come_back_as_they_went() {
        let membership = Membership::new_with_defaults(vec![[1, 4].into()], [5]);
        let entry = Entry {
            log_id: LogId { leader_id: CommittedLeaderId::new(2), index: 8 },
            payload: Payload::Membership(membership),
        };
        let bytes = codec::encode(&EntryRecord::from(entry.clone()));
        let back: EntryRecord = codec::decode(&bytes).expect("our own bytes");
        assert_eq!(back.open().expect("well formed"), entry);
    }
}
