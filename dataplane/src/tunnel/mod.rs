//! What the engine needs of a tunnel, whoever implements it.

mod message;
mod wireguard;

pub(crate) use message::{Message, sender_of_response};
pub(crate) use wireguard::{Challenge, Identity};

use std::time::Duration;

use crate::drops::Drop;

/// Bytes WireGuard adds to a packet: type and index 8, counter 8, tag 16.
pub(crate) const OVERHEAD: usize = 32;

/// Where in a data message the sealed packet begins.
pub(crate) const PLAIN: usize = 16;

/// The longest message that is not data: an initiation. Every output buffer has room for it,
/// because any call may start a handshake.
pub(crate) const MIN_OUT: usize = 148;

/// Reject-After-Messages (WireGuard paper, section 6.1): no counter reaches it.
pub(crate) const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

/// A session's life (Reject-After-Time, WireGuard paper, section 6.1).
pub(crate) const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);

/// One end of a tunnel with one peer: handshakes, sessions, sealing and opening.
///
/// `out` is always at least [`MIN_OUT`] long, and [`OVERHEAD`] longer than the packet to be sealed.
/// Returned lengths count from its start. Time is the implementation's own affair; it is told that
/// time has passed by [`tick`](Self::tick), about once a second.
pub(crate) trait Tunnel: Send {
    /// Seals `packet`; an empty one is a keepalive.
    fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Sealed;
    /// Seals the next packet kept since [`Sealed::Kept`], if there is a session now.
    fn next_kept(&mut self, out: &mut [u8]) -> Option<usize>;
    /// Writes a new initiation, also while an older one is unanswered.
    fn initiate(&mut self, out: &mut [u8]) -> Option<usize>;
    /// Answers an initiation (type 1) of 148 bytes.
    fn answer(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<usize, Drop>;
    /// Takes the response (type 2) of 92 bytes to an initiation of ours and writes the keepalive
    /// that confirms the session.
    fn complete(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<usize, Drop>;
    /// Takes a cookie (type 3) of 64 bytes for the next initiation.
    fn keep_cookie(&mut self, datagram: &[u8]) -> Result<(), Drop>;
    /// Opens a data message (type 4) of at least 32 bytes into `plain`, which is as long as the
    /// datagram, and returns the length of the IP packet without its padding; zero for a keepalive.
    fn open(&mut self, datagram: &[u8], plain: &mut [u8]) -> Result<usize, Drop>;
    /// Time has passed.
    fn tick(&mut self, out: &mut [u8]) -> Tick;
}

/// What became of a packet to be sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// A data message of this length.
    Data(usize),
    /// There is no session after all. The tunnel kept the packet, and wrote an initiation of this
    /// length if none was under way.
    Kept(Option<usize>),
}

/// What time has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Nothing.
    Nothing,
    /// An initiation of this length wants to be sent.
    Initiation(usize),
    /// A keepalive of this length wants to be sent.
    Keepalive(usize),
    /// Keys are wiped and nothing is under way. A new handshake is still possible.
    Expired,
}
