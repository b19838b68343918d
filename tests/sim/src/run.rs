//! One run on a thread of its own: equal options, equal runs.

use std::time::Duration;

use crate::invariants::Violation;
use crate::world::{Options, Stats, World};

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// What went wrong first, if anything did.
    pub violation: Option<Violation>,
    /// A hash over everything that happened.
    pub digest: blake3::Hash,
    /// In numbers.
    pub stats: Stats,
    /// The trace, if it was kept.
    pub trace: Vec<String>,
    /// How long it took, in real time.
    pub took: Duration,
}

/// Runs `options` on a fresh thread: tokio and the clocks keep state per thread.
pub fn run(options: Options) -> Report {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without threads or sockets needs nothing that could fail");
        runtime.block_on(async {
            let mut world = World::new(options);
            let violation = world.run().await.err();
            let (digest, trace) = world.story();
            (violation, digest, world.stats(), trace)
        })
    };
    let start = std::time::Instant::now();
    let ended = std::thread::Builder::new()
        .name(format!("seed {}", options.seed))
        .spawn(run)
        .expect("the system lets us start a thread")
        .join();
    let took = start.elapsed();
    match ended {
        Ok((violation, digest, stats, trace)) => Report { violation, digest, stats, trace, took },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let violation = Violation::new("no_panic", text.unwrap_or("a panic without words"));
            let digest = blake3::hash(violation.message.as_bytes());
            let (stats, trace) = (Stats::default(), Vec::new());
            Report { violation: Some(violation), digest, stats, trace, took }
        }
    }
}
