//! What a run is made of: how many hosts, how bad the network, what breaks and how often. A profile is
//! data; [`faults`](crate::faults) draws from it.

use std::time::Duration;

use crate::cuts::Shape;
use crate::disk::Trouble;
use crate::faults::Kind;
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
    /// What breaks and mends, and how often beside the others.
    pub faults: &'static [(Kind, u32)],
    /// How bad a link gets that is not cut.
    pub links: Links,
}

/// Between which bounds a bad link's weather is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Links {
    /// The most it loses, 0 to 1.
    pub loss: f64,
    /// What the slowest carries, in bytes a second.
    pub slowest: u64,
    /// What the fastest of the slow ones carries.
    pub fastest: u64,
    /// The longest queue.
    pub queue: Duration,
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

/// An idle mesh of seven says one to two kB/s over each link. A quarter of that is never enough, ten times
/// that hurts only whoever sends a snapshot. The queue outlasts an election (2 s) and a call (3.5 s).
const CLOGGED: Links =
    Links { loss: 0.5, slowest: 400, fastest: 20_000, queue: Duration::from_secs(5) };

/// Every part at once: crashes, restarts, partitions, one-way cuts, loss. Fewer restarts, or fewer
/// healings, would soon leave nothing to break.
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
    faults: &[
        (Kind::Crash, 6),
        (Kind::Restart, 8),
        (Kind::Cut(Shape::Sides), 2),
        (Kind::Cut(Shape::OneWay), 2),
        (Kind::Heal, 4),
        (Kind::Disk(Trouble::Syncs), 1),
        (Kind::Blackout, 1),
    ],
    links: CLOGGED,
};

/// Nothing breaks: a run that fails here has found a plain bug.
pub const CALM: Profile = Profile {
    name: "calm",
    hosts_max: 5,
    worst: LAN,
    stormy: Duration::from_secs(5),
    calm: Duration::from_secs(15),
    pause_min: Duration::from_secs(60),
    pause_max: Duration::from_secs(60),
    ..CORE
};

/// Hosts that all run and do not all see each other: elections that must come about, and ones that must
/// not.
pub const BRIDGE: Profile = Profile {
    name: "bridge",
    hosts_min: 4,
    worst: LAN,
    // A cut has to last: an election takes 2 s, and gossip gives a host up after six.
    pause_min: Duration::from_secs(1),
    pause_max: Duration::from_secs(12),
    faults: &[
        (Kind::Cut(Shape::Sides), 1),
        (Kind::Cut(Shape::Bridge), 3),
        (Kind::Cut(Shape::Ring), 2),
        (Kind::Cut(Shape::LastLink), 2),
        (Kind::Cut(Shape::MuteLeader), 2),
        (Kind::Cut(Shape::DeafLeader), 2),
        (Kind::Cut(Shape::Mute), 1),
        (Kind::Cut(Shape::Deaf), 1),
        (Kind::Cut(Shape::OneWay), 2),
        (Kind::Heal, 9),
        (Kind::Crash, 1),
        (Kind::Restart, 2),
    ],
    ..CORE
};

/// Links that carry too little: what is sent arrives in order and seconds late, or half of it is lost.
pub const CLOG: Profile = Profile {
    name: "clog",
    pause_max: Duration::from_secs(10),
    faults: &[
        (Kind::Clog, 5),
        (Kind::Burst, 4),
        (Kind::Heal, 4),
        (Kind::Crash, 1),
        (Kind::Restart, 2),
    ],
    ..CORE
};

/// Disks that fail, fill up, forget and dawdle: no answer may be built on them.
pub const DISK: Profile = Profile {
    name: "disk",
    pause_max: Duration::from_secs(6),
    faults: &[
        (Kind::Disk(Trouble::Syncs), 2),
        (Kind::Disk(Trouble::OneSync), 4),
        (Kind::Disk(Trouble::Writes), 2),
        (Kind::Disk(Trouble::Full), 3),
        // Longer than an election and than a call waits.
        (Kind::Disk(Trouble::Slow(Duration::from_secs(6))), 2),
        (Kind::Disk(Trouble::Slow(Duration::from_millis(500))), 2),
        (Kind::MendDisk, 8),
        (Kind::Crash, 3),
        (Kind::Restart, 6),
        (Kind::Blackout, 2),
    ],
    ..CORE
};

/// All profiles.
pub const ALL: [Profile; 5] = [CORE, CALM, BRIDGE, CLOG, DISK];

/// The profile called `name`.
pub fn named(name: &str) -> Option<Profile> {
    ALL.into_iter().find(|profile| profile.name == name)
}
