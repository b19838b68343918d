//! Which kinds of things members can agree on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of what is agreed: which commands there are, and what they do to the state.
///
/// A build reads all editions up to one, and says so in its [facts](crate::facts::Facts). A mesh is in the newest one of which
/// something was agreed, and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edition(pub u8);

impl Edition {
    /// What every build reads.
    pub const FIRST: Self = Self(1);
}

impl Default for Edition {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
