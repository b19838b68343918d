//! Who is a member, who was, and the proof of both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use mesh_model::codec::CodecError;
use mesh_model::trust::{Admission, Departure, MemberRecord, Verdict};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{
    IdentityKey, InviteId, LogIndex, MemberId, MeshId, OverlayAddrs, Signed, TunnelKey,
};
use serde::{Deserialize, Serialize};

use super::{Keys, Stated};
use crate::command::Refusal;

/// The most members present at once: ten times the largest mesh we simulate. At about 500 bytes
/// each, a snapshot of them is 5 MB.
pub const MAX_MEMBERS: usize = 10_000;

/// The most departed members remembered, at about 150 bytes each. Beyond it the one admitted longest
/// ago is forgotten. Its identity could then join again, with an invite, under a new id.
pub const MAX_DEPARTED: usize = 10_000;

/// How a member came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// By the genesis, which holds the same record.
    Founder(MemberRecord),
    /// Under an invite.
    Admitted(Admission),
}

/// A present member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredMember")]
pub struct Member {
    /// What `origin` says, decoded.
    #[serde(skip_serializing)]
    record: MemberRecord,
    origin: Origin,
    addrs: OverlayAddrs,
}

/// A member as it is encoded: the signed bytes once, and what no signature covers.
#[derive(Deserialize)]
struct StoredMember {
    origin: Origin,
    addrs: OverlayAddrs,
}

impl TryFrom<StoredMember> for Member {
    type Error = CodecError;

    fn try_from(stored: StoredMember) -> Result<Self, CodecError> {
        let record = match &stored.origin {
            Origin::Founder(record) => record.clone(),
            Origin::Admitted(admission) => admission.record.peek()?,
        };
        Ok(Self { record, origin: stored.origin, addrs: stored.addrs })
    }
}

impl Member {
    /// What it said of itself when it came in.
    pub fn record(&self) -> &MemberRecord {
        &self.record
    }

    /// How it came in.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its overlay addresses.
    pub fn addrs(&self) -> OverlayAddrs {
        self.addrs
    }

    /// What it came in with; `None` for the founder.
    pub fn admission(&self) -> Option<&Admission> {
        match &self.origin {
            Origin::Founder(_) => None,
            Origin::Admitted(admission) => Some(admission),
        }
    }

    /// The invite it came in under; `None` for the founder.
    pub fn invite(&self) -> Option<InviteId> {
        self.admission().map(|admission| admission.invite)
    }
}

/// A member that is gone for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// Who it was.
    pub identity: IdentityKey,
    /// Why: nobody can be locked out by a made-up departure.
    pub farewell: Farewell,
}

/// Who said that a member is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Farewell {
    /// It said goodbye itself.
    Own(Signed<Departure>),
    /// An admin removed it.
    Removed(Stated<Verdict>),
}

/// A host whose admission was found to be in order.
pub(super) struct Newcomer {
    pub(super) record: MemberRecord,
    pub(super) admission: Admission,
    pub(super) addrs: OverlayAddrs,
}

/// All members, present and departed, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    present: BTreeMap<MemberId, Member>,
    departed: BTreeMap<MemberId, Departed>,
}

impl Members {
    pub(super) fn founded_by(record: MemberRecord, addrs: OverlayAddrs) -> Self {
        let founder = Member { origin: Origin::Founder(record.clone()), record, addrs };
        Self { present: BTreeMap::from([(MemberId::FOUNDER, founder)]), departed: BTreeMap::new() }
    }

    /// Members now, by id.
    pub fn present(&self) -> &BTreeMap<MemberId, Member> {
        &self.present
    }

    /// Members once, by id.
    pub fn departed(&self) -> &BTreeMap<MemberId, Departed> {
        &self.departed
    }

    /// The present member with this identity.
    pub fn by_identity(&self, identity: &IdentityKey) -> Option<(MemberId, &Member)> {
        self.present
            .iter()
            .find(|(_, member)| member.record.identity == *identity)
            .map(|(id, member)| (*id, member))
    }

    /// The invites under which present members came in.
    pub(super) fn invites_in_use(&self) -> BTreeSet<InviteId> {
        self.present.values().filter_map(Member::invite).collect()
    }

    pub(super) fn ipv4_in_use(&self) -> BTreeSet<Ipv4Addr> {
        self.present.values().map(|member| member.addrs.v4).collect()
    }

    /// Whether `member` has left by its own word.
    pub fn said_goodbye(&self, member: MemberId) -> bool {
        let departed = self.departed.get(&member);
        departed.is_some_and(|departed| matches!(departed.farewell, Farewell::Own(_)))
    }

    pub(super) fn has_departed(&self, identity: &IdentityKey) -> bool {
        self.departed.values().any(|departed| departed.identity == *identity)
    }

    /// Whether the host with `record`, which is no member and never was, may become member `index`.
    pub(super) fn check_newcomer(
        &self,
        index: LogIndex,
        record: &MemberRecord,
        keys: &Keys,
    ) -> Result<(), Refusal> {
        if self.present.len() >= MAX_MEMBERS {
            return Err(JoinRefusal::Full(self.present.len()).into());
        }
        if self.present.values().any(|member| member.record.name == record.name) {
            return Err(JoinRefusal::NameTaken(record.name.to_string()).into());
        }
        if self.is_tunnel_taken(record.tunnel, keys) {
            return Err(JoinRefusal::KeyTaken.into());
        }
        // The founder's id is spoken for even when it has left and is forgotten.
        let newest = self.newest().max(MemberId::FOUNDER);
        if MemberId(index) <= newest {
            return Err(Refusal::IndexReused(index));
        }
        Ok(())
    }

    /// Whether a present member has the WireGuard key, or had it before the one it has.
    pub(super) fn is_tunnel_taken(&self, key: TunnelKey, keys: &Keys) -> bool {
        self.present.iter().any(|(id, member)| keys.is_of(key, *id, member.record.tunnel))
    }

    /// The highest id ever given, as far as remembered. The lowest are forgotten first, so this one
    /// never is.
    pub(super) fn newest(&self) -> MemberId {
        let present = self.present.last_key_value().map(|(id, _)| *id);
        let departed = self.departed.last_key_value().map(|(id, _)| *id);
        present.max(departed).unwrap_or_default()
    }

    pub(super) fn insert(&mut self, id: MemberId, newcomer: Newcomer) {
        let member = Member {
            record: newcomer.record,
            origin: Origin::Admitted(newcomer.admission),
            addrs: newcomer.addrs,
        };
        self.present.insert(id, member);
    }

    /// Whether `id` may go, and as whom: by its own word, whether or not that is news. `None` when it had left before.
    pub(super) fn check_departure(
        &self,
        id: MemberId,
        departure: &Signed<Departure>,
        mesh: MeshId,
    ) -> Result<Option<IdentityKey>, Refusal> {
        let gone = self.departed.get(&id).map(|departed| departed.identity);
        let present = || self.present.get(&id).map(|member| member.record.identity);
        let identity = gone.or_else(present).ok_or(Refusal::UnknownMember(id))?;
        let said = Departure::verify(departure, mesh, &identity)?;
        if said.member != id {
            return Err(Refusal::UnknownMember(said.member));
        }
        Ok(gone.is_none().then_some(identity))
    }

    /// Lets `id` go by its own word: who it was, or `None` when it had left before.
    pub(super) fn depart(
        &mut self,
        id: MemberId,
        departure: &Signed<Departure>,
        mesh: MeshId,
    ) -> Result<Option<Member>, Refusal> {
        let Some(identity) = self.check_departure(id, departure, mesh)? else { return Ok(None) };
        Ok(self.let_go(id, Departed { identity, farewell: Farewell::Own(departure.clone()) }))
    }

    /// Whether `id` is gone by this very verdict.
    pub(super) fn was_removed(&self, id: MemberId, verdict: &Signed<Verdict>) -> bool {
        let farewell = self.departed.get(&id).map(|departed| &departed.farewell);
        farewell.is_some_and(
            |farewell| matches!(farewell, Farewell::Removed(it) if it.signed() == verdict),
        )
    }

    /// `id` is no member any more. Who it was, if it was one.
    pub(super) fn let_go(&mut self, id: MemberId, departed: Departed) -> Option<Member> {
        let member = self.present.remove(&id);
        self.departed.insert(id, departed);
        while self.departed.len() > MAX_DEPARTED {
            self.departed.pop_first();
        }
        member
    }
}
