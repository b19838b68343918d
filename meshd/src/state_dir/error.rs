//! What can be wrong with a state directory.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::exit::{Exit, Reason};
use crate::io::disk::DiskError;

/// The file with the root secret: the one whose damage does not cost the membership.
pub(super) const ADMIN_KEY: &str = "admin.key";

/// A state directory that cannot be used. Never repaired silently: each case names its remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// Another daemon runs on it.
    #[error("the state directory {} is in use by another daemon{}", path.display(), process(*pid))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other daemon's process, if it said so.
        pid: Option<u32>,
    },
    /// No daemon ever ran on it.
    #[error("{} is no state directory: no daemon has run on it", path.display())]
    Unused {
        /// The directory.
        path: PathBuf,
    },
    /// A directory was to be made where one is in use.
    #[error("the directory {} is not empty", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// Something else stands where the directory should be.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What it is.
        path: PathBuf,
    },
    /// Something else stands where a file should be.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What it is.
        path: PathBuf,
    },
    /// Others than the daemon's user may read or write it.
    #[error("{} has mode {mode:04o}: other users can get at its secrets", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// It belongs to someone else.
    #[error("{} belongs to user {owner}, the daemon runs as user {user}", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// We may not get at it.
    #[error("{}: {source}", path.display())]
    Denied {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the field.
        reason: String,
    },
    /// Whole, but written by another version.
    #[error("{} was written by another version of meshd: it is of version {version}", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
    /// This host is a member, and its store is gone.
    #[error("{} is missing, although this host is a member", path.display())]
    StoreMissing {
        /// Where the store should be.
        path: PathBuf,
    },
    /// The identity is not the one that joined.
    #[error("{} holds another identity than the one that is a member", path.display())]
    IdentityMismatch {
        /// The identity file.
        path: PathBuf,
    },
    /// A file is gone without which others make no sense.
    #[error("{} is missing, although {} is there", missing.display(), present.display())]
    TrustMissing {
        /// What is gone.
        missing: PathBuf,
        /// What speaks for it having been there.
        present: PathBuf,
    },
    /// The disk failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StateDirError {
    /// `source` happened while doing `action` to `path`.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EACCES | Errno::EPERM) => Self::Denied { path, source },
            Some(Errno::ENOTDIR) => Self::NotADirectory { path },
            // What O_NOFOLLOW says of a symbolic link.
            Some(Errno::ELOOP) => Self::NotAFile { path },
            _ => Self::Disk { action, path, source },
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Corrupt { .. } => Reason::Corrupt,
            Self::StoreMissing { .. } | Self::IdentityMismatch { .. } => Reason::Mismatch,
            Self::TrustMissing { .. } => Reason::TrustMissing,
            Self::Disk { .. } => Reason::Disk,
            _ => Reason::Environment,
        }
    }

    fn meaning(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "one state directory serves one daemon",
            Self::Occupied { .. } => "what is there would be lost",
            Self::Unused { .. } => "there is no host there whose state it could be",
            Self::NotADirectory { .. } | Self::NotAFile { .. } => "it was not made by meshd",
            Self::Exposed { .. } | Self::Foreign { .. } => {
                "its keys cannot be relied on to be secret"
            }
            Self::Denied { .. } => "the daemon's user may not use its own state directory",
            Self::OtherVersion { .. } => {
                "nothing is damaged, and nothing was changed; this build does not understand it"
            }
            Self::Corrupt { .. } => "the daemon would have to guess who it is or whom to trust",
            Self::StoreMissing { .. } => {
                "this host has forgotten votes it may have given; voting again under the same id \
                 could split the mesh"
            }
            Self::IdentityMismatch { .. } => {
                "the directory was put together from two hosts or two times"
            }
            Self::TrustMissing { .. } => "without it this host can prove nothing and trust nobody",
            Self::Disk { .. } => "what was not written may be lost; nothing was acknowledged",
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Locked { .. } => {
                "stop the other daemon, or name another directory with --state-dir".to_owned()
            }
            Self::Exposed { path, wanted, .. } => {
                format!("if nobody else has seen it: chmod {wanted:o} {}", path.display())
            }
            Self::Foreign { path, user, .. } => {
                format!("run the daemon as its owner, or: chown -R {user} {}", path.display())
            }
            Self::Occupied { .. } => {
                "move it away first, or name a directory that is not there yet".to_owned()
            }
            Self::Unused { .. } => {
                "name the directory the daemon uses with --state-dir, or its configuration file with --config"
                    .to_owned()
            }
            Self::NotADirectory { .. } | Self::NotAFile { .. } | Self::Denied { .. } => {
                "name a directory of the daemon's own user with --state-dir".to_owned()
            }
            Self::OtherVersion { .. } => {
                "start the meshd that wrote it, or one that reads both: of the version next to it"
                    .to_owned()
            }
            Self::Corrupt { path, .. } if path.ends_with(ADMIN_KEY) => format!(
                "restore it from a copy, or move it away: this host stays a member then, but nobody \
                 can be invited from it any more: {}",
                path.display()
            ),
            Self::Corrupt { .. }
            | Self::StoreMissing { .. }
            | Self::IdentityMismatch { .. }
            | Self::TrustMissing { .. } => {
                "move the whole state directory away and join again with a fresh token".to_owned()
            }
            Self::Disk { .. } => {
                "check the disk (full, read-only, failing), then start again".to_owned()
            }
        }
    }
}

impl From<DiskError> for StateDirError {
    fn from(error: DiskError) -> Self {
        Self::io(error.action, error.path, error.source)
    }
}

impl From<StateDirError> for Exit {
    fn from(error: StateDirError) -> Self {
        Self::because(error.reason(), &error).meaning(error.meaning()).remedy(error.remedy())
    }
}
