//! Virtual time: tokio's paused clock leads, the others follow.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// The time of the world on this thread, for its log lines.
    static SHOWN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What log lines of this thread are stamped with.
pub fn shown() -> Duration {
    SHOWN.get()
}

/// A runtime on this thread whose time passes when nobody has anything to do.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads or sockets needs nothing that could fail")
}

/// The clock of one world.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// Time zero, on this thread: inside a tokio runtime that was started paused.
    pub fn start() -> Self {
        let clock = Self { start: tokio::time::Instant::now() };
        clock.show();
        clock
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The present, as the cores take it.
    pub fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// How long after the start `instant` is.
    pub fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start.into_std())
    }

    /// The moment `elapsed` after the start, for tokio's timers.
    pub fn at(&self, elapsed: Duration) -> tokio::time::Instant {
        self.start + elapsed
    }

    /// Lets this thread's log lines show the present.
    pub fn show(&self) {
        SHOWN.set(self.elapsed());
    }
}
