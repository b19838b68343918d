//! What a packet core says, kept.

use mesh_dataplane::{Endpoint, Lane, Sink};
use mesh_model::MemberId;

/// Datagrams sent and control packets received, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    slot: Vec<u8>,
    pub(crate) sent: Vec<(Endpoint, Vec<u8>)>,
    pub(crate) control: Vec<(MemberId, Vec<u8>)>,
}

impl Sink for Outbox {
    fn slot(&mut self, _: Lane, max: usize) -> &mut [u8] {
        self.slot.clear();
        self.slot.resize(max, 0);
        &mut self.slot
    }

    fn send(&mut self, to: Endpoint, len: usize) {
        self.sent.push((to, self.slot[..len].to_vec()));
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        self.control.push((from, packet.to_vec()));
    }
}
