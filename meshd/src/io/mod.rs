//! The effects: every socket, device, file, clock and drop of entropy the daemon touches.
//!
//! Nothing here decides anything. What arrives is handed up, what is handed down is sent; bounds,
//! time limits and counters are the only judgement.
//!
//! ```text
//! udp ─────┐                      ┌─ overlay::Ingress ─ gossip, echo channels
//! tun ─────┤ pipeline::worker ────┤                  └─ quic_socket ─ agreement (tls)
//!          │ (the packet thread)  └─ quic_socket ─ join (tls)
//! netlink, disk, clock, alarm, entropy: used by the daemon directly
//! doorbell: the way into the packet thread
//! ```

pub(crate) mod agreement;
pub(crate) mod alarm;
pub(crate) mod backup_dir;
pub(crate) mod clock;
pub(crate) mod directory;
pub(crate) mod disk;
pub(crate) mod doorbell;
pub(crate) mod entropy;
pub(crate) mod failpoint;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod frame;
pub(crate) mod handed;
mod ioctl;
pub(crate) mod join;
pub(crate) mod listing;
pub(crate) mod log_file;
pub(crate) mod netlink;
pub(crate) mod offloads;
pub(crate) mod overlay;
pub(crate) mod quic;
pub(crate) mod quic_socket;
pub(crate) mod reset;
pub(crate) mod sealed;
pub(crate) mod tls;
pub(crate) mod tun;
pub(crate) mod udp;
pub(crate) mod unix_socket;
