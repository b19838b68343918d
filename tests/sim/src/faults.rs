//! What breaks, and when: drawn from the seed, one fault after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::cuts::{Links, Shape, some_links};
use crate::disk::Trouble;
use crate::link::Weather;
use crate::net::HostNo;
use crate::profile::Profile;

/// What a profile says may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Fault::Crash`].
    Crash,
    /// [`Fault::Restart`].
    Restart,
    /// [`Fault::Cut`].
    Cut(Shape),
    /// [`Fault::Worsen`], by losing more.
    Burst,
    /// [`Fault::Worsen`], by carrying less.
    Clog,
    /// [`Fault::Heal`].
    Heal,
    /// [`Fault::Disk`].
    Disk(Trouble),
    /// [`Fault::MendDisk`].
    MendDisk,
    /// [`Fault::SetClock`].
    SetClock,
    /// [`Fault::Blackout`].
    Blackout,
    /// [`Fault::LoseMajority`].
    LoseMajority,
}

impl Kind {
    /// Whether it mends what others have broken.
    fn mends(self) -> bool {
        matches!(self, Self::Restart | Self::Heal | Self::MendDisk)
    }
}

/// Something that breaks or mends.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// A host dies at once: power loss or `kill -9`.
    Crash(HostNo),
    /// A dead host starts again from its disk.
    Restart(HostNo),
    /// Messages over these links vanish.
    Cut(Shape, Links),
    /// These links get worse.
    Worsen(Weather, Links),
    /// Every link works again.
    Heal,
    /// This is wrong with the host's disk.
    Disk(HostNo, Trouble),
    /// The host's disk has room again, and is fast.
    MendDisk(HostNo),
    /// The host's wall clock is set, to be so many milliseconds ahead.
    SetClock(HostNo, i64),
    /// Power fails for all hosts at once; they come back one by one.
    Blackout,
    /// Most of the voters die, not to come back by themselves.
    LoseMajority,
}

/// How the hosts are when something is about to break.
#[derive(Debug)]
pub struct Condition {
    /// Those that run.
    pub up: BTreeSet<HostNo>,
    /// Those that have crashed.
    pub down: BTreeSet<HostNo>,
    /// The one that leads, if one of them says so.
    pub leader: Option<HostNo>,
}

/// Draws faults.
pub struct Faults {
    rng: ChaCha8Rng,
    profile: Profile,
    /// Those of the profile that this run knows.
    kinds: Vec<(Kind, u32)>,
}

impl Faults {
    /// Faults of `profile`, drawn from `seed`.
    pub fn new(profile: Profile, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut kinds = profile.faults.to_vec();
        if profile.swarm {
            kinds.retain(|(kind, _)| kind.mends() || rng.random_bool(0.5));
        }
        Self { rng, profile, kinds }
    }

    /// How long until the next fault.
    pub fn pause(&mut self) -> Duration {
        let (min, max) = (self.profile.pause_min, self.profile.pause_max);
        Duration::from_micros(
            self.rng.random_range(min.as_micros() as u64..=max.as_micros() as u64),
        )
    }

    /// The next fault; `None` when what was drawn cannot be.
    pub fn next(&mut self, hosts: &Condition) -> Option<Fault> {
        let (kind, _) = *self.kinds.choose_weighted(&mut self.rng, |(_, weight)| *weight).ok()?;
        self.of(kind, hosts)
    }

    /// A fault of this kind; `None` when there can be none.
    pub fn of(&mut self, kind: Kind, hosts: &Condition) -> Option<Fault> {
        let everyone: Vec<HostNo> = hosts.up.union(&hosts.down).copied().collect();
        let rng = &mut self.rng;
        Some(match kind {
            Kind::Crash => Fault::Crash(*hosts.up.iter().choose(rng)?),
            Kind::Restart => Fault::Restart(*hosts.down.iter().choose(rng)?),
            Kind::Cut(shape) => Fault::Cut(shape, shape.draw(&everyone, hosts.leader, rng)),
            Kind::Burst => Fault::Worsen(self.burst(), some_links(&everyone, &mut self.rng)),
            Kind::Clog => Fault::Worsen(self.clog(), some_links(&everyone, &mut self.rng)),
            Kind::Heal => Fault::Heal,
            Kind::Disk(trouble) => Fault::Disk(*hosts.up.iter().choose(rng)?, trouble),
            Kind::MendDisk => Fault::MendDisk(*everyone.choose(rng)?),
            Kind::SetClock => Fault::SetClock(*everyone.choose(rng)?, self.clock()),
            Kind::Blackout => Fault::Blackout,
            Kind::LoseMajority => Fault::LoseMajority,
        })
    }

    /// How far ahead a clock is that was set: right, or not.
    fn clock(&mut self) -> i64 {
        let off = self.profile.clocks.off_ms();
        if self.rng.random_bool(0.3) { 0 } else { self.rng.random_range(-off..=off) }
    }

    fn burst(&mut self) -> Weather {
        let loss = self.rng.random_range(0.1..=self.profile.links.loss);
        Weather { loss, bytes_per_second: None, queue: Duration::ZERO }
    }

    fn clog(&mut self) -> Weather {
        let links = self.profile.links;
        let rate = self.rng.random_range(links.slowest..=links.fastest);
        let queue = links.queue.mul_f64(self.rng.random());
        Weather { loss: 0.0, bytes_per_second: Some(rate), queue }
    }
}
