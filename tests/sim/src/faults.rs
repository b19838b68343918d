//! What breaks, and when: drawn from the seed, one fault after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::net::HostNo;
use crate::profile::Profile;

/// Something that breaks or mends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A host dies at once: power loss or `kill -9`.
    Crash(HostNo),
    /// A dead host starts again from its disk.
    Restart(HostNo),
    /// The hosts named are cut off from all others, both ways.
    Partition(BTreeSet<HostNo>),
    /// Messages from the first to the second vanish; the way back works.
    OneWay(HostNo, HostNo),
    /// Every link works again.
    Heal,
    /// From now on the host's disk fails to sync.
    FailSyncs(HostNo),
    /// Power fails for all hosts at once; they come back one by one.
    Blackout,
}

/// Draws faults.
pub struct Faults {
    rng: ChaCha8Rng,
    profile: Profile,
}

impl Faults {
    /// Faults of `profile`, drawn from `seed`.
    pub fn new(profile: Profile, seed: [u8; 32]) -> Self {
        Self { rng: ChaCha8Rng::from_seed(seed), profile }
    }

    /// How long until the next fault.
    pub fn pause(&mut self) -> Duration {
        let (min, max) = (self.profile.pause_min, self.profile.pause_max);
        Duration::from_micros(
            self.rng.random_range(min.as_micros() as u64..=max.as_micros() as u64),
        )
    }

    /// The next fault, given which hosts run and which are dead.
    pub fn next(&mut self, up: &BTreeSet<HostNo>, down: &BTreeSet<HostNo>) -> Option<Fault> {
        let everyone: Vec<HostNo> = up.union(down).copied().collect();
        // Of twelve faults: three crashes, four restarts, two cuts, two healings, one bad disk or blackout.
        // Fewer restarts than that, or fewer healings, would soon leave nothing to break.
        match self.rng.random_range(0..12) {
            0..3 => up.iter().choose(&mut self.rng).copied().map(Fault::Crash),
            3..7 => down.iter().choose(&mut self.rng).copied().map(Fault::Restart),
            7 => Some(Fault::Partition(self.side(&everyone))),
            8 => self.link(&everyone).map(|(from, to)| Fault::OneWay(from, to)),
            9..11 => Some(Fault::Heal),
            _ if self.rng.random_bool(0.5) => Some(Fault::Blackout),
            _ => up.iter().choose(&mut self.rng).copied().map(Fault::FailSyncs),
        }
    }

    /// Some but not all hosts.
    fn side(&mut self, everyone: &[HostNo]) -> BTreeSet<HostNo> {
        let size = self.rng.random_range(1..everyone.len().max(2));
        everyone.sample(&mut self.rng, size).copied().collect()
    }

    fn link(&mut self, everyone: &[HostNo]) -> Option<(HostNo, HostNo)> {
        let mut ends = everyone.sample(&mut self.rng, 2).copied();
        Some((ends.next()?, ends.next()?))
    }
}
