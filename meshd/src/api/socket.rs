//! The unix socket: taking its name, and giving it back.
//!
//! A lock beside the socket makes two starts at one moment take turns; asking whether somebody answers
//! covers whoever does not know the lock.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::exit::{Exit, Reason};
use crate::io::unix_socket::{MAX_PATH, SocketError, SocketName, free};
use crate::state_dir::{Lock, LockError};

/// Everybody may connect: rights go by who they are, not by who can open the file.
const SOCKET_MODE: u32 = 0o666;

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
    /// First, so that it goes while the lock is still held.
    _name: SocketName,
    listener: UnixListener,
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
        free(path)?;
        let failed = |source| SocketError::Io { action: "bind", path: path.to_owned(), source };
        let listener = UnixListener::bind(path).map_err(failed)?;
        let name = SocketName::bound(path)?;
        // The umask decided until here, and it only takes away.
        std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { _name: name, listener, _lock: lock })
    }

    /// Another handle on the listener, for the server.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

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
