//! What a whole mesh of real daemons goes through: a few seconds of it in the end-to-end tests, and as much as one
//! likes by `scripts/chaos`.
//!
//! The simulator plays the same with the real cores, in virtual time and thousands of times over. Here are the real
//! processes with their sockets, files and clocks: fewer runs, nothing left out.

mod joins;
mod outlive;
mod storm;
mod strikes;

pub use joins::{JoinRace, Race};
pub use outlive::{Outlive, Survived};
pub use storm::{Storm, Weathered};
pub use strikes::{Blow, Story, Strike, points};
