//! The control core: what the mesh agrees on, what its members say of themselves, and what follows
//! for the packet core.
//!
//! Nothing here reads a clock, opens a socket or file, starts a thread or asks for randomness: time
//! and seeds are arguments, bytes come in and go out. The one asynchronous part is [`raft`], which
//! runs openraft behind three ports ([`ports`]).

pub mod access;
pub mod command;
pub mod drafting;
pub mod gossip;
pub mod keeping;
pub mod node;
pub mod pairs;
pub mod planner;
pub mod ports;
pub mod raft;
mod reasons;
pub mod refusals;
pub mod reports;
pub mod rotation;
pub mod state;
pub mod sync;
