//! A host that does nothing but send what a kernel with too much to send would give it.

use std::net::SocketAddr;

use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Engine, Lane};
use mesh_model::plan::Update;

use super::{config, plan};
use crate::io::clock;
use crate::io::fixture::{addrs, tunnel};
use crate::io::offloads::Offloads;
use crate::io::overlay::Ingress;
use crate::io::udp::{ReceiveBatch, Udp, UdpPort};
use crate::pipeline::handover::Outgoing;
use crate::pipeline::outlet::Outlet;

/// An engine and a port without the loop that drives them otherwise.
pub(in crate::pipeline) struct Flooder {
    id: u8,
    engine: Engine,
    outlet: Outlet,
    heard: ReceiveBatch,
    /// Whether there is a session.
    pub(in crate::pipeline) is_established: bool,
}

impl Flooder {
    /// Member `id`, on a loopback port of its own.
    pub(in crate::pipeline) fn new(id: u8) -> Self {
        let outlet = Outlet::new(loopback().0, None, Ingress::new().0, Outgoing::default());
        let engine = Engine::new(config(id), [id; 32], clock::now());
        Self { id, engine, outlet, heard: ReceiveBatch::new(), is_established: false }
    }

    /// Makes member `target`, who listens at `at`, its peer.
    pub(in crate::pipeline) fn knows(&mut self, target: u8, at: SocketAddr) {
        let update = Update::SetPeer(tunnel(target).public(), plan(target, vec![at]));
        self.engine.handle_update(update, clock::now(), &mut self.outlet);
    }

    /// A packet for `target` with so much payload.
    pub(in crate::pipeline) fn packet(&self, target: u8, payload: usize) -> Vec<u8> {
        let [source, target] = [self.id, target].map(|id| SocketAddr::from((addrs(id).v6, 9)));
        udp::encode(source, target, &vec![0; payload]).expect("it fits")
    }

    /// How many packets ended early.
    pub(in crate::pipeline) fn dropped(&self) -> u64 {
        self.outlet.drops.iter().map(|(_, count)| count).sum()
    }

    /// Sends `packet` `run` more times, as bulk, and hears what there is to hear; how often, with a session.
    pub(in crate::pipeline) fn send(&mut self, packet: &[u8], run: u64) -> u64 {
        let Self { engine, outlet, heard, is_established, .. } = self;
        let packet = Segments::one(packet).expect("a packet");
        *is_established = *is_established || engine.peers().all(|peer| peer.established);
        let counts = *is_established;
        for _ in 0..run {
            engine.handle_kernel(&packet, clock::now(), outlet);
        }
        outlet.flush();
        for lane in [Lane::Control, Lane::Bulk] {
            if outlet.udp.receive(lane, heard).is_err() {
                continue;
            }
            for n in 0..heard.len() {
                let answers = heard.run(n);
                let from = answers.from;
                for at in answers.datagrams() {
                    let datagram = &mut heard.arena()[at];
                    let inner = engine.handle_datagram(from, datagram, clock::now(), outlet);
                    assert!(inner.is_none(), "nobody sends it packets");
                }
            }
        }
        if counts { run } else { 0 }
    }
}

/// A port on loopback, in service, and where it is.
pub(super) fn loopback() -> (Udp, SocketAddr) {
    let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let at = port.local();
    (Udp::serve_sliced(port, 1, Offloads::ALL).expect("served").remove(0), at)
}
