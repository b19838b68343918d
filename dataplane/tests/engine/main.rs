//! Engines against each other over an in-memory wire that loses, doubles and reorders, with a clock
//! that jumps.
//!
//! `cargo nextest run -p mesh-dataplane` runs all but what needs boringtun's clock; with
//! `--features mock-instant` that clock jumps along, and `clock` is run as well.

mod attacker;
mod wire;

mod chaos;
#[cfg(feature = "mock-instant")]
mod clock;
mod flood;
mod handshake;
mod hostile;
mod roaming;
mod sources;
mod traffic;
