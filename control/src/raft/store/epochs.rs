//! A store goes over into the next epoch; what it held is set aside.
//!
//! ```text
//! log, meta ──renamed──> log set aside, meta set aside       kept for people; nothing reads them again
//!                        log, meta                           empty, and the snapshot that the passage leads to
//! ```
//!
//! One transaction: a crash leaves the old store or the new one. The log before the epoch is never merged with anything, also
//! where the epoch has the same entries: which those are needs no finding out when all start from the same snapshot. What
//! was set aside before makes room.
//!
//! The vote is for the one that the admins named. Whoever comes this way has promised nothing in the new epoch, and takes
//! back nothing either: what it promised in the old one counts in none that is to come.

use std::sync::Arc;

use mesh_model::trust::{Epoch, EpochId, Reason};
use mesh_model::view::ClusterView;
use mesh_model::{Cosigned, LogIndex, MemberId, Term};
use redb::{Durability, TableDefinition};
use serde::{Deserialize, Serialize};

use super::db::{Db, LOG, META};
use super::error::StoreError;
use super::log::{COMMITTED, PURGED, VOTE};
use super::row::Row;
use super::{IDENTITY, Identity, SNAPSHOT, Store, Stored};
use crate::raft::passage::{Passage, PassageError};
use crate::raft::replica::Replica;
use crate::state::Admins;

/// What the log is called once it was set aside.
const LOG_ASIDE: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log set aside");

/// The same of everything that existed once.
const META_ASIDE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta set aside");

const PASSAGE: Row<Stored> = Row::new("passage");
const ASIDE: Row<Aside> = Row::new("aside");

/// What a store held when its host went over to another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The epoch it was in.
    pub epoch: EpochId,
    /// How far it had applied the log.
    pub applied: LogIndex,
    /// Its last entry, agreed or not.
    pub last: LogIndex,
    /// Whether the new epoch has all of it.
    pub contained: bool,
}

mesh_model::message!(Aside, "store set aside", version 1, limit 128);

/// What a host that survived its majority can go on from: all of its log, agreed or not. Each entry of it may have been
/// agreed by those who are gone, and acknowledged to somebody.
#[derive(Debug, Clone)]
pub struct Survey {
    me: MemberId,
    agreed: LogIndex,
    voters: Vec<MemberId>,
    whole: Replica,
}

/// Why a host does not go on alone. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Another member is named.
    #[error("it names {named} as the one to go on from, this host is {me}")]
    OtherMember {
        /// Whom the statement names.
        named: MemberId,
        /// This host.
        me: MemberId,
    },
    /// The statement does not begin an epoch here.
    #[error(transparent)]
    Passage(#[from] PassageError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Survey {
    /// The last entry that this host knows to be agreed.
    pub fn agreed(&self) -> LogIndex {
        self.agreed
    }

    /// The last entry it has, and the term of the leader that it is from. Of two hosts the one with the later term has
    /// more, of two with the same the one with the higher index.
    pub fn last(&self) -> (Term, LogIndex) {
        (self.whole.applied.map_or(0, |id| id.leader_id.term), self.whole.index())
    }

    /// Who votes, by the last entry that says so.
    pub fn voters(&self) -> &[MemberId] {
        &self.voters
    }

    /// The mesh as it goes on.
    pub fn view(&self) -> Arc<ClusterView> {
        self.whole.view()
    }

    /// The epoch that would end.
    pub fn epoch(&self) -> EpochId {
        self.whole.state.epoch()
    }

    /// Those who can begin another.
    pub fn admins(&self) -> &Admins {
        self.whole.state.admins()
    }

    /// When the last decision was made, in milliseconds since the Unix epoch; `None` before the first.
    pub fn last_decision_ms(&self) -> Option<u64> {
        self.whole.state.audit().iter().next_back().map(|entry| entry.at_ms)
    }

    /// The statement to be signed so that the mesh goes on from here.
    pub fn statement(&self, at_ms: u64, reason: Option<Reason>) -> Epoch {
        self.whole.state.next_epoch(self.whole.index(), self.me, at_ms, reason)
    }
}

impl Store {
    /// The epoch it is in.
    pub fn epoch(&self) -> EpochId {
        self.replica.state.epoch()
    }

    /// What the mesh would go on from, if it went on from here.
    pub fn survey(&self) -> Result<Survey, StoreError> {
        let (agreed, mut whole) = (self.replica.index(), self.replica.clone());
        let first = self.replica.applied.map_or(0, |applied| applied.index + 1);
        let entries = self.log.entries(first..)?;
        if entries.first().is_some_and(|entry| entry.log_id.index != first) {
            return Err(StoreError::Corrupt(format!("log entry {first} is missing")));
        }
        for entry in &entries {
            whole.apply(entry);
        }
        let voters = whole.membership.membership().voter_ids().map(MemberId).collect();
        Ok(Survey { me: self.me(), agreed, voters, whole })
    }

    /// Begins the epoch of `begun` on this host alone, which leads when it starts.
    pub fn begin_epoch(&mut self, begun: &Cosigned<Epoch>) -> Result<Epoch, RecoverError> {
        let Survey { me, whole, .. } = self.survey()?;
        let passage = Passage::new(&whole.state, whole.index(), begun)?;
        let epoch = passage.epoch().clone();
        if epoch.voter != me {
            return Err(RecoverError::OtherMember { named: epoch.voter, me });
        }
        self.go_over(&passage)?;
        Ok(epoch)
    }

    /// Goes through `passage`, and sets aside what is here.
    pub(crate) fn go_over(&mut self, passage: &Passage) -> Result<Aside, StoreError> {
        let Survey { agreed, whole, .. } = self.survey()?;
        let aside = Aside {
            epoch: whole.state.epoch(),
            applied: agreed,
            last: whole.index(),
            contained: passage.before().continues(&whole.state),
        };
        self.log.db.go_over(&self.identity, passage, aside)?;
        self.replica = passage.replica().clone();
        Ok(aside)
    }
}

impl Db {
    /// Has the store of `identity` begin where `passage` leads, and renames what it held, which `aside` describes.
    fn go_over(
        &self,
        identity: &Identity,
        passage: &Passage,
        aside: Aside,
    ) -> Result<(), StoreError> {
        let replica = passage.replica();
        self.write_now(Durability::Immediate, |txn| {
            txn.delete_table(LOG_ASIDE).map_err(redb::Error::from)?;
            txn.delete_table(META_ASIDE).map_err(redb::Error::from)?;
            txn.rename_table(LOG, LOG_ASIDE).map_err(redb::Error::from)?;
            txn.rename_table(META, META_ASIDE).map_err(redb::Error::from)?;
            txn.open_table(LOG).map_err(redb::Error::from)?;
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            IDENTITY.write(&mut meta, identity)?;
            SNAPSHOT.write(&mut meta, &Stored(replica.to_snapshot()))?;
            PASSAGE.write(&mut meta, &Stored(passage.bytes().to_vec()))?;
            ASIDE.write(&mut meta, &aside)?;
            VOTE.write(&mut meta, &passage.vote().into())?;
            if let Some(first) = replica.applied {
                PURGED.write(&mut meta, &first.into())?;
                COMMITTED.write(&mut meta, &first.into())?;
            }
            Ok(())
        })?;
        self.forget_tail();
        Ok(())
    }

    /// The passage this store came by, if it did not begin in the epoch it is in.
    pub(crate) fn passage(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            Ok(PASSAGE.read(&meta)?.map(|Stored(bytes)| bytes))
        })
    }

    /// What was set aside when it did.
    pub(crate) fn aside(&self) -> Result<Option<Aside>, StoreError> {
        self.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            ASIDE.read(&meta)
        })
    }
}
