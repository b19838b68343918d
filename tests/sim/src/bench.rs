//! Who the admins are, as those know it who signed every change: the reference for what members hold.
//!
//! The root is one of them throughout, so what it alone signs counts in every run.

use std::collections::BTreeMap;

use mesh_control::command::Command;
use mesh_model::codec::Message;
use mesh_model::trust::{AdminChange, AdminStep, AdminsHead, MAX_ADMINS, Name};
use mesh_model::{AdminId, Cosigned, IdentityKey, IdentitySecret, MeshId, Signed};
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::seeds::RunSeed;

/// The most admins there are at once: few enough that some sign often.
const MOST: usize = if MAX_ADMINS < 5 { MAX_ADMINS } else { 5 };

/// How many of its changes are signed by fewer than have to.
const TOO_FEW: f64 = 0.15;

/// The admins after some change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sitting {
    /// The number of that change.
    pub serial: u64,
    /// How many have to sign the next.
    pub threshold: u8,
    /// Who is one.
    pub present: BTreeMap<AdminId, (Name, IdentityKey)>,
}

/// Draws changes of admins, and knows what each leads to.
pub struct Bench {
    rng: ChaCha8Rng,
    mesh: MeshId,
    seed: RunSeed,
    secrets: BTreeMap<IdentityKey, IdentitySecret>,
    sittings: BTreeMap<AdminsHead, Sitting>,
    /// How many keys were made.
    made: u64,
}

impl Bench {
    /// The root alone.
    pub fn new(mesh: MeshId, root: &IdentitySecret, seed: RunSeed) -> Self {
        let key = root.public();
        let name: Name = "root".parse().expect("a name");
        let present = BTreeMap::from([(AdminId::ROOT, (name, key))]);
        let sitting = Sitting { serial: 0, threshold: 1, present };
        Self {
            rng: ChaCha8Rng::from_seed(seed.of("bench", 0)),
            mesh,
            seed,
            secrets: BTreeMap::from([(key, root.clone())]),
            sittings: BTreeMap::from([(AdminsHead::of_root(&key), sitting)]),
            made: 0,
        }
    }

    /// The admins that `head` stands for, if these ever were.
    pub fn sitting(&self, head: &AdminsHead) -> Option<&Sitting> {
        self.sittings.get(head)
    }

    /// `statement`, signed by one of those that `head` stands for.
    pub fn sign<T: Message>(&mut self, head: &AdminsHead, statement: &T) -> Option<Signed<T>> {
        let (_, key) = self.sittings.get(head)?.present.values().choose(&mut self.rng)?;
        Some(Signed::seal(statement, self.secrets.get(key)?))
    }

    /// Has as many of those that `head` stands for sign `statement` as have to.
    pub fn cosign<T: Message>(&mut self, head: &AdminsHead, statement: &mut Cosigned<T>) {
        let Some(sitting) = self.sittings.get(head) else { return };
        let needed = usize::from(sitting.threshold);
        for (_, key) in sitting.present.values().sample(&mut self.rng, needed) {
            if let Some(secret) = self.secrets.get(key) {
                statement.sign(secret);
            }
        }
    }

    /// A change of those that `head` stands for, and whether enough of them signed it.
    pub fn change(&mut self, head: &AdminsHead) -> Option<(Command, bool)> {
        let before = self.sittings.get(head)?.clone();
        let (step, after) = self.step(&before)?;
        let change = AdminChange { mesh: self.mesh, serial: after.serial, before: *head, step };
        let mut signed = Cosigned::new(&change);
        let needed = usize::from(before.threshold);
        let few = usize::from(self.rng.random_bool(TOO_FEW));
        let signers = before.present.values().sample(&mut self.rng, needed - few);
        for (_, key) in signers {
            signed.sign(self.secrets.get(key)?);
        }
        if few == 0 {
            self.sittings.insert(head.after(&signed), after);
        }
        Some((Command::ChangeAdmins(signed), few == 0))
    }

    /// One admin more, one less, or another threshold.
    fn step(&mut self, before: &Sitting) -> Option<(AdminStep, Sitting)> {
        let mut after = Sitting { serial: before.serial + 1, ..before.clone() };
        let number = before.present.len();
        let step = match self.rng.random_range(0..3) {
            0 if number < MOST => {
                self.made += 1;
                let secret = IdentitySecret::from_seed(self.seed.of("admin's key", self.made));
                let (name, key) = (format!("a{}", self.made).parse().ok()?, secret.public());
                self.secrets.insert(key, secret);
                let name: Name = name;
                after.present.insert(AdminId(after.serial), (name.clone(), key));
                AdminStep::Add { name, key }
            }
            1 if number > usize::from(before.threshold) => {
                let others = before.present.iter().filter(|(id, _)| **id != AdminId::ROOT);
                let (admin, (name, _)) = others.choose(&mut self.rng)?;
                after.present.remove(admin);
                let revoke_invites = false;
                AdminStep::Remove { admin: *admin, name: name.clone(), revoke_invites }
            }
            2 => {
                after.threshold = self.rng.random_range(1..=number.min(3)) as u8;
                AdminStep::Threshold(after.threshold)
            }
            _ => return None,
        };
        Some((step, after))
    }
}
