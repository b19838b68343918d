//! Waiting for what must become true.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often a condition is looked at: far finer than anything a person or a deadline here notices.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// What `probe` finds, as soon as it finds something; an error naming `what` after `limit`.
///
/// Deadlines in tests are generous: they tell "never" from "late", they do not measure.
pub fn eventually<T>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Error::Failed(format!("did not happen within {limit:?}: {what}")));
        }
        std::thread::sleep(POLL_EVERY);
    }
}
