//! The name of a unix socket: taken when it is free or its owner is dead, given back at the end.
//!
//! A name in the file system outlives the process that made it, so a start finds the sockets of dead
//! daemons and must replace them, but never that of a living one, and nothing that is no socket.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The longest path of a socket, in bytes: `sun_path` of unix(7) with its zero byte.
pub(crate) const MAX_PATH: usize = 107;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// The system's bound.
    #[error("the socket path {} has {} bytes, the system allows {MAX_PATH}", .0.display(), .0.as_os_str().len())]
    TooLong(PathBuf),
    /// Someone answers there.
    #[error("another daemon serves the socket {}{}", path.display(), .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Live {
        /// The socket.
        path: PathBuf,
        /// The other daemon's process, if it said so.
        pid: Option<u32>,
    },
    /// Something else has the name.
    #[error("{} is there already and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A name that leads to a socket of ours. It goes away with this value.
#[derive(Debug)]
pub(crate) struct SocketName {
    path: PathBuf,
    /// Device and inode of what we made: what stands there later may be another's.
    made: (u64, u64),
}

impl SocketName {
    /// The name `path`, which was just bound.
    pub(crate) fn bound(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { action: "look at", path: path.to_owned(), source };
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), made: (found.dev(), found.ino()) })
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the name still leads to our socket: nobody has removed or replaced it.
    pub(crate) fn is_ours(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.made)
    }
}

impl Drop for SocketName {
    fn drop(&mut self) {
        if self.is_ours() {
            // A name left behind is replaced by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Frees the name `path`: removes the socket of a dead daemon.
pub(crate) fn free(path: &Path) -> Result<(), SocketError> {
    let failed = |action, source| SocketError::Io { action, path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Live { path: path.to_owned(), pid: None }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| failed("replace", error))
        }
        // A full backlog is a sign of life; anything else is no sign of death.
        Err(error) => Err(failed("connect to", error)),
    }
}
