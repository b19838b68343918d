//! Gossip and the node through their public surface: many nodes, a lossy network, virtual time.

mod facts;
mod hostile;
mod liveness;
mod tunnels;
mod world;
