//! A member that forges records: it says for others what only they may say, and for the mesh what only an admin may.
//!
//! What it puts into gossip is here in [`Rumours`]; what it proposes, past its own daemon's door, in [`Forger::command`].

mod rumours;

use mesh_control::command::Command;
use mesh_model::trust::{
    AccessPolicy, AdminChange, AdminStep, AdminsHead, Departure, Invite, MeshRoot, Revocation,
    Ruling, Tagging, Verdict, VoterPolicy, Wish,
};
use mesh_model::{Cosigned, IdentityKey, IdentitySecret, InviteId, MemberId, Signed};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use rumours::Rumours;

use crate::net::HostNo;
use crate::seeds::RunSeed;
use crate::trust::{Keys, Ticket};

/// How long the invite lives that it makes, in milliseconds.
const LIFETIME_MS: u64 = 60 * 60 * 1000;

/// What it knows of the mesh.
pub struct Known<'a> {
    /// Whom it is in.
    pub root: &'a MeshRoot,
    /// Who it is there.
    pub me: MemberId,
    /// Its key.
    pub secret: &'a IdentitySecret,
    /// Present members, itself among them, and those that are banned.
    pub members: &'a [(MemberId, IdentityKey)],
    /// Invites whose ids it has seen in the log.
    pub invites: &'a [Ticket],
    /// What its clock shows.
    pub now_ms: u64,
}

/// Draws what to forge.
pub struct Forger {
    /// On which host.
    pub host: HostNo,
    rng: ChaCha8Rng,
    seed: RunSeed,
    /// A key of its own that it would like to be an admin's, or an invite's.
    made_up: IdentitySecret,
}

impl Forger {
    /// The one on `host`.
    pub fn new(host: HostNo, seed: RunSeed) -> Self {
        let rng = ChaCha8Rng::from_seed(seed.of("forger", 0));
        let made_up = IdentitySecret::from_seed(seed.of("forger's key", 0));
        Self { host, rng, seed, made_up }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.random_range(0..end)
    }

    /// A command that nobody signed who may.
    pub fn command(&mut self, known: &Known<'_>) -> Option<Command> {
        let mesh = known.root.mesh;
        let (member, identity) = *known.members.choose(&mut self.rng)?;
        let serial = self.rng.random_range(1..1_000_000);
        let secret = match self.rng.random_bool(0.5) {
            true => known.secret,
            false => &self.made_up,
        };
        Some(match self.rng.random_range(0..11) {
            0 => {
                let (member, _) = *known.members.iter().find(|(other, _)| *other != known.me)?;
                Command::Depart {
                    member,
                    departure: Signed::seal(&Departure { mesh, member }, secret),
                }
            }
            1 | 2 => {
                let ruling = [
                    Ruling::Banned { until_ms: None, reason: None },
                    Ruling::Pardoned,
                    Ruling::Removed,
                ];
                let ruling = ruling.choose(&mut self.rng)?.clone();
                let verdict = Verdict { mesh, member, identity, serial, ruling };
                Command::Judge(Signed::seal(&verdict, secret))
            }
            3 => {
                let wishes = [(known.me, Wish::Always), (member, Wish::Never)].into();
                let policy = VoterPolicy { mesh, serial, target: None, wishes };
                Command::SetVoters(Signed::seal(&policy, secret))
            }
            4 => {
                let tags = ["admin".parse().ok()?, "region-here".parse().ok()?].into();
                let identity = known.secret.public();
                let tagging = Tagging { mesh, member: known.me, identity, serial, tags };
                Command::Tag(Signed::seal(&tagging, secret))
            }
            5 => {
                let policy = AccessPolicy { mesh, serial, rules: Vec::new() };
                Command::SetAccess(Signed::seal(&policy, secret))
            }
            6 => {
                let step = AdminStep::Add { name: "forger".parse().ok()?, key: secret.public() };
                let before = AdminsHead::of_root(&known.root.key);
                let mut change = Cosigned::new(&AdminChange { mesh, serial: 1, before, step });
                change.sign(secret);
                Command::ChangeAdmins(change)
            }
            7 => {
                let invite = known.invites.choose(&mut self.rng)?.invite.id;
                Command::Revoke(Signed::seal(&Revocation { mesh, invite }, secret))
            }
            8 => Command::Invite(Signed::seal(&self.invite(known), secret)),
            9 => {
                let ticket = Ticket::made_up(self.invite(known), &self.made_up);
                let keys = Keys::of_intruder(self.seed, self.rng.random());
                Command::Admit(ticket.admission(known.root, &keys))
            }
            _ => {
                let ticket = known.invites.choose(&mut self.rng)?;
                let keys = Keys::of_intruder(self.seed, self.rng.random());
                Command::Admit(ticket.forged_admission(known.root, &keys))
            }
        })
    }

    fn invite(&self, known: &Known<'_>) -> Invite {
        let key = self.made_up.public();
        Invite {
            mesh: known.root.mesh,
            id: InviteId::of_key(&key),
            key,
            uses: 7,
            created_ms: known.now_ms,
            expires_ms: known.now_ms + LIFETIME_MS,
            tags: Default::default(),
            range: None,
            voter: true,
        }
    }
}
