//! Tells what happens, with the time since the start in front.

use std::time::Instant;

/// The teller.
pub(crate) struct Narrator {
    started: Instant,
}

impl Narrator {
    /// Starts the clock.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// A step of the story.
    pub(crate) fn say(&self, text: &str) {
        println!("[{:5.1} s] {text}", self.started.elapsed().as_secs_f64());
    }

    /// Something that belongs to the step before.
    pub(crate) fn show(&self, text: &str) {
        for line in text.trim_end().lines() {
            println!("          {line}");
        }
    }
}
