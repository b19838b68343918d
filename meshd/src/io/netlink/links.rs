//! Word of changed interfaces.

use std::io;
use std::os::fd::AsFd as _;

use nix::libc;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use tokio::net::unix::pipe::Receiver;

use super::NetlinkError;

/// What the kernel holds for us, in bytes; it doubles that for its own overhead. A few notices: one is as
/// good as many.
const BUFFER: usize = 4096;

/// Word of changes to interfaces, by netlink multicast: those of this network namespace, and of the ones
/// that interfaces of this one have been moved to.
pub(crate) struct LinkWatch {
    /// To the runtime a netlink socket is what a pipe is: a descriptor to read from.
    notices: Receiver,
}

impl LinkWatch {
    /// Subscribes, served on the current runtime.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let open = || -> io::Result<_> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.set_non_blocking(true)?;
            socket.set_rx_buf_sz(BUFFER as u32)?;
            // Without the right to hear of other namespaces, this one must do.
            let _ = socket.set_listen_all_namespaces(true);
            socket.bind(&SocketAddr::new(0, 1 << (libc::RTNLGRP_LINK - 1)))?;
            Ok(Self {
                notices: Receiver::from_owned_fd_unchecked(socket.as_fd().try_clone_to_owned()?)?,
            })
        };
        open().map_err(NetlinkError::Open)
    }

    /// Returns after an interface has changed.
    pub(crate) async fn changed(&self) {
        if self.notices.readable().await.is_err() {
            // The runtime is shutting down.
            std::future::pending::<()>().await;
        }
        // How things are now is looked up anyway; an error says that the queue is empty, or that notices
        // were lost, which are as good as others.
        while self.notices.try_read(&mut [0; BUFFER]).is_ok() {}
    }
}
