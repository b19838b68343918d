//! The packet threads: the owners of the packet core, the UDP port and the TUN device. One unless told
//! otherwise; of several each has a slice of the peers, and hands on what is another's.
//!
//! Everything else speaks to them through [`PacketPath`]: orders go in through one bounded queue each,
//! control frames, joiners' datagrams and events come out through others. They never wait for any of
//! them. A thread sleeps unless something arrives, is ordered or handed to it, or the packet core's own
//! deadline passes.

mod batch;
mod drops;
mod error;
mod handle;
mod handover;
mod link;
mod outlet;
mod refusals;
mod stats;
mod team;
#[cfg(test)]
mod tests;
mod thread;
mod ways;
mod worker;

pub(crate) use drops::PathDrop;
#[cfg(test)]
pub(crate) use drops::PathDrops;
pub(crate) use error::PathError;
pub(crate) use handle::{Order, PacketPath};
pub(crate) use link::follow_link;
pub(crate) use stats::PathStats;
pub(crate) use thread::{PacketThread, PathConfig, PathOutputs};
pub(crate) use ways::follow_routes;
