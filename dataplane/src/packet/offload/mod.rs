//! Super-packets: what a TUN device with offloads gives and takes instead of single packets.
//!
//! ```text
//! kernel -> us   one IP packet of up to 64 KiB with one TCP or UDP header     [`Segments`] cuts it
//!                and "segment size 1368" beside it                            while it is sealed
//! us -> kernel   the same, put together from packets that arrived in a row    [`Coalescer`] finds them
//! ```
//!
//! The header beside the packet is virtio's ([`VirtioHeader`]). It comes from this host's kernel, but
//! the packet may have been forwarded from anywhere or written by a local program: every length is
//! checked, and what contradicts itself is one dropped packet.

mod coalesce;
mod flow;
mod split;
#[cfg(test)]
mod tests;
mod virtio;

pub use coalesce::{Coalescer, Gathered, MAX_PARTS, Takes};
pub use split::{Segments, SplitError};
pub use virtio::{Segmentation, VirtioHeader};
