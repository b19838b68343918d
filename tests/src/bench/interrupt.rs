//! Ctrl-C: what runs is taken down in order, and what was measured so far is shown.

use nix::sys::signal::Signal;

use crate::error::{Context as _, Error, Result};
use crate::raw;

/// From now on the first SIGINT, SIGTERM or SIGHUP ends the run in order; the second ends it at once,
/// and what was [tied](crate::daemon::Daemon::start_tied) to it.
pub fn heed() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        raw::signal::note_first(signal).context(format!("heed {signal}"))?;
    }
    Ok(())
}

/// Whether somebody wants the run to end.
pub fn requested() -> bool {
    raw::signal::asked_to_end()
}

/// An error once somebody wants the run to end.
pub fn check() -> Result<()> {
    if requested() {
        return Err(Error::Failed("interrupted".to_owned()));
    }
    Ok(())
}
