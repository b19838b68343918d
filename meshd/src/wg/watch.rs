//! Word of the socket's removal: the customary way to end a device.

use std::io;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;

use super::socket::Socket;
use crate::io::unix_socket::{SocketError, SocketName};

/// What one look takes off the queue, in bytes: a dozen events with the longest names.
const EVENTS: usize = 4096;

/// Watches the directory of a name, by inotify: no polling, no cost while nothing happens there. The name's own inode
/// would not do: it lives as long as the socket is open.
pub(super) struct NameWatch {
    /// To the runtime an inotify queue is what a pipe is: a descriptor to read from.
    notices: Receiver,
}

impl NameWatch {
    /// Watches the directory that holds `name`.
    pub(super) fn over(name: &SocketName) -> Result<Self, SocketError> {
        let open = || -> io::Result<_> {
            let notices = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let changes = WatchFlags::DELETE
                | WatchFlags::MOVE
                | WatchFlags::MOVE_SELF
                | WatchFlags::DELETE_SELF;
            add_watch(&notices, name.path().parent().unwrap_or(name.path()), changes)?;
            Ok(Self { notices: Receiver::from_owned_fd_unchecked(notices)? })
        };
        open().map_err(|source| SocketError::Io {
            action: "watch",
            path: name.path().to_owned(),
            source,
        })
    }

    /// Returns once the name does not lead to `socket` any more.
    pub(super) async fn gone(&self, socket: &Socket) {
        while socket.name().is_ours() {
            if let Err(error) = self.notices.readable().await {
                tracing::warn!(%error, "the socket's removal would not be noticed any more");
                std::future::pending::<()>().await;
            }
            // What happened is looked up anyway; an error says that the queue is empty.
            while self.notices.try_read(&mut [0; EVENTS]).is_ok() {}
        }
    }
}
