//! What the forger puts into its gossip: facts about others that it signs itself, facts of others that are long out of date,
//! facts of its own under another's name, and digests that tell of news there are not.

use std::net::SocketAddr;

use mesh_model::addr::OVERLAY_MTU;
use mesh_model::facts::Facts;
use mesh_model::{IdentitySecret, MemberId, MeshId, Signed, codec};
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The most that one datagram of gossip may have, the headers of IPv6 and UDP aside: what is longer is left as it was.
const MAX_DATAGRAM: usize = OVERLAY_MTU as usize - 40 - 8;

/// The most that it writes before it looks how long that is.
const DRAFT: usize = 4 * MAX_DATAGRAM;

/// How many of its datagrams are not what its core made of them.
const RATE: f64 = 0.3;

/// How many old facts it keeps.
const MAX_KEPT: usize = 64;

/// By how much what it makes up is newer than what is true.
const NEWER: u64 = 1_000_000;

/// A datagram of gossip, as `mesh_control::gossip` has it.
#[derive(Serialize, Deserialize)]
struct Packet {
    generation: u64,
    swim: Vec<u8>,
    facts: Vec<Signed<Facts>>,
    digest: Option<Digest>,
}

mesh_model::message!(Packet, "gossip datagram", version 1, limit DRAFT);

#[derive(Serialize, Deserialize)]
struct Digest {
    first: MemberId,
    last: MemberId,
    have: Vec<(MemberId, u64, u64)>,
    ask: bool,
}

/// See the [module](self).
pub struct Rumours {
    rng: ChaCha8Rng,
    mesh: MeshId,
    secret: IdentitySecret,
    /// Where it would like others to send what is not for it.
    endpoint: SocketAddr,
    /// What others once said.
    old: Vec<Signed<Facts>>,
    forged: u64,
}

impl Rumours {
    /// Of the member with `secret`, which listens at `endpoint`.
    pub fn new(mesh: MeshId, secret: IdentitySecret, endpoint: SocketAddr, seed: [u8; 32]) -> Self {
        let rng = ChaCha8Rng::from_seed(seed);
        Self { rng, mesh, secret, endpoint, old: Vec::new(), forged: 0 }
    }

    /// How many datagrams it forged.
    pub fn forged(&self) -> u64 {
        self.forged
    }

    /// What goes out in place of `payload`, when the facts of others are `known`.
    pub fn bend(&mut self, payload: Vec<u8>, known: &[Facts]) -> Vec<u8> {
        let Ok(mut packet) = codec::decode::<Packet>(&payload) else { return payload };
        // To be said again when it is no longer so.
        if self.old.len() < MAX_KEPT {
            self.old.extend(packet.facts.iter().cloned());
        }
        if !self.rng.random_bool(RATE) {
            return payload;
        }
        let Some(victim) = known.iter().choose(&mut self.rng) else { return payload };
        match self.rng.random_range(0..4) {
            0 => packet.facts = vec![self.forged_facts(victim)],
            1 => {
                let Some(old) = self.old.iter().choose(&mut self.rng) else { return payload };
                packet.facts = vec![old.clone()];
            }
            2 => {
                let facts = Facts { mesh: MeshId([7; 16]), ..victim.clone() };
                packet.facts = vec![Signed::seal(&facts, &self.secret)];
            }
            _ => {
                let (boot_ms, revision) = (victim.boot_ms + NEWER, victim.revision);
                let (first, last) = (MemberId(0), MemberId(u64::MAX));
                let have = vec![(victim.member, boot_ms, revision)];
                packet.facts.clear();
                packet.digest = Some(Digest { first, last, have, ask: true });
            }
        }
        // A generation that its receiver may have to outbid.
        packet.generation += u64::from(self.rng.random_bool(0.2));
        let forged = codec::encode(&packet);
        if forged.len() > MAX_DATAGRAM {
            return payload;
        }
        self.forged += 1;
        forged
    }

    /// Newer than what `victim` says of itself, and leading to the forger.
    fn forged_facts(&mut self, victim: &Facts) -> Signed<Facts> {
        let facts = Facts {
            mesh: self.mesh,
            boot_ms: victim.boot_ms + NEWER,
            applied: victim.applied + NEWER,
            endpoints: vec![self.endpoint],
            version: "forged".to_owned(),
            ..victim.clone()
        };
        Signed::seal(&facts, &self.secret)
    }
}
