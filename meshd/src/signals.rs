//! Being asked to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Reason};

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
