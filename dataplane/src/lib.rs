//! The packet core: tunnels, forwarding, source check, policy. Bytes in, bytes out.
//!
//! A datagram arrives and [`steer()`] tells from its first bytes whether it is WireGuard's.
//! Handshakes pass the gate in `handshake`, which spends as little as possible on strangers; data
//! names its session, is opened, and the inner packet must come from an address that belongs to the
//! peer that sealed it, judged against the allowed IPs of *all* peers, and must be one that the policy lets in (`access`). Packets for the daemon's own
//! ports go to [`Sink::control`], other packets for this host stay where they were opened and
//! [`Engine::handle_datagram`] says where that is.
//!
//! An inner packet that leaves is matched against the same table, which names the peer; its tunnel
//! sessions are made when they are first needed and wiped when they have died. While a handshake is under
//! way packets wait, boundedly. Whatever ends early ends as a variant of [`Drop`], and is counted.
//!
//! Where the uplink is slow, packets wait in a [`Backlog`] before they are sealed, and the [`Uplink`] says how
//! much the kernel should hold.
//!
//! A host with several cores may run several engines, each a [`Slice`] with peers of its own; what comes
//! to the wrong one it hands on.
//!
//! Everything here is a plain state machine: no clock, socket, file, thread or entropy of its own.
//! One `handle_*`, then drain [`Engine::poll_event`], then look at [`Engine::poll_timeout`].

#![forbid(unsafe_code)]

mod access;
mod backlog;
pub mod device;
mod drops;
mod endpoint;
mod engine;
mod event;
mod fib;
mod handshake;
mod indices;
mod keys;
pub mod packet;
mod peer;
mod peers;
mod sink;
mod slice;
mod stats;
mod steer;
mod tunnel;
mod turn;
mod uplink;
mod wall;

pub use backlog::{Backlog, Origin};
pub use drops::{Drop, Drops};
pub use endpoint::{Endpoint, Way};
pub use engine::{Engine, EngineConfig, MAX_DATAGRAM, MAX_INNER, MAX_SEALING, Role};
pub use event::Event;
pub use handshake::{HandshakeBudget, Rate};
pub use keys::{OtherKey, OwnKeys};
pub use sink::{Lane, Parcel, Sink};
pub use slice::{MAX_SLICES, Slice};
pub use stats::PeerStats;
pub use steer::{Steer, steer};
pub use uplink::Uplink;
pub use wall::WallTime;
