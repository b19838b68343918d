//! The packets a user would send: pings and bulk transfers, inside namespaces.

mod echo;
mod icmp;
mod series;
mod tcp;

pub use icmp::{PingReport, PingStream, is_answered, ping};
pub use series::{PingSeries, RoundTrips};
pub use tcp::{Transfer, TransferReport};
