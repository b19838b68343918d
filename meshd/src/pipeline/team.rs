//! What packet threads know of each other: that one has ended, and so all do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::doorbell::Ringer;

/// All packet threads of a host.
pub(super) struct Team {
    over: AtomicBool,
    bells: Vec<Ringer>,
}

/// A thread's place among them: to be let go of at its end.
pub(super) struct Leave(Arc<Team>);

impl Team {
    /// The threads with these bells.
    pub(super) fn new(bells: Vec<Ringer>) -> Arc<Self> {
        Arc::new(Self { over: AtomicBool::new(false), bells })
    }

    /// Whether one has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// What ends the others when it is dropped.
    pub(super) fn leave(self: &Arc<Self>) -> Leave {
        Leave(Arc::clone(self))
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        // Ringing has the fence that makes a sleeper see it or wake.
        self.0.over.store(true, Ordering::Relaxed);
        self.0.bells.iter().for_each(Ringer::ring);
    }
}
