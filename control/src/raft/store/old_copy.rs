//! A store that turned out to be an older copy of itself: it is written down in it, so that no later start goes on with it either,
//! when nobody is there who remembers.

use mesh_model::LogIndex;
use redb::Durability;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::db::{Db, META};
use super::row::Row;

/// How it turned out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct OldCopy {
    /// Where the log ended when the host started.
    ends: LogIndex,
    /// What the host had signed by then.
    signed: LogIndex,
}

mesh_model::message!(OldCopy, "old copy", version 1, limit 32);

const OLD_COPY: Row<OldCopy> = Row::new("old copy");

impl From<OldCopy> for StoreError {
    fn from(OldCopy { ends, signed }: OldCopy) -> Self {
        Self::OldCopy { ends, signed }
    }
}

impl Db {
    /// This store ended at `ends` when the host started, and the host had signed what it led to at `signed`: it serves no more.
    pub(crate) async fn condemn(&self, ends: LogIndex, signed: LogIndex) {
        let found = OldCopy { ends, signed };
        let written = self.write(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            OLD_COPY.write(&mut meta, &found)
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "that the store is an old copy cannot be written down in it");
        }
        self.fail(found.into());
    }

    /// An error if this store was found to be an old copy.
    pub(crate) fn check_is_current(&self) -> Result<(), StoreError> {
        let found = self.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            OLD_COPY.read(&meta)
        })?;
        found.map_or(Ok(()), |found| Err(found.into()))
    }
}
