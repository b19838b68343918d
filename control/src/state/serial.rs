//! Serials: which of several statements about one thing is the last.
//!
//! A serial is inside the signature, so that whoever orders the log cannot bring an old statement back. But whoever signs
//! one chooses it, and only a higher one follows: an admin that signs the highest there is, and is removed, would have the
//! last word for ever. So a serial leaps only so far, and there is always room for those who are admins after it.

use crate::command::Refusal;

/// How far a serial may be ahead of the one before it. As milliseconds, which verdicts count in, seven weeks: no
/// admin's clock is that wrong. And nobody can use serials up: it takes four thousand million such leaps, each
/// an entry of the log.
pub const MAX_LEAP: u64 = 1 << 32;

/// Refuses `serial` if it is too far ahead of `last`.
pub(super) fn check_leap(serial: u64, last: u64) -> Result<(), Refusal> {
    let most = last.saturating_add(MAX_LEAP);
    if serial <= most { Ok(()) } else { Err(Refusal::SerialTooFar { serial, most }) }
}

/// Whether `serial`, agreed at index `at`, can have come of leaps from `first`: one an entry.
pub(super) fn is_reachable(serial: u64, first: u64, at: u64) -> bool {
    serial <= first.saturating_add(at.saturating_mul(MAX_LEAP))
}
