//! What other packet threads hand on: taken in crates, and worked on where it lies.

use mesh_dataplane::packet::offload::{Coalescer, Segments};
use mesh_dataplane::{Backlog, Engine, Event, Lane, Origin};
use tokio::sync::mpsc;

use super::{Ends, Worker, drain, must_wait};
use crate::io::clock;
use crate::pipeline::drops::PathDrop;
use crate::pipeline::handover::{CRATES, Crate, Label};
use crate::pipeline::outlet::Outlet;

impl Worker {
    /// Takes what other threads have handed on, on `lane`: a crate of each.
    pub(super) fn take_handed(&mut self, lane: Lane) {
        if self.ends.incoming.is_empty(lane) {
            return;
        }
        if let Some(tun) = self.outlet.tun.clone() {
            self.look_at_mtu(&tun);
        }
        let Self { engine, backlog, outlet, ends, coalescer, .. } = self;
        let Ends { events, incoming, .. } = ends;
        incoming.each(lane, |it| unpack(it, engine, backlog, outlet, coalescer, events));
        self.count_dropped();
    }

    /// Takes everything that has been handed on so far.
    pub(super) fn take_all_handed(&mut self) {
        for _ in 0..CRATES {
            self.take_handed(Lane::Control);
            self.take_handed(Lane::Bulk);
        }
    }
}

/// Works on what another thread has handed on, where it lies.
fn unpack(
    it: &mut Crate,
    engine: &mut Engine,
    backlog: &mut Backlog,
    outlet: &mut Outlet,
    coalescer: &mut Coalescer,
    events: &mpsc::Sender<Event>,
) {
    let mut sealed = 0;
    for n in 0..it.len() {
        let now = clock::now();
        let (label, at) = it.packet(n);
        match label {
            Label::Inner { lane, header } => match Segments::of(header, &it.bytes()[at]) {
                Ok(packets) if lane == Lane::Bulk && must_wait(&packets, backlog, outlet) => {
                    backlog.push(Origin::Handed, &packets, &outlet.uplink, now);
                }
                Ok(packets) => {
                    sealed += packets.inner().bytes().len();
                    engine.handle_handed_inner(lane, &packets, now, outlet);
                    // Before the send buffer is full, so that what the kernel has no room for can wait.
                    if outlet.is_enough(sealed) {
                        sealed = 0;
                        outlet.leave();
                    }
                }
                Err(_) => outlet.drops.add(PathDrop::TunMalformed, 1),
            },
            Label::Datagram { from, admitted } => {
                let datagram = &mut it.bytes()[at.clone()];
                let inner = engine.handle_handed_datagram(from, datagram, admitted, now, outlet);
                if let Some(inner) = inner {
                    let place = at.start + inner.start..at.start + inner.end;
                    coalescer.push(it.bytes(), place);
                }
            }
        }
        drain(engine, events, outlet);
    }
    coalescer.drain(it.bytes(), |packet| outlet.deliver(packet));
}
