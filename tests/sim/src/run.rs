//! One run on a thread of its own: equal options, equal runs.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::invariants::Violation;
use crate::trace::Line;
use crate::world::{Options, Stats, World};

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// What went wrong first, if anything did.
    pub violation: Option<Violation>,
    /// A hash over everything that happened, and over the bytes of what hosts sent each other.
    pub digest: blake3::Hash,
    /// In numbers.
    pub stats: Stats,
    /// The trace, if it was kept.
    pub trace: Vec<Line>,
    /// How long it took, in real time.
    pub took: Duration,
}

/// What the cores say of themselves, to standard error.
fn logger(filter: Targets) -> impl tracing::Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt::layer()
        .with_timer(VirtualTime)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

/// Stamps log lines with the time of the world.
struct VirtualTime;

impl tracing_subscriber::fmt::time::FormatTime for VirtualTime {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:>12.6}", crate::clock::shown().as_secs_f64())
    }
}

/// How long a run may take, in real time, before it is taken for stuck: a hundred times the usual. A core
/// that never waits keeps virtual time from passing, and nothing but real time can tell.
const STUCK: Duration = Duration::from_secs(120);

/// What a run leaves behind.
type Left = (Option<Violation>, blake3::Hash, Stats, Vec<Line>);

/// Runs `options`, logging what `log` lets through, on a fresh thread: tokio and the clocks keep state per
/// thread.
pub fn run(options: Options, log: Option<Targets>) -> Report {
    let start = Instant::now();
    let (done, result) = mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("seed {}", options.seed));
    let thread = thread.spawn(move || {
        let _logging = log.map(|filter| tracing::subscriber::set_default(logger(filter)));
        // Nobody listening means that the run was given up.
        let _ = done.send(live(options));
    });
    let thread = thread.expect("the system lets us start a thread");
    let left = match result.recv_timeout(STUCK) {
        Ok(left) => left,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let message = format!("virtual time stands still for {} s", STUCK.as_secs());
            failed(Violation::new("time_goes_on", message))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => failed(Violation::new(
            "no_panic",
            thread.join().err().map_or_else(String::new, |panic| words(&*panic)),
        )),
    };
    let (violation, digest, stats, trace) = left;
    Report { violation, digest, stats, trace, took: start.elapsed() }
}

/// One world, from its founding to its end.
fn live(options: Options) -> Left {
    crate::clock::runtime().block_on(async {
        let mut world = World::new(options);
        let violation = world.run().await.err();
        let (digest, trace) = world.story();
        (violation, digest, world.stats(), trace)
    })
}

fn failed(violation: Violation) -> Left {
    let digest = blake3::hash(violation.message.as_bytes());
    (Some(violation), digest, Stats::default(), Vec::new())
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}
