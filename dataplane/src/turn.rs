//! One turn of the engine.

use std::time::Instant;

use rand_chacha::ChaCha20Rng;

use crate::drops::{Drop, Drops};
use crate::event::{Event, Events};
use crate::indices::Indices;
use crate::peer::{Pace, Room};
use crate::sink::{Lane, Sink};
use crate::tunnel::{Keyring, StampClock};

/// What the engine lends to a peer for a turn.
pub(crate) struct Kit {
    /// The counters.
    pub(crate) drops: Drops,
    /// The event queue.
    pub(crate) events: Events,
    /// For ephemeral keys, session indices and jitter.
    pub(crate) rng: ChaCha20Rng,
    /// Our key pairs, if there are any.
    pub(crate) own: Option<Keyring>,
    /// For initiations.
    pub(crate) stamps: StampClock,
    /// Whose session is whose.
    pub(crate) indices: Indices,
    /// For what waits for handshakes.
    pub(crate) room: Room,
    /// How soon initiations are repeated.
    pub(crate) pace: Pace,
    /// The longest packet that fits the device and, sealed, the path.
    pub(crate) mtu: usize,
}

impl Kit {
    /// Lends everything.
    pub(crate) fn turn<'a, S: Sink>(&'a mut self, now: Instant, sink: &'a mut S) -> Turn<'a, S> {
        Turn {
            now,
            sink,
            drops: &mut self.drops,
            events: &mut self.events,
            rng: &mut self.rng,
            own: self.own.as_ref(),
            stamps: &mut self.stamps,
            indices: &mut self.indices,
            room: &mut self.room,
            pace: self.pace,
            mtu: self.mtu,
        }
    }
}

/// What a peer may touch besides itself while one `handle_*` runs.
pub(crate) struct Turn<'a, S> {
    /// The time.
    pub(crate) now: Instant,
    /// Where packets go.
    pub(crate) sink: &'a mut S,
    /// The counters.
    pub(crate) drops: &'a mut Drops,
    /// The event queue.
    pub(crate) events: &'a mut Events,
    /// For ephemeral keys, session indices and jitter.
    pub(crate) rng: &'a mut ChaCha20Rng,
    /// Our key pairs, if there are any.
    pub(crate) own: Option<&'a Keyring>,
    /// For initiations.
    pub(crate) stamps: &'a mut StampClock,
    /// Whose session is whose.
    pub(crate) indices: &'a mut Indices,
    /// For what waits for handshakes.
    pub(crate) room: &'a mut Room,
    /// How soon initiations are repeated.
    pub(crate) pace: Pace,
    /// The longest packet that fits the device and, sealed, the path.
    pub(crate) mtu: usize,
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
    lane: Lane,
    need: usize,
) -> Option<&'a mut [u8]> {
    let slot = sink.slot(lane, need);
    if slot.len() < need {
        drops.count(Drop::SinkFull);
        return None;
    }
    Some(slot)
}

/// Room for a handshake message.
pub(crate) fn room_for<'a, const N: usize>(
    sink: &'a mut impl Sink,
    drops: &mut Drops,
) -> Option<&'a mut [u8; N]> {
    room(sink, drops, Lane::Control, N)?.first_chunk_mut()
}
