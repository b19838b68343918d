//! WireGuard's own layer: keys, handshakes, cookies, sessions. Nothing here knows of peers, timers
//! or sockets.
//!
//! ```text
//! initiator                                             responder
//!   Initiator::write   --- initiation, 148 bytes --->   Hello::read      who is it?
//!                                                       Hello::stamp     is it no recording?
//!   Initiator::read    <--- response, 92 bytes ------   Hello::answer
//!        |             <--- or a cookie, 64 bytes ---   Oven             prove your address first
//!        v                                                   |
//!     Session          <========= data ==========>        Session
//! ```
//!
//! Section numbers are those of the WireGuard paper (Donenfeld, NDSS 2017, revision of 2020).

mod aead;
mod cookie;
mod hash;
mod identity;
mod jar;
mod keyring;
mod mac;
mod message;
mod noise;
mod remote;
mod session;
mod stamp;
mod window;

pub(crate) use cookie::Oven;
pub(crate) use identity::Identity;
pub(crate) use jar::Jar;
pub(crate) use keyring::Keyring;
pub(crate) use message::{
    COOKIE, INITIATION, Message, RESPONSE, begin_initiation, begin_response, receiver, sender,
};
pub(crate) use noise::{Hello, Initiator, Transport};
pub(crate) use remote::Remote;
pub(crate) use session::{KEEPALIVE_TIMEOUT, PADDING, REKEY_TIMEOUT, Session, sealed_len};
pub(crate) use stamp::{Stamp, StampClock};

/// Where in a data message the sealed packet begins: behind type, receiver and counter.
pub(crate) const PLAIN: usize = 16;

/// Bytes of a Poly1305 tag.
pub(crate) const TAG: usize = 16;

/// Bytes WireGuard adds to a packet.
pub(crate) const OVERHEAD: usize = PLAIN + TAG;
