//! The packets a user would send: pings and bulk transfers, inside namespaces.

mod icmp;
mod tcp;

pub use icmp::{PingReport, PingStream, ping};
pub use tcp::{Transfer, TransferReport};
