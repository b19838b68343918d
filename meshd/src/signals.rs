//! Signals: those that ask the daemon to end, and one that must not.

use nix::sys::signal::{self as sys, SigHandler};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Reason};

/// Has a write that would make a file longer than this process may (`RLIMIT_FSIZE`) fail like any other, with EFBIG.
/// Unless told otherwise, the kernel ends the process at such a write, and the tunnels with it.
#[allow(unsafe_code)]
pub(crate) fn outlive_file_limits() {
    // SAFETY: nothing runs when the signal comes. It is refused for no signal that can be ignored.
    let _ = unsafe { sys::signal(sys::SIGXFSZ, SigHandler::SigIgn) };
}

/// The signals that end the daemon.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from now on.
    pub(crate) fn listen() -> Result<Self, Exit> {
        let catch = |kind| {
            signal(kind).map_err(|error| {
                Exit::because(
                    Reason::Environment,
                    format_args!("signals cannot be caught: {error}"),
                )
            })
        };
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }

    /// The name of the first that arrives. Further ones change nothing: everything that happens
    /// afterwards has a time limit of its own.
    pub(crate) async fn end(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
