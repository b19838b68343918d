//! How long a host waits for its disk. One sync runs at a time; whatever is asked for meanwhile is in the
//! next one, however much that is.

use std::time::Duration;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Busy {
    running_until: Duration,
    waiting_until: Duration,
}

impl Busy {
    /// A sync that takes so long is asked for at `now`, or none if that is zero; how long until everything
    /// asked for is done.
    pub fn ask(&mut self, takes: Duration, now: Duration) -> Duration {
        if self.running_until <= now {
            self.running_until = self.waiting_until.max(now);
        }
        self.waiting_until = self.waiting_until.max(self.running_until);
        if self.running_until == now {
            self.running_until += takes;
            self.waiting_until = self.running_until;
        } else if self.waiting_until == self.running_until {
            self.waiting_until += takes;
        }
        self.waiting_until - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_asked_for_during_a_sync_is_in_the_next() {
        let mut busy = Busy::default();
        assert_eq!(busy.ask(Duration::ZERO, SECOND), Duration::ZERO);
        assert_eq!(busy.ask(2 * SECOND, SECOND), 2 * SECOND, "until 3");
        assert_eq!(busy.ask(2 * SECOND, 2 * SECOND), 3 * SECOND, "and then until 5");
        assert_eq!(busy.ask(2 * SECOND, 2 * SECOND), 3 * SECOND, "together");
        assert_eq!(busy.ask(Duration::ZERO, 4 * SECOND), SECOND);
        assert_eq!(busy.ask(SECOND, 4 * SECOND), 2 * SECOND);
        assert_eq!(busy.ask(SECOND, 9 * SECOND), SECOND);
    }
}
