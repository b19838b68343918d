//! The invites the mesh remembers, and how much of each is left.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::{Actor, Event};
use mesh_model::codec::CodecError;
use mesh_model::trust::{Invite, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES, Revocation};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{InviteId, Signed};
use serde::{Deserialize, Serialize};

use super::members::MAX_MEMBERS;
use super::{Decision, State};
use crate::command::{InviteField, Outcome, Refusal};

/// The most invites remembered: one for every member, as each is kept while a member it admitted is
/// present, and a thousand that wait to be used. At about 250 bytes each, 3 MB of a snapshot.
pub const MAX_INVITES: usize = MAX_MEMBERS + 1000;

/// How long an invite that admitted no present member is remembered after it expired, in
/// milliseconds: a week, in which a late joiner still hears "expired" or "used" and not "unknown".
pub const INVITE_MEMORY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// An invite and how often it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredInvite")]
pub struct InviteEntry {
    signed: Signed<Invite>,
    /// What `signed` says, decoded.
    #[serde(skip_serializing)]
    terms: Invite,
    used: u32,
    revoked: Option<Signed<Revocation>>,
}

/// An invite as it is encoded: the signed bytes once.
#[derive(Deserialize)]
struct StoredInvite {
    signed: Signed<Invite>,
    used: u32,
    revoked: Option<Signed<Revocation>>,
}

impl TryFrom<StoredInvite> for InviteEntry {
    type Error = CodecError;

    fn try_from(stored: StoredInvite) -> Result<Self, CodecError> {
        let StoredInvite { signed, used, revoked } = stored;
        Ok(Self { terms: signed.peek()?, signed, used, revoked })
    }
}

impl InviteEntry {
    /// What the root allowed.
    pub fn terms(&self) -> &Invite {
        &self.terms
    }

    /// The same, as it was signed.
    pub fn signed(&self) -> &Signed<Invite> {
        &self.signed
    }

    /// How many members it has admitted, those that left since included.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// The root's word that it admits nobody any more.
    pub fn revoked(&self) -> Option<&Signed<Revocation>> {
        self.revoked.as_ref()
    }

    /// Whether it still admits at `now_ms`.
    pub fn check_open(&self, now_ms: u64) -> Result<(), JoinRefusal> {
        if self.revoked.is_some() {
            return Err(JoinRefusal::Revoked);
        }
        if self.used >= self.terms.uses {
            return Err(JoinRefusal::Used);
        }
        if now_ms >= self.terms.expires_ms {
            return Err(JoinRefusal::Expired);
        }
        Ok(())
    }
}

/// All remembered invites, by id.
///
/// One that is spent stays until it has expired: forgotten sooner, its signed bytes could be
/// proposed again and would admit as many again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invites(BTreeMap<InviteId, InviteEntry>);

impl Invites {
    /// The invite `id`.
    pub fn get(&self, id: &InviteId) -> Option<&InviteEntry> {
        self.0.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&InviteId, &InviteEntry)> {
        self.0.iter()
    }

    /// Adds an invite whose signature and bounds were checked; forgets those of no use to anyone. `false` when
    /// it is there already. `needed` are the invites that admitted present members.
    pub(super) fn add(
        &mut self,
        signed: &Signed<Invite>,
        terms: Invite,
        now_ms: u64,
        needed: &BTreeSet<InviteId>,
    ) -> Result<bool, Refusal> {
        if let Some(entry) = self.0.get(&terms.id) {
            return match entry.terms == terms {
                true => Ok(false),
                false => Err(Refusal::InviteExists),
            };
        }
        if now_ms >= terms.expires_ms {
            return Err(Refusal::InviteExpired);
        }
        let stale =
            |entry: &InviteEntry| now_ms >= entry.terms.expires_ms.saturating_add(INVITE_MEMORY_MS);
        let keep = |id: &InviteId, entry: &InviteEntry| !stale(entry) || needed.contains(id);
        let kept = self.0.iter().filter(|(id, entry)| keep(id, entry)).count();
        if kept >= MAX_INVITES {
            return Err(Refusal::TooManyInvites(kept));
        }
        self.0.retain(|id, entry| keep(id, entry));
        let entry = InviteEntry { signed: signed.clone(), used: 0, terms, revoked: None };
        self.0.insert(entry.terms.id, entry);
        Ok(true)
    }

    pub(super) fn spend(&mut self, id: &InviteId) {
        if let Some(entry) = self.0.get_mut(id) {
            entry.used = entry.used.saturating_add(1);
        }
    }
}

impl State {
    /// What the root allowed, if it did.
    pub(super) fn genuine_invite(&self, signed: &Signed<Invite>) -> Result<Invite, Refusal> {
        let invite = Invite::verify(signed, &self.founding.genesis.root)?;
        check_bounds(&invite)?;
        Ok(invite)
    }

    /// Adds an invite.
    pub(super) fn invite(
        &mut self,
        signed: &Signed<Invite>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let invite = self.genuine_invite(signed)?;
        let outcome = Outcome::InviteAdded(invite.id);
        let event = Event::InviteAdded {
            invite: invite.id,
            uses: invite.uses,
            expires_ms: invite.expires_ms,
        };
        let needed = self.members.invites_in_use();
        let added = self.invites.add(signed, invite, now_ms, &needed)?;
        Ok(match added {
            true => Decision::Changed(Actor::Root, event, outcome),
            false => Decision::Already(outcome),
        })
    }

    /// The invite the root takes back, if it does, and if there is one.
    pub(super) fn genuine_revocation(
        &self,
        signed: &Signed<Revocation>,
    ) -> Result<&InviteEntry, Refusal> {
        let invite = Revocation::verify(signed, &self.founding.genesis.root)?.invite;
        self.invites.get(&invite).ok_or(Refusal::NoSuchInvite(invite))
    }

    /// Takes an invite back.
    pub(super) fn revoke(&mut self, signed: &Signed<Revocation>) -> Result<Decision, Refusal> {
        let entry = self.genuine_revocation(signed)?;
        let (invite, already) = (entry.terms.id, entry.revoked.is_some());
        let outcome = Outcome::InviteRevoked(invite);
        if already {
            return Ok(Decision::Already(outcome));
        }
        if let Some(entry) = self.invites.0.get_mut(&invite) {
            entry.revoked = Some(signed.clone());
        }
        Ok(Decision::Changed(Actor::Root, Event::InviteRevoked { invite }, outcome))
    }
}

/// Whether an invite's terms are ones the root may set.
pub(super) fn check_bounds(terms: &Invite) -> Result<(), Refusal> {
    if !(1..=MAX_INVITE_USES).contains(&terms.uses) {
        return Err(Refusal::InviteBounds(InviteField::Uses));
    }
    match terms.expires_ms.checked_sub(terms.created_ms) {
        Some(1..=MAX_INVITE_LIFETIME_MS) => Ok(()),
        _ => Err(Refusal::InviteBounds(InviteField::Lifetime)),
    }
}
