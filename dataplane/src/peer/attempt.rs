//! One attempt at a handshake: how often an initiation is repeated, and when to stop.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;

use crate::tunnel::REKEY_TIMEOUT;

/// Pauses after the first initiations, for those in a hurry. Four early tries of 148 bytes are cheap, and
/// far below the 50 per second at which the kernel's responder starts to ignore a peer.
const EARLY: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1200),
    Duration::from_millis(2400),
];

/// When to give up (Rekey-Attempt-Time, WireGuard paper, section 6.1).
const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);

/// Jitter is at most this part of a pause, so that two ends which began together do not stay
/// together.
const JITTER_PART: u32 = 4;

/// And never more than the kernel's.
const MAX_JITTER: Duration = Duration::from_millis(333);

/// How soon an initiation that could not be sent is tried again.
const PUT_OFF: Duration = EARLY[0];

/// When an initiation without an answer is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Early at first: a joiner's first initiation often reaches a peer that has not applied the
    /// admission yet, which takes some round trips.
    Early,
    /// As the paper has it, and the kernel: after 5 s. Only an initiation that is answered with a cookie
    /// is repeated early, for then the peer is there, and under a flood; and a lost session is to be back
    /// within those 5 s.
    Stock,
}

/// A handshake under way, from our first initiation to a confirmed session.
#[derive(Debug)]
pub(crate) struct Attempt {
    started: Instant,
    sent: usize,
    next: Instant,
    /// When the next initiation is due if a cookie comes for the last.
    with_cookie: Instant,
}

impl Attempt {
    /// An attempt whose first initiation is due now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, sent: 0, next: now, with_cookie: now }
    }

    /// An initiation was sent.
    pub(crate) fn sent(&mut self, now: Instant, pace: Pace, rng: &mut ChaCha20Rng) {
        let early = EARLY.get(self.sent).copied().unwrap_or(REKEY_TIMEOUT);
        self.sent += 1;
        self.with_cookie = now + jittered(early, rng);
        self.next = match pace {
            Pace::Early => self.with_cookie,
            Pace::Stock => now + jittered(REKEY_TIMEOUT, rng),
        };
    }

    /// The initiation could not be sent and does not count.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.next = now + PUT_OFF;
    }

    /// There is a better place to send to: the next initiation is due now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// A cookie came: it is to be shown soon, but no sooner than those in a hurry would.
    pub(crate) fn repeat_early(&mut self) {
        self.next = self.next.min(self.with_cookie);
    }

    /// How many initiations were sent.
    pub(crate) fn count(&self) -> usize {
        self.sent
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

fn jittered(pause: Duration, rng: &mut ChaCha20Rng) -> Duration {
    let most = (pause / JITTER_PART).min(MAX_JITTER).as_micros() as u64;
    pause + Duration::from_micros(rng.random_range(0..=most))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn start() -> Instant {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    /// The pauses of an attempt, all of whose initiations are answered with a cookie or none.
    fn pauses(pace: Pace, cookies: bool) -> Vec<u128> {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut attempt = Attempt::new(start());
        let mut now = attempt.next();
        let mut pauses = Vec::new();
        while !attempt.is_hopeless(now) {
            attempt.sent(now, pace, &mut rng);
            if cookies {
                attempt.repeat_early();
            }
            pauses.push((attempt.next() - now).as_millis());
            now = attempt.next();
        }
        pauses
    }

    #[test]
    fn early_pauses_grow_then_stay() {
        for (pace, cookies) in [(Pace::Early, false), (Pace::Early, true), (Pace::Stock, true)] {
            let pauses = pauses(pace, cookies);
            for (waited, pause) in pauses.iter().zip([300, 600, 1200, 2400, 5000, 5000]) {
                assert!((pause..=pause + 333.min(pause / 4)).contains(waited), "{pauses:?}");
            }
            assert!((21..=22).contains(&pauses.len()), "{}", pauses.len());
        }
    }

    #[test]
    fn stock_pauses_are_all_the_papers() {
        let pauses = pauses(Pace::Stock, false);
        assert!(pauses.iter().all(|waited| (5000..=5333).contains(waited)), "{pauses:?}");
        assert!((17..=18).contains(&pauses.len()), "{}", pauses.len());
        let steady = pauses.windows(2).all(|two| two[0] == two[1]);
        assert!(!steady, "{pauses:?}");
    }
}
