//! Operators at work: which build they install where, and when somebody wants what only the newer one has.
//!
//! ```text
//! all run the older build ──tide comes in──> more and more run the newer ──> and so on
//!                         <──tide goes out──
//! ```
//!
//! Left to chance alone, all hosts of a larger mesh would never run the newer build at once: so builds come and go in tides.

use std::time::Duration;

use mesh_control::command::NEWEST;
use mesh_model::Edition;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::net::HostNo;

/// What the older build reads.
pub const OLDER: Edition = Edition::FIRST;

/// What the newer build reads.
pub const NEWER: Edition = NEWEST;

/// How often an operator goes against the tide, 0 to 1.
const AGAINST: f64 = 0.2;

/// How often something new is wanted rather than a build installed, 0 to 1.
const WANTED: f64 = 0.3;

/// The longest a tide comes in, or goes out: some ten builds installed.
const TIDE: Duration = Duration::from_secs(30);

/// Something that operators do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The host is to run a build that reads this.
    Install(HostNo, Edition),
    /// Somebody wants, at this host, what only the newer build has.
    Want(HostNo),
}

/// Draws what they do.
pub struct Operators {
    rng: ChaCha8Rng,
    comes_in: bool,
    turns_at: Duration,
    wants: u64,
}

impl Operators {
    /// Operators who begin to upgrade.
    pub fn new(seed: [u8; 32]) -> Self {
        let rng = ChaCha8Rng::from_seed(seed);
        Self { rng, comes_in: true, turns_at: TIDE, wants: 0 }
    }

    /// How long until they do something, at most `longest`.
    pub fn pause(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.random())
    }

    /// The number of the next thing that is wanted.
    pub fn next_want(&mut self) -> u64 {
        self.wants += 1;
        self.wants
    }

    /// Whether anything new was ever wanted.
    pub fn have_wanted(&self) -> bool {
        self.wants > 0
    }

    /// What they do at `now`, where `hosts` are machines and what their builds read.
    pub fn next(&mut self, hosts: &[(HostNo, Edition)], now: Duration) -> Option<Act> {
        if now >= self.turns_at {
            self.comes_in = !self.comes_in;
            self.turns_at = now + TIDE.mul_f64(self.rng.random_range(0.3..=1.0));
        }
        let (no, reads) = *hosts.choose(&mut self.rng)?;
        if self.rng.random_bool(WANTED) {
            // The older build does not know how to ask.
            return (reads == NEWER).then_some(Act::Want(no));
        }
        let newer = self.comes_in != self.rng.random_bool(AGAINST);
        Some(Act::Install(no, if newer { NEWER } else { OLDER }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_come_and_go_and_only_the_newer_asks_for_what_is_new() {
        let mut operators = Operators::new([7; 32]);
        let hosts = [(HostNo(1), OLDER), (HostNo(2), NEWER)];
        let acts: Vec<Act> = (0..400)
            .filter_map(|second| operators.next(&hosts, Duration::from_secs(second)))
            .collect();
        assert!(acts.contains(&Act::Install(HostNo(2), OLDER)));
        assert!(acts.contains(&Act::Install(HostNo(1), NEWER)));
        assert!(acts.contains(&Act::Want(HostNo(2))));
        assert!(!acts.contains(&Act::Want(HostNo(1))));
    }
}
