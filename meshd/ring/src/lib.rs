//! How two packet threads meet: a ring that one fills and the other empties, and the word about sleep
//! that tells the one when to wake the other.
//!
//! Nothing here waits, locks or allocates once it is made. Both are small enough to be checked in every
//! order of events: `tests/loom.rs`.

mod ring;
mod sleep;
mod sync;

pub use ring::{Consumer, Producer, ring};
pub use sleep::Sleep;
