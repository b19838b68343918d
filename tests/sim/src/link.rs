//! One direction of one link when it is not at its best: it loses more than the others, or carries so
//! little that what is sent waits in its queue, in order, until there is no room left.

use std::time::Duration;

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// The share of messages lost, on top of what any link loses.
    pub loss: f64,
    /// How many bytes get through each second, if that is what hurts.
    pub bytes_per_second: Option<u64>,
    /// The longest a message waits its turn; one that would wait longer is dropped.
    pub queue: Duration,
}

/// A link in bad weather.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) weather: Weather,
    /// When it has carried everything that waits.
    free_at: Duration,
}

impl Link {
    pub(crate) fn new(weather: Weather) -> Self {
        Self { weather, free_at: Duration::ZERO }
    }

    /// Whether messages keep their order.
    pub(crate) fn is_queue(&self) -> bool {
        self.weather.bytes_per_second.is_some()
    }

    /// How long until `len` bytes sent at `now` are through, `None` when the queue is full.
    pub(crate) fn carry(&mut self, len: usize, now: Duration) -> Option<Duration> {
        let Some(rate) = self.weather.bytes_per_second else { return Some(Duration::ZERO) };
        let start = self.free_at.max(now);
        if start - now > self.weather.queue {
            return None;
        }
        self.free_at = start + Duration::from_secs_f64(len as f64 / rate.max(1) as f64);
        Some(self.free_at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn slow(queue: Duration) -> Link {
        Link::new(Weather { loss: 0.0, bytes_per_second: Some(100), queue })
    }

    #[test]
    fn messages_wait_for_those_before_them_and_a_full_queue_drops() {
        let mut link = slow(2 * SECOND);
        assert_eq!(link.carry(100, SECOND), Some(SECOND));
        assert_eq!(link.carry(100, SECOND), Some(2 * SECOND));
        assert_eq!(link.carry(100, SECOND), Some(3 * SECOND));
        assert_eq!(link.carry(100, SECOND), None);
        assert_eq!(link.carry(100, 2 * SECOND), Some(3 * SECOND), "there is room again");
    }

    #[test]
    fn an_idle_link_owes_nothing() {
        let mut link = slow(SECOND);
        assert_eq!(link.carry(50, Duration::ZERO), Some(SECOND / 2));
        assert_eq!(link.carry(50, 9 * SECOND), Some(SECOND / 2));
        let mut plain = Link::new(Weather { bytes_per_second: None, ..link.weather });
        assert_eq!(plain.carry(1 << 20, Duration::ZERO), Some(Duration::ZERO));
    }
}
