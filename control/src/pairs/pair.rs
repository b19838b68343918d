//! One pair's key, as one end of it sees it.

use std::time::{Duration, Instant};

use mesh_model::PresharedKey;

use super::{FIRST_PAUSE, MAX_TRIES, RENEWED_AFTER, SETTLING};

/// What this host and one member have agreed on.
#[derive(Default)]
pub(super) struct Pair {
    /// The key, and since when.
    agreed: Option<(PresharedKey, Instant)>,
    /// Questions since the last session that stayed without an answer.
    tries: u32,
}

impl Pair {
    /// When to ask for another key after a new session, made with one or without; `None` where all is well.
    pub(super) fn want(&self, is_paired: bool, now: Instant) -> Option<Instant> {
        match (&self.agreed, is_paired) {
            (Some((_, since)), true) => (now >= *since + RENEWED_AFTER).then_some(now),
            (Some((_, since)), false) => Some(now.max(*since + SETTLING)),
            (None, _) => Some(now),
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

    /// The member agrees on no keys; whether there was one.
    pub(super) fn forget(&mut self) -> bool {
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
