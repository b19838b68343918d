//! The word about sleep.

use crate::sync::{AtomicBool, Ordering, fence};

/// Whether a thread sleeps or is about to, so that whoever has something for it knows whether to wake
/// it. Waking is a system call, asking is not.
///
/// ```text
/// giver                         sleeper
/// put the item in               say "asleep"            [`Sleep::announce`]
/// fence                         fence
/// asleep? then wake it          anything there? then stay awake
/// ```
///
/// Whichever fence comes second sees what the other side wrote before its own, so an item is seen by
/// the sleeper or the sleeper is woken, or both.
#[derive(Debug)]
pub struct Sleep(AtomicBool);

impl Sleep {
    /// Awake.
    #[allow(clippy::new_without_default, reason = "an atomic of loom's has no constant form")]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The sleeper is about to sleep. It must look once more for something to do before it does.
    pub fn announce(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The sleeper is awake, for whatever reason.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Something was put where the sleeper looks. `true` when the caller must wake it; of several
    /// callers one is told to.
    #[must_use]
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        // Reading first keeps the line shared while nobody sleeps.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}
