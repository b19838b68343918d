//! What a run is made of: how many hosts, how bad the network, how often something breaks.

use std::time::Duration;

use crate::net::Quality;

/// A named kind of run.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// The fewest hosts.
    pub hosts_min: u8,
    /// The most hosts.
    pub hosts_max: u8,
    /// The network at its best; a run draws its loss between this and `worst`.
    pub best: Quality,
    /// The network at its worst.
    pub worst: Quality,
    /// How long things break, in virtual time.
    pub stormy: Duration,
    /// How long nothing breaks afterwards, in virtual time: an election (2 s, then a few tries),
    /// WireGuard's 5 s handshake retry and a gossip round all fit several times.
    pub calm: Duration,
    /// The shortest pause between two faults.
    pub pause_min: Duration,
    /// The longest pause between two faults.
    pub pause_max: Duration,
}

const LAN: Quality = Quality {
    delay_min: Duration::from_micros(200),
    delay_max: Duration::from_millis(2),
    loss: 0.0,
    duplication: 0.0,
};

const BAD_WAN: Quality = Quality {
    delay_min: Duration::from_millis(5),
    delay_max: Duration::from_millis(60),
    loss: 0.08,
    duplication: 0.03,
};

/// Every part at once: crashes, restarts, partitions, one-way cuts, loss.
pub const CORE: Profile = Profile {
    name: "core",
    hosts_min: 3,
    hosts_max: 7,
    best: LAN,
    worst: BAD_WAN,
    // Longer than WireGuard keeps a key (Rekey-After-Time, 120 s), so that keys change in the storm.
    stormy: Duration::from_secs(130),
    calm: Duration::from_secs(25),
    pause_min: Duration::from_millis(500),
    pause_max: Duration::from_secs(8),
};

/// Nothing breaks: a run that fails here has found a plain bug.
pub const CALM: Profile = Profile {
    name: "calm",
    hosts_min: 3,
    hosts_max: 5,
    best: LAN,
    worst: LAN,
    stormy: Duration::from_secs(5),
    calm: Duration::from_secs(15),
    pause_min: Duration::from_secs(60),
    pause_max: Duration::from_secs(60),
};

/// All profiles.
pub const ALL: [Profile; 2] = [CORE, CALM];

/// The profile called `name`.
pub fn named(name: &str) -> Option<Profile> {
    ALL.into_iter().find(|profile| profile.name == name)
}
