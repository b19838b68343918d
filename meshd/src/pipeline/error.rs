//! How packet threads end, other than by order.

use std::io;

/// The end of the packet thread, other than by order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// It could not begin.
    #[error("cannot start the packet thread: {0}")]
    Start(#[source] io::Error),
    /// The TUN device is gone: somebody deleted the interface.
    #[error("the TUN interface is gone: {0}")]
    Tun(#[source] io::Error),
    /// The kernel would not let it wait.
    #[error("the packet thread cannot wait for packets: {0}")]
    Wait(#[source] io::Error),
    /// A bug.
    #[error("the packet thread ended without a word; this is a bug in meshd")]
    Vanished,
}
