//! The two clocks: a monotonic one for deadlines, the wall clock for stamps that travel.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, for deadlines and durations.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch, for stamps inside messages. A host whose clock stands before
/// 1970 gets 0: its stamps lose every comparison, which is right for a clock that was never set.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
