//! The private keys a host answers to.
//!
//! A host goes by one key. While it changes, it has two, and which the second one is depends on how far the
//! change has come:
//!
//! ```text
//! the new key is on disk         the change is agreed            everybody knows of it
//!   goes by old, answers new       goes by new, answers old        goes by new
//! ------------------------------------------------------------------------------------> time
//! ```
//!
//! A peer that learned of the change before this host did finds the new key answered, and one that has not
//! heard of it yet finds the old one answered. So nobody has to know who knows what.

use mesh_model::TunnelSecret;

/// A host's private keys.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnKeys {
    /// The key the host goes by: what it says of itself in handshakes that it begins.
    pub current: TunnelSecret,
    /// One that it answers to as well.
    pub other: Option<OtherKey>,
}

/// The second key of a host whose key changes.
#[derive(Debug, Clone, PartialEq)]
pub enum OtherKey {
    /// It is to be the current one, and some peers may think that it is. Nobody is greeted with it.
    Next(TunnelSecret),
    /// It was the current one, and some peers may think that it still is. Those that do not answer the current one
    /// are greeted with it.
    Before(TunnelSecret),
}

impl From<TunnelSecret> for OwnKeys {
    fn from(current: TunnelSecret) -> Self {
        Self { current, other: None }
    }
}
