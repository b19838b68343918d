//! The packet thread: the one owner of the packet core, the UDP port and the TUN device.
//!
//! Everything else speaks to it through [`PacketPath`]: orders go in through one bounded queue,
//! control frames, joiners' datagrams and events come out through others. It never waits for any of
//! them. It sleeps unless something arrives, is ordered, or the packet core's own deadline passes.

mod batch;
mod drops;
mod handle;
mod outlet;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use drops::PathDrop;
pub(crate) use handle::{
    Order, PacketPath, PacketThread, PathConfig, PathError, PathOutputs, PathStats,
};
