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
    /// What happens at a time of its own besides: how a scenario is written.
    pub script: &'static [(Duration, Kind)],
    /// Whether each run draws which half of these it knows. One kind alone gets further than it does among
    /// many that undo what it did (Groce et al., "Swarm Testing", ISSTA 2012).
    pub swarm: bool,
    /// How bad a link gets that is not cut.
    pub links: Links,
    /// How wrong wall clocks are.
    pub clocks: Clocks,
    /// The share of what people do that is nothing but coming and going, 0 to 1.
    pub churn: f64,
    /// The longest pause between two things an admin does; `None`: there is no admin.
    pub ruling: Option<Duration>,
    /// The longest pause between two changes of a host's WireGuard key; `None`: there are none.
    pub rotating: Option<Duration>,
    /// The longest pause between two things operators do about builds; `None`: all hosts run the newer one.
    pub upgrading: Option<Duration>,
    /// Whether one of those that vote lies in what it says, and one member forges records.
    pub treason: bool,
}

/// How wrong wall clocks are.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// By how much they are off at most, either way.
    pub off: Duration,
    /// How much faster or slower than time they run at most, in millionths.
    pub drift_ppm: u32,
}

impl Clocks {
    /// [`Clocks::off`] in milliseconds.
    pub fn off_ms(&self) -> i64 {
        i64::try_from(self.off.as_millis()).unwrap_or(i64::MAX)
    }
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

/// Clocks of well-kept machines.
const WELL_KEPT: Clocks = Clocks { off: Duration::from_secs(3), drift_ppm: 100 };

/// Clocks that nobody looks after. An invite made by the slowest must outlive a look at the fastest: twice
/// this is half of its lifetime. A virtual machine that is starved runs slow by hundredths.
const NEGLECTED: Clocks = Clocks { off: Duration::from_secs(6 * 60 * 60), drift_ppm: 50_000 };

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
    script: &[],
    swarm: false,
    links: CLOGGED,
    clocks: WELL_KEPT,
    churn: 0.0,
    // Some fifteen bans in a run, of which each lasts longer than a handshake takes to be given up (15 s).
    ruling: Some(Duration::from_secs(8)),
    // One is over in seconds where nobody is away, and crashes and cuts are to fall into it.
    rotating: Some(Duration::from_secs(10)),
    upgrading: None,
    treason: false,
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
    ruling: None,
    rotating: None,
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

/// Wall clocks that are hours off, drift and are set, forwards and backwards; daemons that start, by
/// their own clock, before they ended.
pub const CLOCK: Profile = Profile {
    name: "clock",
    pause_max: Duration::from_secs(6),
    faults: &[
        (Kind::SetClock, 8),
        (Kind::Crash, 3),
        (Kind::Restart, 4),
        (Kind::Blackout, 1),
        (Kind::Cut(Shape::Sides), 1),
        (Kind::Heal, 2),
    ],
    clocks: NEGLECTED,
    ..CORE
};

/// Hosts that come and go all the time, and crash in between.
pub const CHURN: Profile = Profile {
    name: "churn",
    hosts_min: 8,
    hosts_max: 12,
    pause_max: Duration::from_secs(4),
    faults: &[
        (Kind::Crash, 5),
        (Kind::Restart, 8),
        (Kind::Blackout, 1),
        (Kind::Cut(Shape::OneWay), 1),
        (Kind::Heal, 1),
    ],
    churn: 0.15,
    ..CORE
};

/// Builds that are installed and taken back, host by host, while hosts crash and links are cut; now and then somebody
/// wants what only the newer build has.
pub const UPGRADE: Profile = Profile {
    name: "upgrade",
    hosts_max: 6,
    pause_max: Duration::from_secs(10),
    faults: &[
        (Kind::Crash, 3),
        (Kind::Restart, 6),
        (Kind::Blackout, 1),
        (Kind::Cut(Shape::Sides), 1),
        (Kind::Cut(Shape::OneWay), 1),
        (Kind::Heal, 3),
    ],
    // A daemon that was replaced leads and follows for a while before the next one is.
    upgrading: Some(Duration::from_secs(5)),
    ..CORE
};

/// All of the above but builds, each run some of it.
pub const CHAOS: Profile = Profile {
    name: "chaos",
    hosts_max: 9,
    pause_min: Duration::from_millis(200),
    pause_max: Duration::from_secs(6),
    faults: &[
        (Kind::Crash, 6),
        (Kind::Restart, 10),
        (Kind::Cut(Shape::Sides), 2),
        (Kind::Cut(Shape::Bridge), 2),
        (Kind::Cut(Shape::Ring), 2),
        (Kind::Cut(Shape::LastLink), 2),
        (Kind::Cut(Shape::MuteLeader), 2),
        (Kind::Cut(Shape::DeafLeader), 2),
        (Kind::Cut(Shape::OneWay), 2),
        (Kind::Clog, 3),
        (Kind::Burst, 3),
        (Kind::Heal, 8),
        (Kind::Disk(Trouble::Syncs), 1),
        (Kind::Disk(Trouble::OneSync), 2),
        (Kind::Disk(Trouble::Writes), 1),
        (Kind::Disk(Trouble::Full), 1),
        (Kind::Disk(Trouble::Slow(Duration::from_secs(3))), 2),
        (Kind::MendDisk, 4),
        (Kind::SetClock, 3),
        (Kind::Blackout, 1),
    ],
    swarm: true,
    clocks: NEGLECTED,
    churn: 0.04,
    ..CORE
};

/// One that votes cheats, and one member forges, while a few things break: enough that leaders change and that somebody is
/// always behind, and so few that most of the others stay a majority.
pub const BYZANTINE: Profile = Profile {
    name: "byzantine",
    // Three vote, four more are fed: some are left that follow by sync.
    hosts_min: 8,
    hosts_max: 11,
    worst: LAN,
    // The traitor is found out at the latest 20 s before, and those it misled have to catch up.
    calm: Duration::from_secs(35),
    pause_min: Duration::from_secs(1),
    pause_max: Duration::from_secs(15),
    faults: &[
        (Kind::Crash, 3),
        (Kind::Restart, 6),
        (Kind::Cut(Shape::OneWay), 1),
        (Kind::Cut(Shape::LastLink), 1),
        (Kind::Burst, 1),
        (Kind::Heal, 4),
    ],
    churn: 0.05,
    treason: true,
    ..CORE
};

/// Most of the voters are lost for good, in the middle of what else breaks, and the mesh goes on from one host that is left.
pub const RECOVERY: Profile = Profile {
    name: "recovery",
    hosts_min: 5,
    hosts_max: 9,
    worst: LAN,
    // Somebody may have been cut off from everybody until the calm began.
    calm: Duration::from_secs(35),
    pause_max: Duration::from_secs(12),
    faults: &[
        (Kind::LoseMajority, 6),
        (Kind::Crash, 3),
        (Kind::Restart, 6),
        (Kind::Cut(Shape::Sides), 1),
        (Kind::Cut(Shape::OneWay), 1),
        (Kind::Heal, 4),
        (Kind::Blackout, 1),
    ],
    ..CORE
};

/// All profiles.
pub const ALL: [Profile; 11] =
    [CORE, CALM, BRIDGE, CLOG, DISK, CLOCK, CHURN, UPGRADE, CHAOS, BYZANTINE, RECOVERY];

/// The profile called `name`.
pub fn named(name: &str) -> Option<Profile> {
    ALL.into_iter().find(|profile| profile.name == name)
}
