//! Userspace WireGuard devices, whoever wrote them.
//!
//! A [`Device`] is one interface and the [`Program`] behind it, driven by nothing but the
//! configuration socket all userspace implementations share ([`uapi`]). A [`Tunnel`] is several of
//! them around one router ([`Star`]); a [`Capture`] reads what they send to each other, and
//! [`message`] says what it is.

mod capture;
mod crowd;
mod device;
mod forgery;
pub mod key;
pub mod message;
mod program;
mod star;
mod tunnel;
pub mod uapi;

pub use capture::{Capture, Datagram};
pub use crowd::Crowd;
pub use device::Device;
pub use forgery::Forger;
pub use key::{PresharedKey, PublicKey, SecretKey};
pub use program::{PROGRAM, Program};
pub use star::Star;
pub use tunnel::{End, Family, PORT, Tunnel};
