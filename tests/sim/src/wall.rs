//! Virtual wall time.

use std::time::Duration;

/// Where virtual wall time starts: 1 January 2026, in seconds since the Unix epoch.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// The wall time in milliseconds since the Unix epoch, `elapsed` after the world's start.
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from((EPOCH + elapsed).as_millis()).expect("within the lifetime of this program")
}
