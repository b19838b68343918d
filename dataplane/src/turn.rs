//! One turn of the engine.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;

use crate::drops::{Drop, Drops};
use crate::engine::MAX_DATAGRAM;
use crate::event::{Event, Events};
use crate::sink::Sink;

/// How often tunnels' timers run. They are all of whole seconds, and one wake a second serves all
/// tunnels, since their ticks fall together.
const TICK: Duration = Duration::from_secs(1);

/// What the engine lends to a peer for a turn.
pub(crate) struct Kit {
    /// The counters.
    pub(crate) drops: Drops,
    /// The event queue.
    pub(crate) events: Events,
    /// For session indices and jitter.
    pub(crate) rng: ChaCha8Rng,
    /// Room for one plaintext of any size.
    pub(crate) scratch: Box<[u8]>,
    /// Ticks count from here.
    started: Instant,
}

impl Kit {
    /// An empty kit.
    pub(crate) fn new(rng: ChaCha8Rng, now: Instant) -> Self {
        Self {
            drops: Drops::default(),
            events: Events::default(),
            rng,
            scratch: vec![0; MAX_DATAGRAM].into_boxed_slice(),
            started: now,
        }
    }

    /// Lends everything.
    pub(crate) fn turn<'a, S: Sink>(&'a mut self, now: Instant, sink: &'a mut S) -> Turn<'a, S> {
        Turn {
            next_tick: self.next_tick(now),
            now,
            sink,
            drops: &mut self.drops,
            events: &mut self.events,
            rng: &mut self.rng,
            scratch: &mut self.scratch,
        }
    }

    /// The first whole second since the start that is later than `now`.
    pub(crate) fn next_tick(&self, now: Instant) -> Instant {
        let ticks = now.saturating_duration_since(self.started).as_secs() + 1;
        self.started + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// What a peer may touch besides itself while one `handle_*` runs.
pub(crate) struct Turn<'a, S> {
    /// The time.
    pub(crate) now: Instant,
    /// When tunnels' timers run next.
    pub(crate) next_tick: Instant,
    /// Where packets go.
    pub(crate) sink: &'a mut S,
    /// The counters.
    pub(crate) drops: &'a mut Drops,
    /// The event queue.
    pub(crate) events: &'a mut Events,
    /// For jitter.
    pub(crate) rng: &'a mut ChaCha8Rng,
    /// Room for one plaintext of any size.
    pub(crate) scratch: &'a mut [u8],
}

impl<S: Sink> Turn<'_, S> {
    /// Queues an event.
    pub(crate) fn event(&mut self, event: Event) {
        if !self.events.push(event) {
            self.drops.count(Drop::EventsFull);
        }
    }
}

/// Room for a datagram of `need` bytes, or `None` when the sink is full, which is counted.
pub(crate) fn room<'a>(
    sink: &'a mut impl Sink,
    drops: &mut Drops,
    need: usize,
) -> Option<&'a mut [u8]> {
    let slot = sink.slot(need);
    if slot.len() < need {
        drops.count(Drop::SinkFull);
        return None;
    }
    Some(slot)
}
