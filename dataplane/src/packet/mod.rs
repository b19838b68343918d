//! Inner packets: parsed once, bounded, never trusted.

mod checksum;
pub mod ip;
pub mod udp;
