//! What an admin rules about a member, against its will if need be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AdminStatement;
use crate::audit::Event;
use crate::id::{MemberId, MeshId};
use crate::key::IdentityKey;

/// The longest ban that ends by itself: ten years, in milliseconds. Who wants longer bans for good.
pub const MAX_BAN_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// The longest reason, in bytes: a sentence and a ticket number.
pub const MAX_REASON_LEN: usize = 200;

/// A ruling about one member. Signed by an admin.
///
/// The last one holds, and `serial` says which is last, not the log: a voter that proposes an old one
/// again, be it a ban or the end of one, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// About whom.
    pub member: MemberId,
    /// Whom the admin knows under that id.
    pub identity: IdentityKey,
    /// Higher than that of every earlier verdict about the member.
    pub serial: u64,
    /// What is to become of it.
    pub ruling: Ruling,
}

crate::message!(Verdict, "verdict", version 1, limit 512);

/// What becomes of a member. New kinds go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ruling {
    /// Nobody speaks with it, carries for it or listens to it. It keeps its id and addresses.
    Banned {
        /// When that ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
        until_ms: Option<u64>,
        /// Why.
        reason: Option<Reason>,
    },
    /// It is a member like any other again.
    Pardoned,
    /// It is no member any more, and its identity never will be.
    Removed,
}

impl AdminStatement for Verdict {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        let member = self.member;
        match &self.ruling {
            Ruling::Banned { until_ms, reason } => {
                Event::Banned { member, until_ms: *until_ms, reason: reason.clone() }
            }
            Ruling::Pardoned => Event::Pardoned { member },
            Ruling::Removed => Event::Removed { member },
        }
    }
}

/// Why a member was banned, in its admin's words: one line of at most [`MAX_REASON_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Text that cannot be a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of 1 to {MAX_REASON_LEN} bytes without control characters")]
pub struct ReasonError;

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let fits =
            (1..=MAX_REASON_LEN).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(ReasonError) }
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;

    fn try_from(text: String) -> Result<Self, ReasonError> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_bounded_line() {
        assert!("stolen laptop, INC-4711".parse::<Reason>().is_ok());
        for bad in ["", "two\nlines", "\u{9b}31m", &"x".repeat(MAX_REASON_LEN + 1)] {
            assert_eq!(bad.parse::<Reason>(), Err(ReasonError), "{bad:?}");
        }
    }
}
