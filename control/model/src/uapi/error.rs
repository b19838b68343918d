//! What is wrong with a request.

use super::{Errno, MAX_ALLOWED_IPS, MAX_LINE, MAX_PEERS, MAX_REQUEST};

/// A request that cannot be understood, and where. It never quotes the request: a line in the wrong place may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RequestError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The request is longer than [`MAX_REQUEST`].
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    RequestTooLong,
    /// The line is longer than [`MAX_LINE`].
    #[error("longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// The empty line at the end is missing.
    #[error("the request does not end with an empty line")]
    Unterminated,
    /// Neither `get=1` nor `set=1`.
    #[error("a request begins with `get=1` or `set=1`")]
    Operation,
    /// More than the one line of `get=1`.
    #[error("`get=1` takes no further lines")]
    Extra,
    /// No `key=value`.
    #[error("not of the form `key=value`")]
    NotAPair,
    /// A key that is unknown, or of a peer where the device is described, or the other way round.
    #[error("no such key here")]
    Key,
    /// The value does not fit the key.
    #[error("the value of `{0}` must be {1}")]
    Value(&'static str, &'static str),
    /// More than [`MAX_PEERS`].
    #[error("more than {MAX_PEERS} peers")]
    Peers,
    /// More than [`MAX_ALLOWED_IPS`].
    #[error("more than {MAX_ALLOWED_IPS} allowed IPs for one peer")]
    AllowedIps,
}

impl RequestError {
    /// The number to answer with.
    pub fn errno(&self) -> Errno {
        match self.problem {
            Problem::RequestTooLong | Problem::Peers | Problem::AllowedIps => Errno::TOO_BIG,
            _ => Errno::INVALID,
        }
    }
}
