//! Agreement measured beside etcd: how long there is none after a fault, and how fast it goes.
//!
//! Both run at the same time on one machine, each in network namespaces of its own on a bridge, with state
//! on the same disk; what is measured goes to one and then to the other, so that whatever drifts drifts for
//! both. A [`cluster`] is either; its clients are threads beside a member that speak HTTP over a connection
//! they keep ([`client`]), to etcd's JSON gateway or to the daemon's own socket.
//!
//! - [`failover`] lets a [`fault`] happen, begins a write every few milliseconds at a member that the fault
//!   leaves alone ([`writer`]), and takes the time until the first of those begun since is acknowledged. Others
//!   are begun at the leader, cut off or not. At the end every member must have every write that was ever
//!   acknowledged.
//! - [`commits`] has a number of clients write as fast as they are answered.
//!
//! Method and caveats: docs/performance.md.

pub mod client;
pub mod cluster;
pub mod commits;
pub mod etcd;
pub mod failover;
pub mod fault;
pub mod figures;
pub mod meshd;
pub mod writer;
