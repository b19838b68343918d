//! The packet core: tunnels, forwarding, source check. Bytes in, bytes out.
//!
//! A datagram arrives and [`steer()`] tells from its first bytes whether it is WireGuard's.
//! Handshakes pass the gate in `handshake`, which spends as little as possible on strangers; data
//! names its session, is opened, and the inner packet must come from an address that belongs to the
//! peer that sealed it, judged against the allowed IPs of *all* peers. Packets for the daemon's own
//! ports go to [`Sink::control`], other packets for this host stay where they were opened and
//! [`Engine::handle_datagram`] says where that is.
//!
//! An inner packet that leaves is matched against the same table, which names the peer; its tunnel
//! is made when it is first needed and dropped when its keys have died. While a handshake is under
//! way packets wait, boundedly. Whatever ends early ends as a variant of [`Drop`], and is counted.
//!
//! Everything here is a plain state machine: no clock, socket, file, thread or entropy of its own.
//! One `handle_*`, then drain [`Engine::poll_event`], then look at [`Engine::poll_timeout`].
//!
//! The one exception is the tunnel library, which reads a clock and entropy by itself;
//! `tunnel::wireguard` hides that, and the feature `mock-instant` puts its clock in the hands of
//! `mock`.

#![forbid(unsafe_code)]

mod drops;
mod engine;
mod event;
mod fib;
mod handshake;
#[cfg(feature = "mock-instant")]
pub mod mock;
pub mod packet;
mod peer;
mod peers;
mod sink;
mod stats;
mod steer;
mod tunnel;
mod turn;
mod wall;

pub use drops::{Drop, Drops};
pub use engine::{Engine, EngineConfig, MAX_DATAGRAM, MAX_INNER, Role};
pub use event::Event;
pub use handshake::{HandshakeBudget, Rate};
pub use sink::Sink;
pub use stats::PeerStats;
pub use steer::{Steer, steer};
pub use wall::WallTime;

/// Whether the tunnel library's clock is the mock one. A build with real sockets asserts that it is
/// not.
pub const MOCK_CLOCK: bool = cfg!(feature = "mock-instant");
