//! Whose fault an error is.

use std::fmt;

/// Every error in the house says whose fault it is; that decides who hears of it. A fault of ours
/// that is none of these three is a bug and panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Another member or a stranger sent what it should not have. Counted, feeds reputation.
    Peer,
    /// The network or the machine: unreachable, timed out, full. Retried.
    World,
    /// This host's operator: configuration, rights, state directory. Told to them, with the remedy.
    Local,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "peer",
            Self::World => "world",
            Self::Local => "local",
        })
    }
}
