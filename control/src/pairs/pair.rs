//! One pair's key, as one end of it sees it.

use std::time::{Duration, Instant};

use mesh_model::PresharedKey;

use super::{FIRST_PAUSE, MAX_TRIES, REFUSED_PAUSE, RENEWED_AFTER, SETTLING};

/// What this host and one member have agreed on.
#[derive(Default)]
pub(super) struct Pair {
    /// The key, and since when.
    agreed: Option<(PresharedKey, Instant)>,
    /// Questions since the last session that stayed without an answer.
    tries: u32,
    /// When the member refused last.
    refused: Option<Instant>,
}

impl Pair {
    /// When to ask for another key after a new session, made with one or without; `None` where all is well.
    pub(super) fn want(&self, is_paired: bool, now: Instant) -> Option<Instant> {
        match (&self.agreed, is_paired) {
            (Some((_, since)), true) => (now >= *since + RENEWED_AFTER).then_some(now),
            (Some((_, since)), false) => Some(now.max(*since + SETTLING)),
            (None, _) => Some(self.refused.map_or(now, |at| now.max(at + REFUSED_PAUSE))),
        }
    }

    /// A session is a reason to ask.
    pub(super) fn begin(&mut self) {
        self.tries = 0;
    }

    /// Both have `key` from now on.
    pub(super) fn agree(&mut self, key: PresharedKey, now: Instant) {
        self.agreed = Some((key, now));
    }

    /// The member offers `key`; whether it is taken.
    pub(super) fn take(&mut self, key: PresharedKey, now: Instant) -> bool {
        let is_due = self.agreed.as_ref().is_none_or(|(_, since)| now >= *since + FIRST_PAUSE);
        if is_due {
            self.agree(key, now);
        }
        is_due
    }

    /// The member agrees on no keys; whether there was one.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        self.refused = Some(now);
        self.agreed.take().is_some()
    }

    /// A question stayed without an answer: the pause before the next one, if there is to be one.
    pub(super) fn fail(&mut self) -> Option<Duration> {
        let pause = FIRST_PAUSE * 2u32.pow(self.tries);
        self.tries += 1;
        (self.tries < MAX_TRIES).then_some(pause)
    }

    /// The key.
    pub(super) fn key(&self) -> Option<&PresharedKey> {
        self.agreed.as_ref().map(|(key, _)| key)
    }
}
