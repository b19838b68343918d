//! What agreement keeps on disk: whose store it is, the log, the vote, and the last snapshot.
//!
//! A store is made once: by the founder from its genesis, or by a joining host from the snapshot in
//! its welcome. From then on it is opened. Both check, before anything else believes it, that the
//! store is this member's, of this mesh, and that every signature in the snapshot holds.
//!
//! ```text
//! create(genesis | welcome) ─┐                        ┌─> view(): replica = snapshot + log up to committed,
//!                            ├─ Store { db, replica } ┤   before Raft runs and with no leader anywhere
//! open ──────────────────────┘                        └─> Group::start
//! ```
//!
//! A store that lost its log but kept its identity must not exist: a voter that forgot its vote could
//! vote twice. So identity, vote and log share one file and one transaction log; they are lost together
//! or not at all, and a host whose store is gone comes back under a new id: the door gives no second
//! start to one that votes ([`Group::may_welcome`](super::Group::may_welcome)).

mod catch_up;
mod db;
mod epochs;
mod error;
mod log;
mod old_copy;
mod promise;
mod row;
mod tail;

use std::sync::Arc;

use mesh_model::codec::CodecError;
use mesh_model::trust::{AdminsHead, ChainError, Genesis, MeshRoot};
use mesh_model::view::ClusterView;
use mesh_model::{Edition, LogIndex, MemberId, Signed};
use redb::Durability;
use serde::{Deserialize, Serialize};

pub use catch_up::CatchUpError;
pub(crate) use db::Db;
pub use epochs::{Aside, RecoverError, Survey};
pub use error::StoreError;
pub(crate) use log::LogStore;
pub(crate) use promise::Promise;

use super::history::History;
use super::replica::Replica;
use super::snapshot::{SNAPSHOT_LIMIT, SnapshotError, peek_meta};
use super::types::{LogId, Payload, StoredMembership};
use crate::command::NEWEST;
use crate::ports::LogDisk;
use crate::state::State;
use db::META;
use log::{COMMITTED, PURGED};
use row::Row;

/// Whose store it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    me: MemberId,
    root: MeshRoot,
    genesis: Signed<Genesis>,
}

mesh_model::message!(Identity, "store identity", version 1, limit 2048);

/// Snapshot bytes, kept as they came.
#[derive(Serialize, Deserialize)]
struct Stored(Vec<u8>);

mesh_model::message!(Stored, "stored snapshot", version 1, limit SNAPSHOT_LIMIT + 16);

const IDENTITY: Row<Identity> = Row::new("identity");
const SNAPSHOT: Row<Stored> = Row::new("snapshot");

/// What is wrong with a state that somebody made up with the key of an admin that was removed, or that is out of date.
const OLDER_THAN_THE_TOKEN: &str = "the admins are not those the token was made under";

/// What a new store starts from.
#[derive(Debug, Clone)]
pub enum Start {
    /// This host founds the mesh. It is [`MemberId::FOUNDER`].
    Genesis(Signed<Genesis>),
    /// This host was admitted.
    Welcome {
        /// The id it was given.
        member: MemberId,
        /// How the mesh began.
        genesis: Signed<Genesis>,
        /// Who the admins were as far as the token knows, which is what the state must have come of.
        admins: AdminsHead,
        /// The agreed state at or after the admission, from [`Group::snapshot`](super::Group::snapshot).
        snapshot: Vec<u8>,
    },
}

/// An open store, not yet in Raft's hands.
pub struct Store {
    pub(crate) log: LogStore,
    pub(crate) replica: Replica,
    /// The newest edition this host reads.
    pub(crate) reads: Edition,
    identity: Identity,
    /// What this host saw of who led before it started.
    history: Option<Box<History>>,
}

impl Store {
    /// Makes a store on an empty `disk`, for the mesh whose trust starts at `root`.
    ///
    /// What the disk held is not looked at: it must have no bytes. To be safe against a crash half way,
    /// make the store beside its final place and rename it.
    pub fn create(disk: impl LogDisk, root: &MeshRoot, start: Start) -> Result<Self, StoreError> {
        let length = disk.len().map_err(|error| StoreError::Disk(error.to_string()))?;
        if length != 0 {
            return Err(StoreError::Occupied);
        }
        let (identity, replica, snapshot) = match start {
            Start::Genesis(genesis) => {
                let state = State::genesis(&genesis, root)?;
                let me = MemberId::FOUNDER;
                (Identity { me, root: *root, genesis }, Replica::new(state), None)
            }
            Start::Welcome { member, genesis, admins, snapshot } => {
                Genesis::verify(&genesis, root)?;
                let replica = Replica::open(&snapshot, root)?;
                if !replica.state.admins().came_of(admins) {
                    return Err(ChainError::Contradiction(OLDER_THAN_THE_TOKEN).into());
                }
                let identity = Identity { me: member, root: *root, genesis };
                (identity, replica, Some(snapshot))
            }
        };
        let db = Db::open(disk)?;
        db.write_now(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            IDENTITY.write(&mut meta, &identity)?;
            if let Some(snapshot) = snapshot {
                SNAPSHOT.write(&mut meta, &Stored(snapshot))?;
            }
            // The log in front of the snapshot was purged, as far as Raft is concerned.
            if let Some(applied) = replica.applied {
                PURGED.write(&mut meta, &applied.into())?;
                COMMITTED.write(&mut meta, &applied.into())?;
            }
            Ok(())
        })?;
        Ok(Self {
            log: LogStore::new(Arc::new(db)),
            replica,
            reads: NEWEST,
            identity,
            history: None,
        })
    }

    /// Opens the store of member `me` of the mesh whose trust starts at `root`, and replays what is
    /// known to be agreed.
    pub fn open(disk: impl LogDisk, me: MemberId, root: &MeshRoot) -> Result<Self, StoreError> {
        let length = disk.len().map_err(|error| StoreError::Disk(error.to_string()))?;
        if length == 0 {
            return Err(StoreError::Empty);
        }
        Self::on(Db::open(disk)?, me, root)
    }

    /// The same, of a store whose file is open.
    pub(crate) fn on(db: Db, me: MemberId, root: &MeshRoot) -> Result<Self, StoreError> {
        let log = LogStore::new(Arc::new(db));
        let (identity, snapshot) = log.db.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            Ok((IDENTITY.read(&meta)?, SNAPSHOT.read(&meta)?))
        })?;
        let identity = identity.ok_or(StoreError::Empty)?;
        if identity.root != *root {
            let (expected, found) = (root.mesh, identity.root.mesh);
            return Err(StoreError::OtherMesh { expected, found });
        }
        if identity.me != me {
            return Err(StoreError::OtherMember { expected: me, found: identity.me });
        }
        let mut replica = match snapshot {
            Some(Stored(bytes)) => Replica::open(&bytes, root).map_err(damaged)?,
            None => State::genesis(&identity.genesis, root)
                .map(Replica::new)
                .map_err(|error| damaged(error.into()))?,
        };
        log.check_readable(NEWEST)?;
        replay(&log, &mut replica)?;
        Ok(Self { log, replica, reads: NEWEST, identity, history: None })
    }

    /// This store as a build has it that reads no later edition than `reads`: how members of two editions are run side by side
    /// by one build. Such a build does not open what a later one wrote.
    pub fn read_up_to(mut self, reads: Edition) -> Result<Self, StoreError> {
        self.log.check_readable(reads)?;
        self.replica = self.replica.read_up_to(reads)?;
        self.reads = reads;
        Ok(self)
    }

    /// Goes on with what this host saw of who led and who voted, as [`Group::history_to_keep`](super::Group::history_to_keep)
    /// gave it. What another member saw is not taken.
    pub fn recall(&mut self, kept: &[u8]) -> Result<(), CodecError> {
        let whose = (self.identity.me, self.identity.root.mesh);
        self.history = Some(Box::new(History::resume(whose, kept)?));
        Ok(())
    }

    /// What was recalled, or a history that begins.
    pub(in crate::raft) fn take_history(&mut self) -> History {
        self.history.take().map_or_else(|| History::new(self.identity.me), |history| *history)
    }

    /// Whose store it is.
    pub fn me(&self) -> MemberId {
        self.identity.me
    }

    /// The mesh and its root key.
    pub fn root(&self) -> &MeshRoot {
        &self.identity.root
    }

    /// How the mesh began.
    pub fn genesis(&self) -> &Signed<Genesis> {
        &self.identity.genesis
    }

    /// Whether this host has left the mesh by its own word, as far as its store knows.
    pub fn said_goodbye(&self) -> bool {
        self.replica.state.members().said_goodbye(self.identity.me)
    }

    /// The agreed state as far as this host knows it. Needs no leader, no network and no Raft.
    pub fn view(&self) -> Arc<ClusterView> {
        self.replica.view()
    }

    /// The last index this host has, agreed or not.
    pub(crate) fn ends(&self) -> Result<LogIndex, StoreError> {
        let (_, last) = self.log.bounds()?;
        // A snapshot can be of an earlier term than entries in front of it, if a crash brought those back.
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        Ok(index(last).max(index(self.replica.applied)))
    }

    /// Raft's membership by the last entry in snapshot or log that sets one.
    pub(crate) fn membership(&self) -> Result<StoredMembership, StoreError> {
        let behind = self.replica.applied.map_or(0, |applied| applied.index + 1);
        let mut last = self.replica.membership.clone();
        for entry in self.log.entries(behind..)? {
            if let Payload::Membership(membership) = entry.payload {
                last = StoredMembership::new(Some(entry.log_id), membership);
            }
        }
        Ok(last)
    }

    /// Whether this is the founder's store before its first start.
    pub(crate) fn is_unborn(&self) -> Result<bool, StoreError> {
        let (purged, last) = self.log.bounds()?;
        let founder = self.identity.me == MemberId::FOUNDER;
        Ok(founder && purged.is_none() && last.is_none() && self.log.vote()?.is_none())
    }
}

/// What this host wrote itself and does not believe any more is damaged, or another version's.
fn damaged(error: SnapshotError) -> StoreError {
    match error.into() {
        StoreError::Forged(forged) => StoreError::Corrupt(forged.to_string()),
        other => other,
    }
}

/// Applies the log to `replica`, up to the last index saved as committed. It must be there: the index was saved in a transaction
/// after the entry's, and a flush takes all before it along.
fn replay(log: &LogStore, replica: &mut Replica) -> Result<(), StoreError> {
    let Some(committed) = log.committed()? else { return Ok(()) };
    let first = replica.applied.map_or(0, |applied| applied.index + 1);
    if committed.index < first {
        return Ok(());
    }
    let entries = log.entries(first..=committed.index)?;
    if entries.first().is_none_or(|entry| entry.log_id.index != first) {
        return Err(StoreError::Corrupt(format!("log entry {first} is missing")));
    }
    if entries.last().is_none_or(|entry| entry.log_id != committed) {
        return Err(StoreError::Corrupt(format!("agreed log entry {committed} is missing")));
    }
    for entry in &entries {
        replica.apply(entry);
    }
    Ok(())
}

/// Where the state machine keeps its snapshot.
impl Db {
    /// Keeps `bytes`, unless what is there goes as far: a snapshot takes a while to make, and one from the
    /// leader may have come in meanwhile. The log before that one is gone.
    pub(crate) async fn save_snapshot(&self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let last = peek_meta(&bytes)?.last_log_id;
        let saved = self.write(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            if let Some(Stored(kept)) = SNAPSHOT.read(&meta)?
                && peek_meta(&kept)?.last_log_id >= last
            {
                return Ok(());
            }
            SNAPSHOT.write(&mut meta, &Stored(bytes))
        });
        saved.await
    }

    pub(crate) fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            Ok(SNAPSHOT.read(&meta)?.map(|Stored(bytes)| bytes))
        })
    }
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod unreadable;
#[cfg(test)]
mod versions;
