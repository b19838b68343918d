//! The packets a user would send: pings, bulk transfers and datagrams, inside namespaces.

mod echo;
mod flood;
mod icmp;
mod series;
mod tcp;
mod udp;

pub use flood::{Flood, FloodReport};
pub use icmp::{PingReport, PingStream, is_answered, ping};
pub use series::{PingSeries, RoundTrips};
pub use tcp::{Transfer, TransferReport};
pub use udp::{Burst, BurstReport, echo_datagrams};
