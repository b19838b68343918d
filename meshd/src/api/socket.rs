//! The unix socket: taking its name, and giving it back.
//!
//! A name in the file system outlives the process that made it, so a start finds the sockets of dead
//! daemons and must replace them, but never that of a living one, and nothing that is no socket. A lock
//! beside the socket makes two starts at one moment take turns; asking whether somebody answers covers
//! whoever does not know the lock.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Reason};
use crate::state_dir::{Lock, LockError};

/// The longest path of a socket, in bytes: `sun_path` of unix(7) with its zero byte.
const MAX_PATH: usize = 107;

/// Everybody may connect: rights go by who they are, not by who can open the file.
const SOCKET_MODE: u32 = 0o666;

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

impl From<SocketError> for Exit {
    fn from(error: SocketError) -> Self {
        let remedy = match &error {
            SocketError::TooLong(_) => "name a shorter path with --socket",
            SocketError::Live { .. } => "stop the other daemon, or name another path with --socket",
            SocketError::NotASocket(_) => {
                "remove it if it is yours, or name another path with --socket"
            }
            SocketError::Io { .. } => "name a path this user may write to with --socket",
        };
        Self::because(Reason::Environment, &error)
            .meaning("nobody could talk to this daemon")
            .remedy(remedy)
    }
}

/// A bound socket. The name goes away with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the name we made: what stands there later may be another's.
    made: (u64, u64),
    _lock: Lock,
}

impl Socket {
    /// Takes the name `path`. Connections queue from now on; they are served by
    /// [`Server`](super::Server).
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        if path.as_os_str().len() > MAX_PATH {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        prepare_parent(path)?;
        let lock = lock(path)?;
        remove_stale(path)?;
        let failed = |source| SocketError::Io { action: "bind", path: path.to_owned(), source };
        let listener = UnixListener::bind(path).map_err(failed)?;
        // The umask decided until here, and it only takes away.
        std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), made: (found.dev(), found.ino()), _lock: lock })
    }

    /// Another handle on the listener, for the server.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let still_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.made);
        if still_ours {
            // A name left behind is replaced by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the socket's directory: for root one that everybody may enter, else the user's own.
fn prepare_parent(path: &Path) -> Result<(), SocketError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let failed = |source| SocketError::Io { action: "make", path: parent.to_owned(), source };
    if let Some(above) = parent.parent() {
        std::fs::create_dir_all(above).map_err(failed)?;
    }
    let mode = if nix::unistd::geteuid().is_root() { 0o755 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(parent) {
        Ok(()) => std::fs::set_permissions(parent, Permissions::from_mode(mode)).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn lock(path: &Path) -> Result<Lock, SocketError> {
    let beside = path.with_added_extension("lock");
    Lock::take(&beside).map_err(|error| match error {
        LockError::Held(pid) => SocketError::Live { path: path.to_owned(), pid },
        LockError::Io(source) => SocketError::Io { action: "lock", path: beside, source },
    })
}

/// Removes the socket of a dead daemon.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_open_to_all_and_its_name_goes_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/meshd.sock");
        let socket = Socket::bind(&path).expect("bound");
        let mode = std::fs::metadata(&path).expect("there").mode() & 0o777;
        assert_eq!(mode, SOCKET_MODE);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_living_daemons_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("meshd.sock");
        let _first = Socket::bind(&path).expect("bound");
        let error = Socket::bind(&path).expect_err("taken");
        assert!(matches!(error, SocketError::Live { pid: Some(_), .. }), "{error}");
        UnixStream::connect(&path).expect("the first still listens");
    }

    #[test]
    fn a_listener_without_our_lock_is_left_alone_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("meshd.sock");
        let _other = UnixListener::bind(&path).expect("bound");
        let error = Socket::bind(&path).expect_err("taken");
        assert!(matches!(error, SocketError::Live { pid: None, .. }), "{error}");
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("meshd.sock");
        drop(UnixListener::bind(&path).expect("bound"));
        assert!(path.exists(), "the name outlives its listener");
        let _socket = Socket::bind(&path).expect("replaced");
        UnixStream::connect(&path).expect("listens");
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("meshd.sock");
        std::fs::write(&path, "precious").expect("written");
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket(_))));
        let link = dir.path().join("link.sock");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert!(matches!(Socket::bind(&link), Err(SocketError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious");
    }

    #[test]
    fn a_path_too_long_for_the_system_is_named() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(MAX_PATH)));
        let error = Socket::bind(&path).expect_err("too long").to_string();
        assert!(error.contains("112 bytes, the system allows 107"), "{error}");
    }
}
