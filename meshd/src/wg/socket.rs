//! The configuration socket of one interface.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Type};

use crate::io::unix_socket::{MAX_PATH, SocketError, SocketName, free};

/// Where `wg` looks for devices that are programs.
pub(crate) const DIRECTORY: &str = "/var/run/wireguard";

/// The directory's mode when it has to be made.
const DIRECTORY_MODE: u32 = 0o700;

/// The socket's mode: it shows private keys.
const MODE: u32 = 0o600;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// A bound socket. The name goes away with it.
#[derive(Debug)]
pub(crate) struct Socket {
    name: SocketName,
    listener: UnixListener,
}

impl Socket {
    /// Takes the name of `interface` in `directory`, which is made if it is missing.
    pub(crate) fn bind(directory: &Path, interface: &str) -> Result<Self, SocketError> {
        let path = directory.join(format!("{interface}.sock"));
        if path.as_os_str().len() > MAX_PATH {
            return Err(SocketError::TooLong(path));
        }
        make(directory).map_err(|source| SocketError::Io {
            action: "make",
            path: directory.to_owned(),
            source,
        })?;
        free(&path)?;
        let listener = listen(&path).map_err(|source| match source.kind() {
            // Somebody was faster.
            io::ErrorKind::AddrInUse => SocketError::Live { path: path.clone(), pid: None },
            _ => SocketError::Io { action: "bind", path: path.clone(), source },
        })?;
        Ok(Self { name: SocketName::bound(&path)?, listener })
    }

    /// The name.
    pub(super) fn name(&self) -> &SocketName {
        &self.name
    }

    /// Another handle on the listener, for the server.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        // The umask may have taken bits away.
        Ok(()) => std::fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux makes the name with the mode that the socket has: at no moment can anybody else connect.
    fchmod(socket.as_fd(), Mode::from_bits_truncate(MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    // And the umask took bits away from that.
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from(std::os::fd::OwnedFd::from(socket)))
}
