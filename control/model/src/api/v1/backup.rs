//! Documents about backups: what a host needs to come back.

use serde::{Deserialize, Serialize};

use super::document::schema;
use crate::id::{LogIndex, MemberId, MeshId};
use crate::trust::Name;

/// The most recipients of one backup: the people of a small team and their safe.
pub const MAX_RECIPIENTS: usize = 16;

/// Make a backup and send it, encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Who shall be able to read it, each an age recipient such as `age1...`; those of the configuration when empty.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// A backup that was made by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name in the directory.
    pub name: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The backups that are made by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backups {
    /// From one to the next, in seconds; `None` when none are made.
    pub every_s: Option<u64>,
    /// How many are kept.
    pub keep: Option<usize>,
    /// Where; `None` when none are made.
    pub directory: Option<String>,
    /// When the next one is made, in milliseconds since the Unix epoch.
    pub next_ms: Option<u64>,
    /// What failed last, if something did and it was not made good since: making one, or removing an old one.
    pub failure: Option<String>,
    /// Those there are, the newest last.
    pub backups: Vec<BackupFile>,
}

/// A state directory was made from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRestored {
    /// The mesh.
    pub mesh: MeshId,
    /// What people call it.
    pub mesh_name: Name,
    /// Who the host was.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Whether its identity came back: the mesh then knows it again, unless it voted since.
    pub identity: bool,
    /// When it was saved, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// What it knew to be agreed then.
    pub index: LogIndex,
    /// The directory.
    pub directory: String,
}

schema! {
    Backups => "mesh.backups/v1",
    BackupRestored => "mesh.backup_restored/v1",
}
