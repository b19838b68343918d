//! The clocks: a monotonic one for deadlines, the wall clock for stamps that travel, and one that
//! tells whether the host slept.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use mesh_dataplane::WallTime;

/// Now, for deadlines and durations.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock. A host whose clock stands before 1970 has the epoch.
pub(crate) fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Milliseconds since the Unix epoch, for stamps inside messages. A host whose clock stands before
/// 1970 gets 0: its stamps lose every comparison, which is right for a clock that was never set.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// How long the host has been asleep since it was started, in all: the monotonic clock does not count
/// that.
pub(crate) fn asleep() -> Duration {
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::try_from(time).unwrap_or_default()
    };
    let monotonic = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(monotonic)
}
