//! Gossip and the node through their public surface: many nodes, a lossy network, virtual time.
#![allow(clippy::disallowed_methods, reason = "a test supplies time")]

mod facts;
mod hostile;
mod liveness;
mod pairs;
mod tunnels;
mod world;
