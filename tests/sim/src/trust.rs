//! The mesh's papers: root key, genesis, invites, and what hosts sign.

use std::collections::BTreeMap;

use mesh_control::command::Command;
use mesh_control::rotation::{KeyMissing, Stage};
use mesh_dataplane::{OtherKey, OwnKeys};
use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::trust::{
    Admission, Departure, Genesis, Invite, MemberRecord, MeshRoot, Name, Ruling, Verdict,
    VoterPolicy, VoterTarget, Wish,
};
use mesh_model::view::MemberView;
use mesh_model::{IdentityKey, IdentitySecret, InviteId, MemberId, Prefixes, Signed, TunnelSecret};

use crate::bench::Bench;
use crate::net::HostNo;
use crate::seeds::RunSeed;
use crate::wall;

/// How long an invite lives, in milliseconds: longer than any run, so that expiry never blurs what a
/// repeated command must answer.
const LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;

/// What a host keeps in its identity file.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What people call it.
    pub name: Name,
    /// Who it is.
    pub identity: IdentitySecret,
    /// Its end of every tunnel.
    pub tunnel: TunnelSecret,
    /// A second one, while that changes: the next, or the one before.
    pub other: Option<TunnelSecret>,
}

impl Keys {
    /// The keys of `host` in its `incarnation`: a host that leaves and comes back is someone else.
    pub fn new(seed: RunSeed, host: HostNo, incarnation: u64) -> Self {
        let number = u64::from(host.0) << 32 | incarnation;
        let name = format!("{host}-{incarnation}");
        Self {
            name: name.parse().expect("digits, letters and a hyphen make a name"),
            identity: IdentitySecret::from_seed(seed.of("identity", number)),
            tunnel: TunnelSecret::from_bytes(seed.of("tunnel", number)),
            other: None,
        }
    }

    /// The keys for tunnels, each in the part that what is agreed of this host, `own`, gives it.
    pub fn cast(&self, own: &MemberView) -> Result<OwnKeys, KeyMissing> {
        let other = self.other.as_ref().map(TunnelSecret::public);
        let held: Vec<_> = [Some(self.tunnel.public()), other].into_iter().flatten().collect();
        let stage = Stage::of(&held, own)?;
        let goes_by_other = other == Some(own.tunnel) && self.tunnel.public() != own.tunnel;
        let (current, besides) = match &self.other {
            Some(other) if goes_by_other => (other.clone(), Some(self.tunnel.clone())),
            other => (self.tunnel.clone(), other.clone()),
        };
        let other = match stage {
            Stage::Settled => None,
            Stage::Prepared(_) => besides.map(OtherKey::Next),
            Stage::Agreed(_) => besides.map(OtherKey::Before),
        };
        Ok(OwnKeys { current, other })
    }

    /// Has `keys` in the file from now on.
    pub fn keep(&mut self, keys: &OwnKeys) {
        self.tunnel = keys.current.clone();
        self.other = keys.other.as_ref().map(|other| match other {
            OtherKey::Next(secret) | OtherKey::Before(secret) => secret.clone(),
        });
    }

    /// The keys of intruder `number`, who is on none of the hosts.
    pub fn of_intruder(seed: RunSeed, number: u64) -> Self {
        Self::new(seed, HostNo(0), number)
    }

    fn record(&self, root: &MeshRoot) -> MemberRecord {
        MemberRecord {
            mesh: root.mesh,
            name: self.name.clone(),
            identity: self.identity.public(),
            tunnel: self.tunnel.public(),
        }
    }

    /// "I leave."
    pub fn depart(&self, root: &MeshRoot, member: MemberId) -> Command {
        let departure = Signed::seal(&Departure { mesh: root.mesh, member }, &self.identity);
        Command::Depart { member, departure }
    }
}

/// A mesh and the secret its trust starts from.
pub struct Mesh {
    /// What everybody trusts.
    pub root: MeshRoot,
    /// How it began.
    pub genesis: Signed<Genesis>,
    secret: IdentitySecret,
    seed: RunSeed,
}

impl Mesh {
    /// The mesh of a run, founded by the host with `founder`.
    pub fn found(seed: RunSeed, founder: &Keys) -> Self {
        let secret = IdentitySecret::from_seed(seed.of("root", 0));
        let root = MeshRoot::of(secret.public());
        let prefixes =
            Prefixes::for_mesh(root.mesh, DEFAULT_IPV4_PREFIX).expect("the default serves");
        let genesis = Genesis {
            root,
            name: "sim".parse().expect("a name"),
            prefixes,
            founder: founder.record(&root),
            created_ms: wall::millis(std::time::Duration::ZERO),
        };
        Self { root, genesis: Signed::seal(&genesis, &secret), secret, seed }
    }

    /// Its admins: the root alone.
    pub fn bench(&self) -> Bench {
        Bench::new(self.root.mesh, &self.secret, self.seed)
    }

    /// Invite `number`, made at `now_ms`, for `uses` hosts.
    pub fn invite(&self, number: u64, uses: u32, now_ms: u64) -> Ticket {
        let secret = IdentitySecret::from_seed(self.seed.of("invite", number));
        let key = secret.public();
        let invite = Invite {
            mesh: self.root.mesh,
            id: InviteId::of_key(&key),
            key,
            uses,
            created_ms: now_ms,
            expires_ms: now_ms + LIFETIME_MS,
            tags: Default::default(),
            range: None,
            voter: false,
        };
        Ticket { signed: Signed::seal(&invite, &self.secret), invite, secret }
    }

    /// A ruling about the member with this id and identity.
    pub fn verdict(
        &self,
        (member, identity): (MemberId, IdentityKey),
        serial: u64,
        ruling: Ruling,
    ) -> Verdict {
        Verdict { mesh: self.root.mesh, member, identity, serial, ruling }
    }

    /// A policy on who votes.
    pub fn policy(
        &self,
        serial: u64,
        target: Option<VoterTarget>,
        wishes: BTreeMap<MemberId, Wish>,
    ) -> VoterPolicy {
        VoterPolicy { mesh: self.root.mesh, serial, target, wishes }
    }

    /// The root says so. What is signed twice is signed with the same bytes.
    pub fn sign(&self, paper: &Paper) -> Command {
        match paper {
            Paper::Verdict(verdict) => Command::Judge(Signed::seal(verdict, &self.secret)),
            Paper::Policy(policy) => Command::SetVoters(Signed::seal(policy, &self.secret)),
        }
    }
}

/// Something the root says of which the last word counts, so that somebody may want to say an earlier one again.
#[derive(Debug, Clone, PartialEq)]
pub enum Paper {
    /// About a member.
    Verdict(Verdict),
    /// About who votes.
    Policy(VoterPolicy),
}

/// An invite with its secret: what a token carries.
#[derive(Clone)]
pub struct Ticket {
    /// The invite.
    pub invite: Invite,
    signed: Signed<Invite>,
    secret: IdentitySecret,
}

impl Ticket {
    /// `invite`, signed with its own `secret` by one that is no admin.
    pub fn made_up(invite: Invite, secret: &IdentitySecret) -> Self {
        Self { signed: Signed::seal(&invite, secret), invite, secret: secret.clone() }
    }

    /// "Let the holder bring members in."
    pub fn command(&self) -> Command {
        Command::Invite(self.signed.clone())
    }

    /// The request of somebody with `keys` who does not have this ticket's secret and signs with a made-up
    /// one.
    pub fn forged_admission(&self, root: &MeshRoot, keys: &Keys) -> Admission {
        Admission::sign(&keys.record(root), self.invite.id, &keys.identity, &keys.identity)
    }

    /// The request of the host with `keys` to be let in.
    pub fn admission(&self, root: &MeshRoot, keys: &Keys) -> Admission {
        Admission::sign(&keys.record(root), self.invite.id, &self.secret, &keys.identity)
    }
}
