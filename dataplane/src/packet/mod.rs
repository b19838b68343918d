//! Inner packets: parsed once, bounded, never trusted.

mod checksum;
pub mod ip;
pub mod offload;
pub mod udp;
