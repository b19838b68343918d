//! Signals that ask this process to end.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on the first `signal` is only noted. The second does what it always does.
pub(crate) fn note_first(signal: Signal) -> nix::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESETHAND, SigSet::empty());
    // SAFETY: the handler stores to an atomic and does nothing else.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Whether a noted signal has come.
pub(crate) fn asked_to_end() -> bool {
    ASKED.load(Ordering::Relaxed)
}
