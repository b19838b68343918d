//! What packet threads hand each other: packets whose peer is another thread's.
//!
//! Between every two threads, in each direction and for each lane, there are two rings. What one thread
//! has for the other it copies into a crate, and at the end of its turn, or of a part of it, the crate goes
//! through the first ring; the other thread works on what is in it where it lies, and sends the crate back
//! empty through the second. There is a fixed number of crates, made at the start; nothing is allocated,
//! locked or waited for.
//!
//! ```text
//! turn of one:   packet, packet, packet -> crate ──ring──> turn of the other: seal, open, deliver
//!                                    spare crates <──ring── empty
//! ```
//!
//! What is urgent has crates of its own, which are unpacked first and whatever else is full: bulk neither
//! fills them nor keeps them waiting. While the other thread is behind, the last crate is kept and goes on
//! filling: what counts is bytes then, and not how many turns they came in. When it is full too, packets
//! are dropped and counted.

mod packed;
#[cfg(test)]
mod tests;

use mesh_dataplane::{Lane, Parcel};
use mesh_ring::{Consumer, Producer, ring};

use crate::io::doorbell::Ringer;
use packed::CRATE;
pub(super) use packed::{Crate, Label};

/// Crates from one thread to another on one lane: with [`CRATE`] 512 KiB, as much as the kernel holds for a
/// thread that waits for a core (see `io::udp`). Only the memory that is ever filled is taken.
pub(super) const CRATES: usize = 4;

/// What crates from one thread to another hold on both lanes, in bytes.
pub(super) const BETWEEN: usize = 2 * CRATES * CRATE;

/// One thread's ways to all others.
#[derive(Default)]
pub(super) struct Outgoing(Vec<Option<Ways>>);

/// The ways to one of them.
struct Ways {
    urgent: Way,
    bulk: Way,
}

/// The way to one of them on one lane.
struct Way {
    full: Producer<Crate>,
    empty: Consumer<Crate>,
    /// Empty ones at hand, the last used on top: its memory is in a cache yet.
    spare: Vec<Crate>,
    filling: Option<Crate>,
    bell: Ringer,
}

/// What comes to one thread from all others.
#[derive(Default)]
pub(super) struct Incoming {
    urgent: Vec<Source>,
    bulk: Vec<Source>,
}

struct Source {
    full: Consumer<Crate>,
    empty: Producer<Crate>,
}

/// The ways between all threads, whose bells these are; none for a thread that is alone.
pub(super) fn between(bells: &[Ringer]) -> Vec<(Outgoing, Incoming)> {
    let mut ends: Vec<_> =
        bells.iter().map(|_| (Outgoing::default(), Incoming::default())).collect();
    for from in 0..bells.len() {
        for (to, bell) in bells.iter().enumerate() {
            if from == to {
                ends[from].0.0.push(None);
                continue;
            }
            let (urgent, urgent_out) = way(bell);
            let (bulk, bulk_out) = way(bell);
            ends[from].0.0.push(Some(Ways { urgent, bulk }));
            ends[to].1.urgent.push(urgent_out);
            ends[to].1.bulk.push(bulk_out);
        }
    }
    ends
}

/// A way to the thread with this bell, and its other end.
fn way(bell: &Ringer) -> (Way, Source) {
    let (full, full_out) = ring(CRATES);
    let (empty, empty_out) = ring(CRATES);
    let spare = (0..CRATES).map(|_| Crate::new()).collect();
    let way = Way { full, empty: empty_out, spare, filling: None, bell: bell.clone() };
    (way, Source { full: full_out, empty })
}

impl Outgoing {
    /// Takes `parcel` along to thread `to`; `false` when there is no room.
    #[must_use]
    pub(super) fn put(&mut self, to: usize, parcel: Parcel<'_>) -> bool {
        let Some(ways) = self.0.get_mut(to).and_then(Option::as_mut) else { return false };
        let (lane, label, bytes) = match parcel {
            Parcel::Inner { lane, packets } => {
                (lane, Label::Inner { lane, header: packets.header() }, packets.inner().bytes())
            }
            Parcel::Datagram { from, bytes, admitted } => {
                // A handshake that is worth the work is urgent.
                let lane = if admitted { Lane::Control } else { Lane::Bulk };
                (lane, Label::Datagram { from, admitted }, bytes)
            }
        };
        let way = match lane {
            Lane::Control => &mut ways.urgent,
            Lane::Bulk => &mut ways.bulk,
        };
        let room = way.room(bytes.len());
        room.map(|it| it.put(label, bytes)).is_some()
    }

    /// Sends off what was put in. `false` while something must stay because a thread is behind.
    pub(super) fn dispatch(&mut self) -> bool {
        let mut all_left = true;
        for ways in self.0.iter_mut().flatten() {
            all_left &= ways.urgent.dispatch();
            all_left &= ways.bulk.dispatch();
        }
        all_left
    }
}

impl Way {
    /// A crate with room for `len` bytes more.
    fn room(&mut self, len: usize) -> Option<&mut Crate> {
        if self.filling.as_ref().is_some_and(|it| !it.has_room(len)) {
            self.refill();
            if self.spare.is_empty() {
                return None;
            }
            self.send();
        }
        if self.filling.is_none() {
            self.refill();
            self.filling = self.spare.pop();
        }
        self.filling.as_mut().filter(|it| it.has_room(len))
    }

    fn dispatch(&mut self) -> bool {
        if self.filling.is_none() {
            return true;
        }
        self.refill();
        let may_leave = !self.spare.is_empty();
        if may_leave {
            self.send();
        }
        may_leave
    }

    fn send(&mut self) {
        if let Some(it) = self.filling.take() {
            // The ring has room for all crates there are.
            self.filling = self.full.push(it).err();
            self.bell.ring();
        }
    }

    fn refill(&mut self) {
        self.spare.extend(std::iter::from_fn(|| self.empty.pop()));
    }
}

impl Incoming {
    /// Whether nothing has come on `lane`.
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        let sources = match lane {
            Lane::Control => &self.urgent,
            Lane::Bulk => &self.bulk,
        };
        sources.iter().all(|source| source.full.is_empty())
    }

    /// Of every other thread the oldest crate there is on `lane`.
    pub(super) fn each(&mut self, lane: Lane, mut take: impl FnMut(&mut Crate)) {
        let sources = match lane {
            Lane::Control => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        };
        for source in sources {
            if let Some(mut it) = source.full.pop() {
                take(&mut it);
                it.clear();
                // The ring has room for all crates there are.
                let _ = source.empty.push(it);
            }
        }
    }
}
