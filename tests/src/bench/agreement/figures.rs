//! Many times, put in few words.

use std::time::Duration;

use serde::Serialize;

use crate::bench::statistics::percentile;

/// Where times lie, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half of them are no longer.
    pub p50_ms: f64,
    /// 99 of 100 are no longer.
    pub p99_ms: f64,
    /// None is longer.
    pub max_ms: f64,
    /// How many there are.
    pub count: usize,
}

impl Spread {
    /// Of `times`; `None` when there are none.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let share = |share| percentile(times, share).map(|time| time.as_secs_f64() * 1e3);
        Some(Self {
            p50_ms: share(0.5)?,
            p99_ms: share(0.99)?,
            max_ms: share(1.0)?,
            count: times.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_in_milliseconds() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let spread = Spread::of(&times).unwrap();
        assert_eq!(spread, Spread { p50_ms: 100.0, p99_ms: 198.0, max_ms: 200.0, count: 200 });
        assert_eq!(Spread::of(&[]), None);
    }
}
