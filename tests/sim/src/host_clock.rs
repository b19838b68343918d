//! A host's wall clock: wrong by what its operator, its battery or its hypervisor made of it.
//!
//! The cores measure time by the monotonic clock, which is the world's. The wall clock is data: it stamps
//! what is agreed, names a daemon's start and begins the stamps of its handshakes. None of that may need
//! it to be right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::profile::Clocks;
use crate::wall;

/// A wall clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct HostClock {
    /// How far it is ahead, in milliseconds.
    ahead_ms: Arc<AtomicI64>,
    /// How much faster than time it runs, in millionths.
    drift_ppm: i64,
    /// The latest it has ever shown.
    latest_ms: Arc<AtomicU64>,
}

impl HostClock {
    /// A clock as wrong as `clocks` allows.
    pub fn new(clocks: Clocks, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let (off, drift) = (clocks.off_ms(), i64::from(clocks.drift_ppm));
        let ahead_ms = Arc::new(AtomicI64::new(rng.random_range(-off..=off)));
        let drift_ppm = rng.random_range(-drift..=drift);
        Self { ahead_ms, drift_ppm, latest_ms: Arc::default() }
    }

    /// Somebody sets it; from now on it is so far ahead.
    pub fn set(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// What it shows `elapsed` after the world's start, in milliseconds since the Unix epoch.
    pub fn millis(&self, elapsed: Duration) -> u64 {
        let drifted = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX) / 1000;
        let drifted_ms = drifted.saturating_mul(self.drift_ppm) / 1000;
        let ahead_ms = self.ahead_ms.load(Ordering::Relaxed).saturating_add(drifted_ms);
        let shown_ms = wall::millis(elapsed).saturating_add_signed(ahead_ms);
        self.latest_ms.fetch_max(shown_ms, Ordering::Relaxed);
        shown_ms
    }

    /// The latest it has ever shown, in milliseconds since the Unix epoch; 0 while nobody has looked.
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_is_off_and_drifts_within_its_bounds_and_can_be_set() {
        let clocks = Clocks { off: HOUR, drift_ppm: 1000 };
        let off = |clock: &HostClock, at| clock.millis(at).abs_diff(wall::millis(at));
        let wrong = (0..20).map(|seed| HostClock::new(clocks, [seed; 32]));
        let most = wrong.map(|clock| off(&clock, Duration::ZERO)).max().unwrap();
        assert!((3_000_000..=3_600_000).contains(&most), "{most}");
        let clock = HostClock::new(clocks, [1; 32]);
        let same = clock.clone();
        clock.set(-5);
        assert_eq!(off(&same, Duration::ZERO), 5);
        assert!((1..=3600 + 5).contains(&off(&same, HOUR)));
        let latest_ms = same.millis(HOUR);
        clock.set(-50_000);
        assert!(clock.millis(HOUR) < latest_ms && clock.latest_ms() >= latest_ms);
    }
}
