//! A session: two keys, two counters, and a life of three minutes (sections 5.4.6, 6.1 and 6.2).
//!
//! ```text
//! slot      | type, receiver, counter | packet, zeros to a multiple of 16 | tag |
//!             16 bytes                  written here by the caller          16 bytes
//! ```
//!
//! Both directions work where the bytes lie: no copy, no allocation, no lock.

use std::time::{Duration, Instant};

use super::aead::Aead;
use super::noise::Transport;
use super::window::Window;
use super::{OVERHEAD, PLAIN};
use crate::drops::Drop;

/// A session older than this is replaced by its initiator when it sends (Rekey-After-Time).
const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);

/// A session this old is dead (Reject-After-Time).
const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);

/// How long an initiation waits for its answer (Rekey-Timeout).
pub(crate) const REKEY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a receiver with nothing to say keeps silent (Keepalive-Timeout).
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// After so many packets the session is replaced (Rekey-After-Messages).
const REKEY_AFTER_MESSAGES: u64 = 1 << 60;

/// No counter reaches this (Reject-After-Messages): beyond it a replay window could no longer tell.
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

/// WireGuard pads packets to a multiple of this, to hide their exact length.
pub(crate) const PADDING: usize = 16;

/// One end of a session.
pub(crate) struct Session {
    /// What the peer calls it, and so what arrives.
    index: u32,
    /// What we call it when we send.
    header: [u8; 8],
    sealing: Aead,
    opening: Aead,
    /// The counter of the next packet sent.
    next: u64,
    window: Window,
    born: Instant,
    is_initiator: bool,
    is_paired: bool,
}

/// The length of the data message that carries `len` bytes: padded, but never beyond `mtu`, so that
/// padding makes no datagram too long for its path.
pub(crate) fn sealed_len(len: usize, mtu: usize) -> usize {
    padded_len(len, mtu) + OVERHEAD
}

fn padded_len(len: usize, mtu: usize) -> usize {
    len.next_multiple_of(PADDING).min(len.max(mtu))
}

impl Session {
    /// A session whose packets arrive under `index` and leave for the peer's index `remote`.
    pub(crate) fn new(
        keys: &Transport,
        (index, remote): (u32, u32),
        is_initiator: bool,
        now: Instant,
    ) -> Self {
        let [a, b, c, d] = remote.to_le_bytes();
        Self {
            index,
            header: [4, 0, 0, 0, a, b, c, d],
            sealing: Aead::new(&keys.send),
            opening: Aead::new(&keys.receive),
            next: 0,
            window: Window::new(),
            born: now,
            is_initiator,
            is_paired: keys.is_paired,
        }
    }

    /// The index under which its packets arrive.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// When it was made.
    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    /// When it dies.
    pub(crate) fn end(&self) -> Instant {
        self.born + REJECT_AFTER_TIME
    }

    /// Whether a pre-shared key was mixed into it.
    #[inline]
    pub(crate) fn is_paired(&self) -> bool {
        self.is_paired
    }

    /// Whether packets may be sealed in it.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        now < self.end() && self.next < REJECT_AFTER_MESSAGES
    }

    /// Whether sending in it asks for a successor: it has sent too much, or it is old and its
    /// initiator sends. The responder leaves that to the other side, lest both begin at once.
    pub(crate) fn is_worn(&self, now: Instant) -> bool {
        let old = self.is_initiator && now >= self.born + REKEY_AFTER_TIME;
        old || self.next > REKEY_AFTER_MESSAGES
    }

    /// Whether receiving in it asks its initiator for a successor: it is about to die, and nothing
    /// was sent that would have replaced it.
    pub(crate) fn is_ending(&self, now: Instant) -> bool {
        let left = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT;
        self.is_initiator && now + left >= self.end()
    }

    /// Seals the packet of `len` bytes that lies at [`PLAIN`] in `slot`, which is at least
    /// [`sealed_len`] long, for a device of `mtu`; the datagram's length. `None` once the counter has reached its end.
    #[inline]
    pub(crate) fn seal(&mut self, slot: &mut [u8], len: usize, mtu: usize) -> Option<usize> {
        if self.next >= REJECT_AFTER_MESSAGES {
            return None;
        }
        let end = PLAIN + padded_len(len, mtu);
        slot[PLAIN + len..end].fill(0);
        let tag = self.sealing.seal(self.next, &[], &mut slot[PLAIN..end])?;
        slot[..8].copy_from_slice(&self.header);
        slot[8..PLAIN].copy_from_slice(&self.next.to_le_bytes());
        slot[end..end + tag.len()].copy_from_slice(&tag);
        self.next += 1;
        Some(end + tag.len())
    }

    /// Opens a data message of at least [`OVERHEAD`] bytes where it lies: the packet is at
    /// [`PLAIN`] then, padding included, of the returned length; zero for a keepalive.
    #[inline]
    pub(crate) fn open(&mut self, datagram: &mut [u8]) -> Result<usize, Drop> {
        let counter = datagram.get(8..PLAIN).and_then(|bytes| bytes.try_into().ok());
        let counter = counter.map(u64::from_le_bytes).ok_or(Drop::DatagramMalformed)?;
        if counter >= REJECT_AFTER_MESSAGES {
            return Err(Drop::CounterExhausted);
        }
        if !self.window.is_new(counter) {
            return Err(Drop::Replay);
        }
        let sealed = &mut datagram[PLAIN..];
        let len = self.opening.open(counter, &[], sealed).ok_or(Drop::DecryptFailed)?;
        if self.window.mark(counter) { Ok(len) } else { Err(Drop::Replay) }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::tunnel::TAG;

    fn start() -> Instant {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn pair(now: Instant) -> (Session, Session) {
        let keys = |send, receive| Transport {
            send: Zeroizing::new([send; 32]),
            receive: Zeroizing::new([receive; 32]),
            is_paired: false,
        };
        let initiator = Session::new(&keys(1, 2), (10, 20), true, now);
        (initiator, Session::new(&keys(2, 1), (20, 10), false, now))
    }

    #[test]
    fn what_is_sealed_opens_where_it_lies() {
        let (mut near, mut far) = pair(start());
        for (count, len) in [0, 1, 15, 16, 17, 1385, 1399, 1400, 1401, 9000].into_iter().enumerate()
        {
            // Old bytes stay in a slot.
            let mut slot = vec![0xee; sealed_len(len, 1400)];
            slot[PLAIN..PLAIN + len].fill(7);
            let total = near.seal(&mut slot, len, 1400).expect("a fresh session");
            assert_eq!(total, sealed_len(len, 1400));
            assert_eq!(slot[..8], [4, 0, 0, 0, 20, 0, 0, 0]);
            assert_eq!(slot[8..PLAIN], (count as u64).to_le_bytes());
            let opened = far.open(&mut slot).expect("authentic");
            assert_eq!(opened, total - OVERHEAD);
            assert!(slot[PLAIN..PLAIN + len].iter().all(|byte| *byte == 7));
            assert!(slot[PLAIN + len..PLAIN + opened].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn padding_fills_up_to_sixteen_but_not_past_the_mtu() {
        for (len, padded) in
            [(0, 0), (1, 16), (16, 16), (1385, 1392), (1393, 1400), (1400, 1400), (1500, 1500)]
        {
            assert_eq!(sealed_len(len, 1400), padded + PLAIN + TAG, "{len}");
        }
        assert_eq!(sealed_len(1290, 1301), 1296 + OVERHEAD);
        assert_eq!(sealed_len(1299, 1301), 1301 + OVERHEAD);
    }

    #[test]
    fn a_changed_byte_does_not_open_and_spoils_nothing() {
        let (mut near, mut far) = pair(start());
        let mut slot = [0; OVERHEAD + 16];
        let total = near.seal(&mut slot, 16, 1400).expect("a fresh session");
        for at in 8..total {
            let mut changed = slot;
            changed[at] ^= 1;
            assert!(far.open(&mut changed[..total]).is_err(), "byte {at}");
        }
        assert!(far.open(&mut { slot }[..total]).is_ok());
        assert_eq!(far.open(&mut slot[..total]), Err(Drop::Replay));
    }

    #[test]
    fn no_counter_reaches_its_end_on_either_side() {
        let now = start();
        let (mut near, mut far) = pair(now);
        let mut slot = [0; OVERHEAD];
        near.next = REKEY_AFTER_MESSAGES;
        assert!(!near.is_worn(now));
        assert!(near.seal(&mut slot, 0, 1400).is_some());
        assert!(near.is_worn(now), "after 2^60 packets, whoever began");
        near.next = REJECT_AFTER_MESSAGES - 1;
        assert!(near.seal(&mut slot, 0, 1400).is_some());
        assert!(far.open(&mut slot).is_ok());
        assert_eq!(near.seal(&mut slot, 0, 1400), None);
        assert!(!near.is_usable(now));
        for counter in [REJECT_AFTER_MESSAGES, u64::MAX] {
            slot[8..PLAIN].copy_from_slice(&counter.to_le_bytes());
            assert_eq!(far.open(&mut slot), Err(Drop::CounterExhausted));
        }
    }

    #[test]
    fn only_the_initiator_renews_by_time() {
        let now = start();
        let (near, far) = pair(now);
        let after = |secs| now + Duration::from_secs(secs);
        assert!(!near.is_worn(after(119)) && near.is_worn(after(120)));
        assert!(!near.is_ending(after(164)) && near.is_ending(after(165)));
        assert!(near.is_usable(after(179)) && !near.is_usable(after(180)));
        assert!(!far.is_worn(after(179)) && !far.is_ending(after(179)));
    }
}
