//! The lab: real daemons, real TUN devices, real network namespaces, and nothing a fresh machine
//! lacks.
//!
//! A [`Lab`] is a handful of hosts. Each [`Host`] is a directory with a daemon in it, and either a
//! network namespace of its own, cabled to the others by a kernel bridge or by our own [`wire`], or
//! a port on loopback when there are no rights for more. Tests and the `mesh-lab` binary drive hosts
//! through the two programs a user has, `meshd` and `mesh`, and through the packets a user sends.
//!
//! Everything happens in namespaces the lab made, or on loopback; whatever it made goes away with
//! the value that stands for it, also when a test panics.

pub mod bench;
pub mod binaries;
pub mod chaos;
pub mod daemon;
pub mod error;
pub mod fabric;
pub mod host;
pub mod http;
pub mod lab;
pub mod link;
pub mod loopback;
pub mod mesh;
pub mod netns;
pub mod planted;
pub mod process;
mod raw;
pub mod rights;
pub mod route;
pub mod traffic;
pub mod volume;
pub mod wait;
pub mod wire;
pub mod wireguard;

pub use error::{Error, Result};
pub use host::Host;
pub use lab::Lab;
pub use mesh::{Answer, Mesh};
pub use netns::Netns;
pub use wait::eventually;
