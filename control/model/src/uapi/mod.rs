//! WireGuard's cross-platform configuration protocol: how `wg` and its kin talk to a device that is a program.
//!
//! A stream of requests and answers in lines of `key=value`, each ended by an empty line. Keys are written in hex.
//!
//! ```text
//! get=1                          set=1
//!                                private_key=e84b...       the device first: what is not named stays
//! private_key=e84b...            listen_port=12912
//! listen_port=12912              public_key=b859...        then peers, each begun by its key
//! public_key=b859...             endpoint=192.0.2.3:51820
//! last_handshake_time_sec=...    allowed_ip=192.168.4.4/32
//! allowed_ip=192.168.4.4/32      public_key=5866...
//! errno=0                        remove=true
//!
//!                                errno=0
//! ```
//!
//! A request is read as a whole before anything is done: one bad line, and nothing of it happens. An all-zero private or
//! preshared key means "none". Source: <https://www.wireguard.com/xplatform/>, and what `wg` writes and reads.

mod change;
mod errno;
mod error;
mod report;
mod request;
mod value;

pub use change::{AllowedIp, DeviceChange, Endpoint, PeerChange, UnknownInterface};
pub use errno::Errno;
pub use error::{Problem, RequestError};
pub use report::{DeviceReport, PeerReport, get_answer, set_answer};
pub use request::{Request, frame_len};

/// The longest request, in bytes: [`MAX_PEERS`] of them with a preshared key, an endpoint and four allowed IPs each are
/// 27 MB. `wg setconf` sends a whole configuration as one request.
pub const MAX_REQUEST: usize = 32 << 20;

/// The longest line, in bytes. Those that mean something stay below 80: a name and a key of 64 hex digits, or a name
/// and an IPv6 endpoint with the longest interface name.
pub const MAX_LINE: usize = 128;

/// The most peers of a device, and the most that one request may name: 16 bits of them, as with wireguard-go, so that
/// what is configured there can be configured here.
pub const MAX_PEERS: usize = 1 << 16;

/// The most allowed IPs of a peer, and the most that one request may name for it: the kernel's own test gives one peer
/// 130,560.
pub const MAX_ALLOWED_IPS: usize = 1 << 18;
