//! What a host needs to come back: who it is, whom it trusts, how it was configured, and what was agreed when it was saved.
//!
//! ```text
//! "meshback"   8 bytes
//! backup       under the rules of `codec`; the snapshot in it is one file as of `snapshot`
//! ```
//!
//! It has the host's secrets, so it lies nowhere but inside an [age](https://age-encryption.org/v1) file. The snapshot is
//! most of it and compressed already, so it is not compressed again.
//!
//! **Raft's vote and log are not in it, on purpose.** A voter that came back with an old log would have forgotten what it
//! acknowledged since, and could undo what was agreed. So what comes back is a host that asks to be let in: the mesh knows
//! whether it ever voted, and gives it its old place or a new one.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::codec::{self, CodecError, Message as _};
use crate::id::MemberId;
use crate::snapshot;
use crate::trust::{MeshRoot, Name};

/// What a backup starts with.
const MAGIC: [u8; 8] = *b"meshback";

/// The longest configuration that is saved, in bytes: the longest the daemon reads.
pub const MAX_CONFIG: usize = 64 << 10;

/// The longest backup, in bytes, before it is encrypted.
pub const MAX_BACKUP: usize = MAGIC.len() + Backup::LIMIT;

/// The longest backup as a file, in bytes: age adds 16 bytes to each 64 KiB, and 200 for each of its recipients.
pub const MAX_BACKUP_FILE: usize = MAX_BACKUP + MAX_BACKUP / 1024 + (64 << 10);

/// A host, saved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// When, in milliseconds since the Unix epoch, by its own clock.
    pub made_ms: u64,
    /// The mesh and its root key.
    pub root: MeshRoot,
    /// The host's id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// The seed of its identity.
    pub identity: [u8; 32],
    /// The secret of its WireGuard key.
    pub tunnel: [u8; 32],
    /// That of the other key it answers to, while its key changes.
    pub other_tunnel: Option<[u8; 32]>,
    /// The text of its configuration file, if it has one.
    pub config: Option<String>,
    /// What it knew to be agreed, as a snapshot's file.
    pub snapshot: Vec<u8>,
}

crate::message!(Backup, "backup", version 1, limit snapshot::MAX_FILE + MAX_CONFIG + 1024);

impl Drop for Backup {
    fn drop(&mut self) {
        self.identity.zeroize();
        self.tunnel.zeroize();
        self.other_tunnel.zeroize();
        // A configuration may have secrets one day.
        self.config.zeroize();
    }
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Backup({} of {}, made {})", self.member, self.root.mesh, self.made_ms)
    }
}

/// Why bytes are not a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Decrypted, and something else.
    #[error("it is not a backup of a mesh's host")]
    OtherFile,
    /// Of another version, or damaged before it was encrypted.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Backup {
    /// The bytes to encrypt.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let encoded = Zeroizing::new(codec::encode(self));
        Zeroizing::new([&MAGIC, encoded.as_slice()].concat())
    }

    /// The backup in `bytes`. What its snapshot is worth is not looked into here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BackupError> {
        let encoded = bytes.strip_prefix(&MAGIC).ok_or(BackupError::OtherFile)?;
        Ok(codec::decode(encoded)?)
    }
}
