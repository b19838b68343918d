//! Several slices that pass for one engine: what a host with several packet threads is, without the
//! threads.
//!
//! Everything arrives at the wrong slice as often as it can: datagrams go round from slice to slice
//! whatever they say. What comes from the kernel goes by its destination, as a device with several queues
//! keeps the packets of a flow in one.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use mesh_dataplane::packet::offload::{Segments, VirtioHeader};
use mesh_dataplane::{
    Drops, Endpoint, Engine, EngineConfig, Event, Lane, OwnKeys, Parcel, PeerStats, Sink, Slice,
    WallTime,
};
use mesh_model::plan::Update;
use mesh_model::{MemberId, TunnelSecret};

/// What one slice has handed on to another, in memory of its own.
enum Handed {
    Inner { lane: Lane, header: VirtioHeader, bytes: Vec<u8> },
    Datagram { from: Endpoint, bytes: Vec<u8>, admitted: bool },
}

/// A slice's way out: the host's own sink, and the way to the others.
struct Way<'a, S> {
    out: &'a mut S,
    handed: &'a mut VecDeque<(usize, Handed)>,
}

impl<S: Sink> Sink for Way<'_, S> {
    fn slot(&mut self, lane: Lane, max: usize) -> &mut [u8] {
        self.out.slot(lane, max)
    }

    fn send(&mut self, to: Endpoint, len: usize) {
        self.out.send(to, len);
    }

    fn send_no_further(&mut self, to: Endpoint, hops: u8, len: usize) {
        self.out.send_no_further(to, hops, len);
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        self.out.control(from, packet);
    }

    fn hand_on(&mut self, to: usize, parcel: Parcel<'_>) {
        let handed = match parcel {
            Parcel::Inner { lane, packets } => {
                let bytes = packets.inner().bytes().to_vec();
                Handed::Inner { lane, header: packets.header(), bytes }
            }
            Parcel::Datagram { from, bytes, admitted } => {
                Handed::Datagram { from, bytes: bytes.to_vec(), admitted }
            }
        };
        self.handed.push_back((to, handed));
    }
}

/// The slices of a host.
pub(crate) struct Sliced {
    slices: Vec<Engine>,
    handed: VecDeque<(usize, Handed)>,
    /// Datagrams that have arrived.
    arrived: usize,
    /// The slices' drops together.
    drops: Drops,
    /// Updates that a slice has yet to take.
    behind: Vec<VecDeque<Update>>,
    /// Everything ever handed on.
    pub(crate) hops: usize,
}

impl Sliced {
    pub(crate) fn new(config: &EngineConfig, of: usize, seed: [u8; 32], now: Instant) -> Self {
        let slices = Slice::all(of).map(|slice| Engine::sliced(config.clone(), slice, seed, now));
        let slices: Vec<_> = slices.collect();
        let behind = slices.iter().map(|_| VecDeque::new()).collect();
        let (handed, drops) = (VecDeque::new(), Drops::default());
        Self { slices, handed, arrived: 0, drops, behind, hops: 0 }
    }

    pub(crate) fn slices(&self) -> &[Engine] {
        &self.slices
    }

    pub(crate) fn handle_update(&mut self, update: Update, now: Instant, sink: &mut impl Sink) {
        self.each(now, sink, |engine, way| engine.handle_update(update.clone(), now, way));
    }

    /// Only `slice` takes the update for now; the others do when they [catch up](Self::catch_up).
    pub(crate) fn handle_update_early(
        &mut self,
        slice: usize,
        update: Update,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        let all = self.behind.iter_mut().enumerate();
        all.filter(|(n, _)| *n != slice).for_each(|(_, behind)| behind.push_back(update.clone()));
        self.at(slice, sink, |engine, way| engine.handle_update(update, now, way));
        self.carry(now, sink);
    }

    pub(crate) fn catch_up(&mut self, now: Instant, sink: &mut impl Sink) {
        for slice in 0..self.slices.len() {
            for update in std::mem::take(&mut self.behind[slice]) {
                self.at(slice, sink, |engine, way| engine.handle_update(update, now, way));
            }
        }
        self.carry(now, sink);
    }

    pub(crate) fn handle_secret(
        &mut self,
        secret: Option<TunnelSecret>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        self.each(now, sink, |engine, way| engine.handle_secret(secret.clone(), now, way));
    }

    pub(crate) fn handle_keys(&mut self, keys: &OwnKeys) {
        self.slices.iter_mut().for_each(|engine| engine.handle_keys(keys));
    }

    pub(crate) fn handle_resume(&mut self, now: Instant, sink: &mut impl Sink) {
        self.each(now, sink, |engine, way| engine.handle_resume(now, way));
    }

    pub(crate) fn handle_wall(&mut self, wall: WallTime, now: Instant) {
        self.slices.iter_mut().for_each(|engine| engine.handle_wall(wall, now));
    }

    pub(crate) fn handle_link(&mut self, up: bool, now: Instant, sink: &mut impl Sink) {
        self.each(now, sink, |engine, way| engine.handle_link(up, now, way));
    }

    pub(crate) fn handle_datagram(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Option<Range<usize>> {
        let slice = self.arrived % self.slices.len();
        self.arrived += 1;
        let take = |engine: &mut Engine, way: &mut Way<'_, _>| {
            engine.handle_datagram(from, datagram, now, way)
        };
        if let Some(inner) = self.at(slice, sink, take) {
            return Some(inner);
        }
        // Opened elsewhere, it looks the same here.
        let (opened, inner) = self.carry(now, sink)?;
        datagram.copy_from_slice(&opened);
        Some(inner)
    }

    pub(crate) fn handle_inner(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        self.at(0, sink, |engine, way| engine.handle_inner(packet, now, way));
        self.carry(now, sink);
    }

    pub(crate) fn handle_kernel(
        &mut self,
        packets: &Segments<'_>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        let flow = match packets.inner().dst() {
            IpAddr::V4(v4) => v4.to_bits() as usize,
            IpAddr::V6(v6) => v6.to_bits() as usize,
        };
        let slice = (flow + 1) % self.slices.len();
        self.at(slice, sink, |engine, way| engine.handle_kernel(packets, now, way));
        self.carry(now, sink);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        self.each(now, sink, |engine, way| engine.handle_timeout(now, way));
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.slices.iter().filter_map(Engine::poll_timeout).min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.slices.iter_mut().find_map(Engine::poll_event)
    }

    pub(crate) fn newest_stamp(&self) -> Option<WallTime> {
        self.slices.iter().filter_map(Engine::newest_stamp).max()
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerStats> {
        let mut peers: Vec<_> = self.slices.iter().flat_map(Engine::peers).collect();
        peers.sort_by_key(|peer| peer.key);
        assert!(peers.windows(2).all(|two| two[0].key != two[1].key), "a peer of two slices");
        peers.into_iter()
    }

    /// Lets one slice do something.
    fn at<S: Sink, T>(
        &mut self,
        slice: usize,
        out: &mut S,
        act: impl FnOnce(&mut Engine, &mut Way<'_, S>) -> T,
    ) -> T {
        let done = act(&mut self.slices[slice], &mut Way { out, handed: &mut self.handed });
        self.drops = self.slices.iter().map(Engine::drops).sum();
        done
    }

    /// Lets every slice do something.
    fn each<S: Sink>(
        &mut self,
        now: Instant,
        out: &mut S,
        mut act: impl FnMut(&mut Engine, &mut Way<'_, S>),
    ) {
        for slice in 0..self.slices.len() {
            self.at(slice, out, &mut act);
        }
        self.carry(now, out);
    }

    /// Brings what was handed on to whom it is for. Returns a datagram that was opened on the way: of
    /// one that arrived there is one at most.
    fn carry(&mut self, now: Instant, out: &mut impl Sink) -> Option<(Vec<u8>, Range<usize>)> {
        let mut opened = None;
        let mut legs = 0;
        while let Some((to, handed)) = self.handed.pop_front() {
            legs += 1;
            assert!(legs <= 2, "it goes round");
            self.hops += 1;
            match handed {
                Handed::Inner { lane, header, bytes } => {
                    let packets = Segments::of(header, &bytes).expect("as it was");
                    self.at(to, out, |engine, way| {
                        engine.handle_handed_inner(lane, &packets, now, way);
                    });
                }
                Handed::Datagram { from, mut bytes, admitted } => {
                    let inner = self.at(to, out, |engine, way| {
                        engine.handle_handed_datagram(from, &mut bytes, admitted, now, way)
                    });
                    opened = inner.map(|inner| (bytes, inner)).or(opened);
                }
            }
        }
        opened
    }
}
