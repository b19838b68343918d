//! Every way not to get an answer.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::answer::Refusal;
use crate::render::unit;

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens.
    #[error("no meshd answers at {}: {reason}", socket.display())]
    Unreachable {
        /// The socket tried.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The socket is not for this user.
    #[error("this user may not talk to meshd at {}", socket.display())]
    Forbidden {
        /// The socket tried.
        socket: PathBuf,
    },
    /// The connection ended before the answer did.
    #[error("meshd at {} hung up before it answered: {reason}", socket.display())]
    HungUp {
        /// The socket in use.
        socket: PathBuf,
        /// What was seen of it.
        reason: String,
    },
    /// No answer in time.
    #[error("meshd at {} did not answer within {}", socket.display(), unit::duration(*patience))]
    Silent {
        /// The socket in use.
        socket: PathBuf,
        /// How long we waited.
        patience: Duration,
    },
    /// An answer that is none of the API's.
    #[error("cannot use the answer from {}: {reason}", socket.display())]
    Garbled {
        /// The socket in use.
        socket: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// This process could not set itself up.
    #[error("cannot start: {0}")]
    Setup(io::Error),
}
