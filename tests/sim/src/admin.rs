//! What an admin does to the mesh, and what somebody who kept old papers tries: ban, pardon, remove, say who
//! votes, have another lead, say an old word again, call a ban over before its time. Drawn from the seed.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::net::HostNo;

/// The fewest members that may speak for one of them to be banned: two are left, and one of them votes.
pub const FEWEST: usize = 3;

/// The fewest for one of them to be removed: three voters are left.
const STAY: usize = 4;

/// The longest ban that ends by itself, in milliseconds: most of them end before they are pardoned.
const LONGEST_MS: u64 = 15_000;

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// A member is banned, for so many milliseconds or for good.
    Ban(MemberId, Option<u64>),
    /// A ban ends.
    Pardon(MemberId),
    /// A member is removed.
    Remove(MemberId),
    /// A policy on who votes.
    SetVoters(Option<VoterTarget>, BTreeMap<MemberId, Wish>),
    /// This member, or the best of the others, shall lead.
    Transfer(Option<MemberId>),
    /// Somebody says once more what the root said as its so manieth word.
    Replay(usize),
    /// Somebody says that a ban's time is over.
    CallOver(MemberId),
}

/// What an admin sees of the world.
#[derive(Debug)]
pub struct Scene {
    /// Where something can be proposed.
    pub doors: Vec<HostNo>,
    /// Members that are not banned and mean to stay.
    pub present: Vec<MemberId>,
    /// Members that are banned.
    pub banned: Vec<MemberId>,
    /// How many have to be present for one of them to be banned.
    pub fewest: usize,
    /// How much the root has said.
    pub papers: usize,
}

/// Draws deeds.
pub struct Admin {
    rng: ChaCha8Rng,
    busy: bool,
}

impl Admin {
    /// An admin. One in three does nothing, so that what breaks without any bans is still found.
    pub fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let busy = rng.random_bool(0.67);
        Self { rng, busy }
    }

    /// Whether it does anything in this run.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// How long until the next deed, at most `longest`.
    pub fn pause(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.random_range(0.1..1.0))
    }

    /// One of `doors`.
    pub fn door(&mut self, doors: &[HostNo]) -> Option<HostNo> {
        doors.choose(&mut self.rng).copied()
    }

    /// The next deed, and at which door.
    pub fn next(&mut self, scene: &Scene) -> Option<(HostNo, Deed)> {
        let door = self.door(&scene.doors)?;
        let rng = &mut self.rng;
        let deed = match rng.random_range(0..100) {
            0..35 if scene.present.len() >= scene.fewest => {
                let for_ms = rng.random_bool(0.6).then(|| rng.random_range(1000..LONGEST_MS));
                Deed::Ban(*scene.present.choose(rng)?, for_ms)
            }
            35..55 => Deed::Pardon(*scene.banned.choose(rng)?),
            55..60 if scene.present.len() >= scene.fewest.max(STAY) => {
                let everybody = [&scene.present[..], &scene.banned[..]].concat();
                Deed::Remove(*everybody.choose(rng)?)
            }
            60..72 => self.policy(scene),
            72..80 => {
                let anybody = rng.random_bool(0.3);
                Deed::Transfer(scene.present.choose(rng).copied().filter(|_| !anybody))
            }
            80..94 if scene.papers > 0 => Deed::Replay(rng.random_range(0..scene.papers)),
            94.. => Deed::CallOver(*scene.banned.choose(rng)?),
            _ => return None,
        };
        Some((door, deed))
    }

    fn policy(&mut self, scene: &Scene) -> Deed {
        let rng = &mut self.rng;
        let target = VoterTarget::of(*[0, 1, 3, 3, 5, 7].choose(rng).unwrap_or(&0));
        let mut wishes = BTreeMap::new();
        for member in &scene.present {
            match rng.random_range(0..10) {
                0..2 => drop(wishes.insert(*member, Wish::Always)),
                2..4 => drop(wishes.insert(*member, Wish::Never)),
                _ => {}
            }
        }
        Deed::SetVoters(target, wishes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(present: u64, banned: u64) -> Scene {
        let members = |from: u64, count: u64| (from..from + count).map(MemberId).collect();
        Scene {
            doors: vec![HostNo(1)],
            present: members(1, present),
            banned: members(20, banned),
            fewest: FEWEST,
            papers: 3,
        }
    }

    fn deeds(scene: &Scene) -> Vec<Deed> {
        let mut admin = Admin::new([1; 32]);
        (0..500).filter_map(|_| admin.next(scene)).map(|(_, deed)| deed).collect()
    }

    #[test]
    fn everything_is_done_where_it_can_be() {
        let deeds = deeds(&scene(5, 2));
        for kind in 0..7 {
            let is = |deed: &Deed| match deed {
                Deed::Ban(_, for_ms) => kind == usize::from(for_ms.is_some()),
                Deed::Pardon(member) => kind == 2 && member.0 >= 20,
                Deed::Remove(_) => kind == 3,
                Deed::SetVoters(..) => kind == 4,
                Deed::Transfer(_) => kind == 5,
                Deed::Replay(number) => kind == 6 && *number < 3,
                Deed::CallOver(_) => false,
            };
            assert!(deeds.iter().any(is), "kind {kind}");
        }
    }

    #[test]
    fn the_last_two_are_neither_banned_nor_removed() {
        let takes_out = |deed: &Deed| matches!(deed, Deed::Ban(..) | Deed::Remove(_));
        assert!(!deeds(&scene(2, 4)).iter().any(takes_out));
    }

    #[test]
    fn some_admins_do_nothing() {
        let busy = (0..30).filter(|seed| Admin::new([*seed; 32]).is_busy()).count();
        assert!((10..30).contains(&busy), "{busy}");
    }
}
