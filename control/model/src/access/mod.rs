//! Who may reach whom: what a rule says, and what is left of all rules at one receiver.
//!
//! ```text
//! trust::AccessPolicy{ Rule, Rule, .. }   signed by an admin, agreed
//!        │  which rules lead from that peer to this host?
//!        v
//! Inbound{ Openings }                     one per peer, in plan::PeerPlan, for the packet core
//! ```

mod openings;
mod rule;

pub use openings::{Inbound, Openings};
pub use rule::{PortRange, PortRangeError, Protocol, Rule, Selector, Traffic};
