//! One seed for everything: each part of a world draws its randomness from a seed of its own, so that
//! a change in one part does not shift the dice of another.

use mesh_control::ports::Seeds;

/// The seed of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunSeed(pub u64);

impl RunSeed {
    /// The seed of part `what`, number `number`.
    pub fn of(self, what: &str, number: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("mesh-sim part of a run");
        hasher.update(&self.0.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        hasher.update(what.as_bytes());
        hasher.finalize().into()
    }
}

/// Entropy of one agreement group.
pub struct GroupSeeds(pub [u8; 32]);

impl Seeds for GroupSeeds {
    fn seed(&self) -> [u8; 32] {
        self.0
    }
}
