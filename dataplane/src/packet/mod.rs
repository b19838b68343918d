//! Inner packets: parsed once, bounded, never trusted.

mod checksum;
pub mod ip;
pub(crate) mod nested;
pub mod offload;
pub mod udp;
