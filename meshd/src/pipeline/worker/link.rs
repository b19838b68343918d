//! Whether the interface is switched on.

use super::{Worker, drain};
use crate::io::clock;

impl Worker {
    /// Tells the packet core whether the interface is switched on now, as the device itself says: names
    /// mean something else in another network namespace.
    pub(super) fn look_at_link(&mut self) {
        let Some(tun) = &self.outlet.tun else { return };
        self.engine.handle_link(tun.is_up(), clock::now(), &mut self.outlet);
        while !self.engine.is_up() && !self.backlog.is_empty() {
            // It is dropped there, for the right reason.
            let Self { engine, outlet, backlog, .. } = self;
            backlog.pop(clock::now(), |origin, packet| {
                engine.handle_waited(origin, packet, clock::now(), outlet);
            });
        }
        drain(&mut self.engine, &self.ends.events, &mut self.outlet);
    }
}
