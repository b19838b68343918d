//! The audit trail: who decided what, when, and where in the log, each decision chained to the one before.
//!
//! ```text
//! signed genesis ──hash──> h0 ──entry 1──> h1 ──entry 2──> h2 ── ... ──> head
//!                          hn = hash(hn-1, entry n)
//! ```
//!
//! Every member derives the same trail from the same log, so at equal index all have the same head, and the state's
//! hash covers it. Whoever holds an exported trail recomputes the chain without asking anybody: an entry that was
//! altered, left out, moved or repeated no longer fits the hash beside it ([`verify`]).
//!
//! **What a chain cannot show** is that nobody wrote it anew from some entry on, or cut off its end: both leave one that
//! fits in itself. Its head differs then from the one every other member has: compare the two.
//!
//! The trail is bounded. Of more than [`MAX_ENTRIES`] the oldest makes room, and the hash before the oldest that is kept
//! stays, so that what is kept still leads to the head.

mod actor;
mod beginning;
mod chain;
mod entry;
mod hash;

pub use actor::Actor;
pub use beginning::{Beginning, BeginningError};
pub use chain::{Break, Link, verify};
pub use entry::{Entry, Event};
pub use hash::{AuditHash, AuditHashError};

/// How many entries are kept: a year of a quiet mesh, a day of a busy one, and at 150 bytes each at most a small part of
/// any snapshot. The oldest makes room.
pub const MAX_ENTRIES: usize = 1024;
