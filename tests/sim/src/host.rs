//! A simulated machine: what survives a crash, and the life on it now.

use std::time::Duration;

use mesh_dataplane::WallTime;
use mesh_model::trust::Admission;
use mesh_model::wire::join::PeerHint;
use mesh_model::{Edition, MemberId};

use crate::disk::Disk;
use crate::host_clock::HostClock;
use crate::life::{Life, LifeId};
use crate::net::HostNo;
use crate::profile::Clocks;
use crate::seeds::RunSeed;
use crate::trust::Keys;
use crate::upgrade::NEWER;

/// Where a host is on its way.
pub enum Stage {
    /// No member, and not asking.
    Outside,
    /// Asks to be let in.
    Joining(Box<Admission>),
    /// A member, running.
    Up(Box<Life>),
    /// A member, crashed.
    Down,
}

/// A machine.
pub struct Host {
    /// Its number.
    pub no: HostNo,
    /// How often it has become someone else.
    pub incarnation: u64,
    /// Its identity file.
    pub keys: Keys,
    /// The disk below its agreement store.
    pub disk: Disk,
    /// The newest edition that the build on it reads.
    pub reads: Edition,
    /// Its member marker.
    pub member: Option<MemberId>,
    /// When it was let in.
    pub joined: Option<Duration>,
    /// Its peer cache.
    pub hints: Vec<PeerHint>,
    /// Where it is on its way.
    pub stage: Stage,
    /// Its wall clock.
    pub clock: HostClock,
    /// The latest stamp of its handshakes, as it was saved.
    pub stamp: Option<WallTime>,
}

impl Host {
    /// A machine fresh from the box.
    pub fn new(no: HostNo, clocks: Clocks, seed: RunSeed) -> Self {
        let clock = HostClock::new(clocks, seed.of("clock", u64::from(no.0)));
        Self::reinstalled(no, 0, clock, seed)
    }

    /// The machine after it was wiped for the `incarnation`th time.
    pub fn reinstalled(no: HostNo, incarnation: u64, clock: HostClock, seed: RunSeed) -> Self {
        let number = u64::from(no.0) << 32 | incarnation;
        Self {
            no,
            incarnation,
            keys: Keys::new(seed, no, incarnation),
            disk: Disk::new(seed.of("disk", number)),
            reads: NEWER,
            member: None,
            joined: None,
            hints: Vec::new(),
            stage: Stage::Outside,
            clock,
            stamp: None,
        }
    }

    /// The life on it, if it is up.
    pub fn life(&self) -> Option<&Life> {
        match &self.stage {
            Stage::Up(life) => Some(life),
            _ => None,
        }
    }

    /// The life on it, if it is up.
    pub fn life_mut(&mut self) -> Option<&mut Life> {
        match &mut self.stage {
            Stage::Up(life) => Some(life),
            _ => None,
        }
    }

    /// Whether it is a member that has crashed.
    pub fn is_down(&self) -> bool {
        matches!(self.stage, Stage::Down)
    }

    /// Whether life `id` runs on it now.
    pub fn lives(&self, id: LifeId) -> bool {
        self.life().is_some_and(|life| life.id == id)
    }
}
