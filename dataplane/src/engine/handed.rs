//! What one slice hands on to another, and takes from it.

use std::ops::Range;
use std::time::Instant;

use super::Engine;
use crate::backlog::Origin;
use crate::drops::Drop;
use crate::endpoint::Endpoint;
use crate::packet::offload::Segments;
use crate::peers::Slot;
use crate::sink::{Lane, Parcel, Sink};

/// How far something has come. Slices that have not taken the same updates yet may disagree about a
/// peer; what goes on only ever goes forward, so nothing goes round between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    /// From outside.
    First,
    /// From another slice, as it came.
    Handed,
    /// From the slice that judges handshakes, and worth the work.
    Admitted,
}

impl Engine {
    /// Sends what another slice has [handed on](Parcel::Inner).
    pub fn handle_handed_inner(
        &mut self,
        lane: Lane,
        packets: &Segments<'_>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        self.send(lane, packets, Leg::Handed, now, sink);
    }

    /// Sends what has waited in the [`Backlog`](crate::Backlog), as far as it may go still.
    pub fn handle_waited(
        &mut self,
        origin: Origin,
        packets: &Segments<'_>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        match origin {
            Origin::Kernel => self.handle_kernel(packets, now, sink),
            Origin::Handed => self.handle_handed_inner(Lane::Bulk, packets, now, sink),
        }
    }

    /// Takes a datagram that another slice has [handed on](Parcel::Datagram); like
    /// [`handle_datagram`](Self::handle_datagram).
    #[must_use = "the kernel waits for the packet"]
    pub fn handle_handed_datagram(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        admitted: bool,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Option<Range<usize>> {
        let leg = if admitted { Leg::Admitted } else { Leg::Handed };
        self.receive(from, datagram, leg, now, sink)
    }

    /// Deals with packets whose peer cannot be sent to from here: it is another slice's, or nowhere.
    #[cold]
    pub(super) fn send_elsewhere(
        &mut self,
        slot: Slot,
        lane: Lane,
        packets: &Segments<'_>,
        leg: Leg,
        sink: &mut impl Sink,
    ) {
        match self.peers.elsewhere(slot) {
            Some(slice) if leg == Leg::First => {
                sink.hand_on(slice, Parcel::Inner { lane, packets });
            }
            Some(_) => self.kit.drops.add(Drop::Moved, packets.count()),
            None => self.kit.drops.add(Drop::NoEndpoint, packets.count()),
        }
    }

    /// Deals with a datagram that was not taken: hands on what names another slice's index, which is
    /// never one that was handed on for it, and counts the rest.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        drop: Drop,
        from: Endpoint,
        datagram: &[u8],
        leg: Leg,
        sink: &mut impl Sink,
    ) {
        let elsewhere = self.slice.elsewhere(datagram);
        match elsewhere.filter(|_| drop == Drop::UnknownIndex && leg == Leg::First) {
            Some(slice) => {
                let parcel = Parcel::Datagram { from, bytes: datagram, admitted: false };
                sink.hand_on(slice, parcel);
            }
            None => self.kit.drops.count(drop),
        }
    }
}
