//! What a daemon saves now and then, outside the agreement store.

use std::time::Duration;

use mesh_control::node::hints;
use mesh_dataplane::WallTime;

use super::World;
use super::queue::Event;
use crate::host::Host;
use crate::net::HostNo;

/// How often the daemon looks whether it knows more than is in its peer cache, and how often whether anything is different. A door
/// does not wait for that: see `welcome`.
const LOOK: Duration = Duration::from_secs(1);
const MOVED: Duration = Duration::from_secs(5);

/// How often the daemon saves the latest stamp of its handshakes, and what it adds when it starts: as
/// `handshake_stamp.rs` of the daemon has it.
const SAVE_STAMP: Duration = Duration::from_secs(60);
const STAMP_SLACK: Duration = Duration::from_secs(120);

/// The earliest stamp the handshakes of `host` may have when its daemon starts.
pub(super) fn stamp_floor(host: &Host) -> WallTime {
    host.stamp.map(|stamp| WallTime(stamp.0 + STAMP_SLACK)).unwrap_or_default()
}

impl World {
    /// The peer cache of `no` is saved, as by a daemon that is stopped.
    pub(super) fn save_hints_of(&mut self, no: HostNo) {
        let Some(host) = self.hosts.get_mut(&no) else { return };
        if let Some(hints) = host.life().map(|life| life.node.hints()) {
            host.hints = hints;
        }
    }

    /// Peer caches are saved, and now and then the stamps of handshakes.
    pub(super) fn save_hints(&mut self) {
        let now = self.clock.elapsed();
        for host in self.hosts.values_mut() {
            let Some(life) = host.life() else { continue };
            let known = life.node.hints();
            let age = now.saturating_sub(self.clock.since_start(life.born)).as_secs();
            let stamp = life.newest_stamp().filter(|_| age % SAVE_STAMP.as_secs() < LOOK.as_secs());
            let is_time = age.is_multiple_of(MOVED.as_secs());
            if is_time || hints::tell_more(&known, &host.hints) {
                host.hints = known;
            }
            host.stamp = stamp.filter(|_| age >= SAVE_STAMP.as_secs()).or(host.stamp);
        }
        self.after(LOOK, Event::SaveHints);
    }
}
