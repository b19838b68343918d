//! What can go wrong between us and the kernel.

use std::io;

use ipnet::IpNet;
use nix::libc;

/// A setting that could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetlinkError {
    /// No netlink socket at all.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[from] io::Error),
    /// The kernel refused a request.
    #[error("cannot {action}: {source}")]
    Request {
        /// What was tried.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Packets to the mesh's addresses already go elsewhere.
    #[error(
        "cannot route {0} into the mesh: another interface has that route already, of another mesh \
         on this host or of the local network; stop the other daemon, or begin the mesh with other \
         addresses (`mesh init --ipv4-prefix`), or run meshd with `--tun none`"
    )]
    RouteTaken(IpNet),
}

impl NetlinkError {
    /// The kernel was built or booted without IPv6, or has it switched off for the interface.
    pub(super) fn is_ipv6_off(&self) -> bool {
        let Self::Request { source, .. } = self else { return false };
        matches!(source.raw_os_error(), Some(libc::EACCES | libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
    }

    /// What was to be added is there.
    pub(super) fn already_there(&self) -> bool {
        matches!(self, Self::Request { source, .. } if source.raw_os_error() == Some(libc::EEXIST))
    }
}

/// Says what was tried.
pub(super) trait Context<T> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T, NetlinkError>;
}

impl<T> Context<T> for Result<T, rtnetlink::Error> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T, NetlinkError> {
        self.map_err(|error| {
            let source = match error {
                rtnetlink::Error::NetlinkError(message) => message.to_io(),
                error => io::Error::other(error),
            };
            NetlinkError::Request { action: action(), source }
        })
    }
}
