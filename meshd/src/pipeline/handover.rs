//! What packet threads hand each other: packets whose peer is another thread's.
//!
//! Between every two threads and in each direction there are two rings. What one thread has for the other
//! it copies into a crate, and at the end of its turn the crate goes through the first ring; the other
//! thread works on what is in it where it lies, and sends the crate back empty through the second. There
//! is a fixed number of crates, made at the start; nothing is allocated, locked or waited for.
//!
//! ```text
//! turn of one:   packet, packet, packet -> crate ──ring──> turn of the other: seal, open, deliver
//!                                    spare crates <──ring── empty
//! ```
//!
//! While the other thread is behind, the last crate is kept and goes on filling: what counts is bytes
//! then, and not how many turns they came in. When it is full too, packets are dropped and counted.

use std::ops::Range;

use mesh_dataplane::packet::offload::VirtioHeader;
use mesh_dataplane::{Endpoint, Lane, Parcel};
use mesh_ring::{Consumer, Producer, ring};

use crate::io::doorbell::Ringer;

/// The size of a crate, in bytes: what a turn reads from the TUN device. Twice what the longest
/// super-packet takes, so that one always fits an empty one.
const CRATE: usize = 128 * 1024;

/// Packets in a crate: of a full receive call's small ones, what two GRO runs bring.
const CRATE_PACKETS: usize = 512;

/// Crates from one thread to another: with [`CRATE`] 512 KiB, as much as the kernel holds for a thread
/// that waits for a core (see `io::udp`). Only the memory that is ever filled is taken.
pub(super) const CRATES: usize = 4;
const _: () = assert!(CRATES * CRATE <= 512 << 10, "crates hold more than they may");

/// What a packet in a crate is.
#[derive(Clone, Copy)]
pub(super) enum Label {
    /// To be sealed and sent.
    Inner { lane: Lane, header: VirtioHeader },
    /// To be opened, or a handshake.
    Datagram { from: Endpoint, admitted: bool },
}

/// Packets on their way, side by side.
pub(super) struct Crate {
    bytes: Box<[u8]>,
    end: usize,
    packets: Vec<(Label, Range<usize>)>,
}

impl Crate {
    fn new() -> Self {
        let packets = Vec::with_capacity(CRATE_PACKETS);
        Self { bytes: vec![0; CRATE].into_boxed_slice(), end: 0, packets }
    }

    fn has_room(&self, len: usize) -> bool {
        self.packets.len() < CRATE_PACKETS && CRATE - self.end >= len
    }

    fn put(&mut self, label: Label, bytes: &[u8]) {
        let at = self.end..self.end + bytes.len();
        self.bytes[at.clone()].copy_from_slice(bytes);
        self.end = at.end;
        self.packets.push((label, at));
    }

    /// How many packets there are.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// What the `n`th of them is, and where in [`bytes`](Self::bytes).
    pub(super) fn packet(&self, n: usize) -> (Label, Range<usize>) {
        self.packets[n].clone()
    }

    /// The memory that packets lie in.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// One thread's way to all others.
#[derive(Default)]
pub(super) struct Outgoing(Vec<Option<Way>>);

/// The way to one of them.
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
pub(super) struct Incoming(Vec<Source>);

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
            let (full, full_out) = ring(CRATES);
            let (empty, empty_out) = ring(CRATES);
            let spare = (0..CRATES).map(|_| Crate::new()).collect();
            let way = Way { full, empty: empty_out, spare, filling: None, bell: bell.clone() };
            ends[from].0.0.push(Some(way));
            ends[to].1.0.push(Source { full: full_out, empty });
        }
    }
    ends
}

impl Outgoing {
    /// Takes `parcel` along to thread `to`; `false` when there is no room.
    #[must_use]
    pub(super) fn put(&mut self, to: usize, parcel: Parcel<'_>) -> bool {
        let Some(way) = self.0.get_mut(to).and_then(Option::as_mut) else { return false };
        let (label, bytes) = match parcel {
            Parcel::Inner { lane, packets } => {
                (Label::Inner { lane, header: packets.header() }, packets.inner().bytes())
            }
            Parcel::Datagram { from, bytes, admitted } => {
                (Label::Datagram { from, admitted }, bytes)
            }
        };
        let room = way.room(bytes.len());
        room.map(|it| it.put(label, bytes)).is_some()
    }

    /// Sends off what was put in. `false` while something must stay because a thread is behind.
    pub(super) fn dispatch(&mut self) -> bool {
        let mut all_left = true;
        for way in self.0.iter_mut().flatten() {
            all_left &= way.dispatch();
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
    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|source| source.full.is_empty())
    }

    /// Of every other thread the oldest crate there is.
    pub(super) fn each(&mut self, mut take: impl FnMut(&mut Crate)) {
        for source in &mut self.0 {
            if let Some(mut it) = source.full.pop() {
                take(&mut it);
                it.packets.clear();
                it.end = 0;
                // The ring has room for all crates there are.
                let _ = source.empty.push(it);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::io::doorbell;

    fn pair() -> ((Outgoing, Incoming), (Outgoing, Incoming)) {
        let bell = || {
            let (sender, _) = doorbell::channel::<()>(1).expect("an eventfd");
            sender.ringer().expect("a bell")
        };
        let mut ends = between(&[bell(), bell()]).into_iter();
        (ends.next().expect("the first"), ends.next().expect("the second"))
    }

    fn datagram(bytes: &[u8]) -> Parcel<'_> {
        let from = std::net::SocketAddr::from(([192, 0, 2, 1], 1)).into();
        Parcel::Datagram { from, bytes, admitted: true }
    }

    fn take(incoming: &mut Incoming) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        incoming.each(|it| {
            for n in 0..it.len() {
                let (label, at) = it.packet(n);
                assert!(matches!(label, Label::Datagram { admitted: true, .. }));
                got.push(it.bytes()[at].to_vec());
            }
        });
        got
    }

    #[test]
    fn what_is_put_in_comes_out_in_order_at_the_end_of_the_turn() {
        let ((mut out, _), (_, mut incoming)) = pair();
        for round in 0..100u8 {
            let sent = [vec![round], vec![round; 65_545], Vec::new()];
            for bytes in &sent {
                assert!(out.put(1, datagram(bytes)));
            }
            assert!(incoming.is_empty());
            assert!(out.dispatch());
            assert_eq!(take(&mut incoming), sent);
            assert!(incoming.is_empty());
        }
        assert!(!out.put(0, datagram(b"to itself")));
        assert!(!out.put(2, datagram(b"to nobody")));
    }

    #[test]
    fn a_thread_that_is_behind_is_waited_for_by_bytes_and_then_not_at_all() {
        let ((mut out, _), (_, mut incoming)) = pair();
        // Far more turns than crates.
        let mut stayed = 0;
        for turn in 0..10 * CRATES {
            assert!(out.put(1, datagram(&turn.to_be_bytes())));
            stayed += usize::from(!out.dispatch());
        }
        assert!(stayed > 0);
        let more = (0..).take_while(|_| out.put(1, datagram(&[7; 1000]))).count();
        assert!((100..CRATE_PACKETS).contains(&more), "{more}");
        let mut got = Vec::new();
        for _ in 0..2 * CRATES {
            out.dispatch();
            got.extend(take(&mut incoming));
        }
        assert_eq!(got.len(), 10 * CRATES + more);
        let turns = got[..10 * CRATES].iter();
        assert!(turns.eq(
            (0..10 * CRATES).map(|turn| turn.to_be_bytes().to_vec()).collect::<Vec<_>>().iter()
        ));
        assert!(out.put(1, datagram(b"and again")));
    }

    #[test]
    fn between_two_threads_nothing_is_lost_or_overtakes() {
        let ((mut out, _), (_, mut incoming)) = pair();
        let packets = 50_000u32;
        let filler = thread::spawn(move || {
            for n in 0..packets {
                while !out.put(1, datagram(&n.to_be_bytes())) {
                    out.dispatch();
                    thread::yield_now();
                }
                if n % 7 == 0 {
                    out.dispatch();
                }
            }
            while !out.dispatch() {
                thread::yield_now();
            }
        });
        let mut expected = 0..packets;
        while !expected.is_empty() {
            for bytes in take(&mut incoming) {
                assert_eq!(Some(bytes), expected.next().map(|n| n.to_be_bytes().to_vec()));
            }
        }
        filler.join().expect("no panic");
    }
}
