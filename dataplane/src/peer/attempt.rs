//! One attempt at a handshake: how often an initiation is repeated, and when to stop.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;

/// Pauses after the first initiations. WireGuard waits 5 s, but a joiner's first initiation often
/// reaches a peer that has not applied the admission yet, which takes some round trips; and a
/// cookie is to be shown soon. Four early tries of 148 bytes are cheap, and far below the 50 per
/// second at which the kernel's responder starts to ignore a peer.
const EARLY: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1200),
    Duration::from_millis(2400),
];

/// The pause after that (Rekey-Timeout, WireGuard paper, section 6.1).
const REKEY_TIMEOUT: Duration = Duration::from_secs(5);

/// When to give up (Rekey-Attempt-Time, ibid.).
const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);

/// Jitter is at most this part of a pause, so that two ends which began together do not stay
/// together.
const JITTER_PART: u32 = 4;

/// A handshake under way, from our first initiation to a confirmed session.
#[derive(Debug)]
pub(crate) struct Attempt {
    started: Instant,
    sent: usize,
    next: Instant,
}

impl Attempt {
    /// An attempt whose first initiation is due now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, sent: 0, next: now }
    }

    /// An initiation was sent.
    pub(crate) fn sent(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        let pause = EARLY.get(self.sent).copied().unwrap_or(REKEY_TIMEOUT);
        let most = (pause / JITTER_PART).as_micros() as u64;
        let jitter = Duration::from_micros(rng.random_range(0..=most));
        self.sent += 1;
        self.next = now + pause + jitter;
    }

    /// The initiation could not be sent and does not count.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.next = now + EARLY[0];
    }

    /// There is a better place to send to: the next initiation is due now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// When the next initiation is due.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether it has gone on for too long.
    pub(crate) fn is_hopeless(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.started) >= REKEY_ATTEMPT_TIME
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn early_pauses_grow_then_stay() {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut attempt = Attempt::new(start);
        let mut now = start;
        for pause in [300, 600, 1200, 2400, 5000, 5000] {
            attempt.sent(now, &mut rng);
            let waited = (attempt.next() - now).as_millis();
            assert!((pause..=pause + pause / 4).contains(&waited), "{waited}");
            now = attempt.next();
        }
        assert!(!attempt.is_hopeless(now));
        assert!(attempt.is_hopeless(start + REKEY_ATTEMPT_TIME));
    }
}
