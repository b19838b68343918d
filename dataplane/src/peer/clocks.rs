//! The deadlines that packets set and clear.
//!
//! Each packet touches them, so they are plain fields: nothing is scheduled or cancelled here. The
//! table of peers compares the earliest one with what it has scheduled, and a wake that comes too
//! early looks again.

use std::time::Instant;

use crate::tunnel::{KEEPALIVE_TIMEOUT, REKEY_TIMEOUT};

/// The deadlines of one peer.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    /// The next packet that keeps NAT mappings open.
    pub(crate) keepalive_at: Option<Instant>,
    /// Data came and nothing was sent since: the peer is to hear from us by then.
    pub(crate) reply_at: Option<Instant>,
    /// More data came after that, so once may not be enough.
    pub(crate) reply_again: bool,
    /// Data was sent and nothing came since: then the peer has lost the session.
    pub(crate) missing_at: Option<Instant>,
    /// When anything was last sent.
    pub(crate) last_sent: Option<Instant>,
}

impl Clocks {
    /// An authentic packet left, of any kind.
    #[inline]
    pub(crate) fn sent(&mut self, now: Instant) {
        self.last_sent = Some(now);
        self.reply_at = None;
        self.reply_again = false;
    }

    /// Data left.
    #[inline]
    pub(crate) fn sent_data(&mut self, now: Instant) {
        self.missing_at.get_or_insert(now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT);
    }

    /// An authentic packet came, of any kind.
    #[inline]
    pub(crate) fn heard(&mut self) {
        self.missing_at = None;
    }

    /// Data came.
    #[inline]
    pub(crate) fn heard_data(&mut self, now: Instant) {
        if self.reply_at.is_some() {
            self.reply_again = true;
        } else {
            self.reply_at = Some(now + KEEPALIVE_TIMEOUT);
        }
    }

    /// The silence is to be broken now; whether it will have to be once more.
    pub(crate) fn take_reply(&mut self) -> bool {
        self.reply_at = None;
        std::mem::take(&mut self.reply_again)
    }

    /// What was sent and heard in sessions that are gone no longer counts.
    pub(crate) fn forget_packets(&mut self) {
        (self.reply_at, self.reply_again, self.missing_at) = (None, false, None);
    }
}
