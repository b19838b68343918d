//! What can go wrong in the lab. Tests unwrap it; `mesh-lab` shows it to a person.

use std::io;

/// What was attempted, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a call.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was attempted.
        what: String,
        /// What the kernel said.
        source: rtnetlink::Error,
    },
    /// Something did not turn out as it must.
    #[error("{0}")]
    Failed(String),
}

/// The lab's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what was attempted when it failed.
pub trait Context<T> {
    /// Wraps an error with `what` was attempted.
    fn context(self, what: impl Into<String>) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Io { what: what.into(), source })
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(io::Error::from).context(what)
    }
}

impl<T> Context<T> for std::result::Result<T, rtnetlink::Error> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Netlink { what: what.into(), source })
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}
