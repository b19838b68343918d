//! The invites the mesh remembers, and how much of each is left.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::Actor;
use mesh_model::trust::{
    AdminStatement as _, Invite, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES, Revocation,
};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, InviteId, LogIndex, Prefixes, Signed};
use serde::{Deserialize, Serialize};

use super::members::MAX_MEMBERS;
use super::tags::check_tags;
use super::{Admins, Decision, State, Stated};
use crate::command::{InviteField, Outcome, Refusal};

/// The most invites remembered: one for every member, as each is kept while a member it admitted is
/// present, and a thousand that wait to be used. At about 250 bytes each, 3 MB of a snapshot, and twice that
/// if all carry as many tags as they may.
pub const MAX_INVITES: usize = MAX_MEMBERS + 1000;

/// How long an invite that admitted no present member is remembered after it expired, in
/// milliseconds: a week, in which a late joiner still hears "expired" or "used" and not "unknown".
pub const INVITE_MEMORY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// An invite and how often it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteEntry {
    stated: Stated<Invite>,
    used: u32,
    revoked: Option<Stated<Revocation>>,
}

impl InviteEntry {
    /// What its admin allowed.
    pub fn terms(&self) -> &Invite {
        self.stated.said()
    }

    /// The same, as it was agreed.
    pub fn stated(&self) -> &Stated<Invite> {
        &self.stated
    }

    /// How many members it has admitted, those that left since included.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// An admin's word that it admits nobody any more.
    pub fn revoked(&self) -> Option<&Stated<Revocation>> {
        self.revoked.as_ref()
    }

    /// Whether it still admits at `now_ms`, `admins` being those of the mesh.
    pub fn check_open(&self, now_ms: u64, admins: &Admins) -> Result<(), JoinRefusal> {
        let maker = admins.get(self.stated.by()).and_then(|admin| admin.removed);
        if self.revoked.is_some() || maker.is_some_and(|removal| removal.revoke_invites) {
            return Err(JoinRefusal::Revoked);
        }
        if self.used >= self.terms().uses {
            return Err(JoinRefusal::Used);
        }
        if now_ms >= self.terms().expires_ms {
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&InviteId, &InviteEntry)> + Clone {
        self.0.iter()
    }

    /// Whether an invite with these terms, whose signature and bounds were checked, is new. `false`: it is there already.
    fn is_news(&self, terms: &Invite, now_ms: u64) -> Result<bool, Refusal> {
        match self.0.get(&terms.id) {
            Some(entry) if entry.terms() == terms => Ok(false),
            Some(_) => Err(Refusal::InviteExists),
            None if now_ms >= terms.expires_ms => Err(Refusal::InviteExpired),
            None => Ok(true),
        }
    }

    /// Adds a new invite and forgets those of no use to anyone. `needed` are the invites that admitted present members, and
    /// those on whose word somebody is shut out.
    fn add(
        &mut self,
        stated: Stated<Invite>,
        now_ms: u64,
        needed: &BTreeSet<InviteId>,
    ) -> Result<(), Refusal> {
        let stale = |entry: &InviteEntry| {
            now_ms >= entry.terms().expires_ms.saturating_add(INVITE_MEMORY_MS)
        };
        let keep = |id: &InviteId, entry: &InviteEntry| !stale(entry) || needed.contains(id);
        let kept = self.0.iter().filter(|(id, entry)| keep(id, entry)).count();
        if kept >= MAX_INVITES {
            return Err(Refusal::TooManyInvites(kept));
        }
        self.0.retain(|id, entry| keep(id, entry));
        self.0.insert(stated.said().id, InviteEntry { stated, used: 0, revoked: None });
        Ok(())
    }

    pub(super) fn spend(&mut self, id: &InviteId) {
        if let Some(entry) = self.0.get_mut(id) {
            entry.used = entry.used.saturating_add(1);
        }
    }
}

impl State {
    /// What an admin allowed, and which, if one did.
    pub(super) fn genuine_invite(
        &self,
        signed: &Signed<Invite>,
    ) -> Result<(Invite, AdminId), Refusal> {
        let (invite, by) = self.said_by_admin(signed)?;
        check_bounds(&invite, &self.founding.genesis.prefixes)?;
        Ok((invite, by))
    }

    /// Adds an invite.
    pub(super) fn invite(
        &mut self,
        index: LogIndex,
        signed: &Signed<Invite>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (invite, by) = self.genuine_invite(signed)?;
        let (outcome, event) = (Outcome::InviteAdded(invite.id), invite.event());
        if !self.invites.is_news(&invite, now_ms)? {
            return Ok(Decision::Already(outcome));
        }
        let mut needed = self.members.invites_in_use();
        needed.extend(self.exclusions.invites_in_use());
        self.invites.add(Stated::new(signed.clone(), invite, by, index), now_ms, &needed)?;
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }

    /// The invite an admin takes back and what it says of that, if one does, and if there is such an invite.
    pub(super) fn genuine_revocation(
        &self,
        signed: &Signed<Revocation>,
    ) -> Result<(&InviteEntry, Revocation, AdminId), Refusal> {
        let (revocation, by) = self.said_by_admin(signed)?;
        let entry = self.invites.get(&revocation.invite);
        Ok((entry.ok_or(Refusal::NoSuchInvite(revocation.invite))?, revocation, by))
    }

    /// Takes an invite back.
    pub(super) fn revoke(
        &mut self,
        index: LogIndex,
        signed: &Signed<Revocation>,
    ) -> Result<Decision, Refusal> {
        let (entry, revocation, by) = self.genuine_revocation(signed)?;
        let (invite, event) = (revocation.invite, revocation.event());
        let outcome = Outcome::InviteRevoked(invite);
        if entry.revoked.is_some() {
            return Ok(Decision::Already(outcome));
        }
        let stated = Stated::new(signed.clone(), revocation, by, index);
        if let Some(entry) = self.invites.0.get_mut(&invite) {
            entry.revoked = Some(stated);
        }
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }
}

/// Whether an invite's terms are ones an admin may set.
pub(super) fn check_bounds(terms: &Invite, prefixes: &Prefixes) -> Result<(), Refusal> {
    if !terms.range.is_none_or(|range| prefixes.v4.contains(&range)) {
        return Err(Refusal::InviteBounds(InviteField::Range));
    }
    if !(1..=MAX_INVITE_USES).contains(&terms.uses) {
        return Err(Refusal::InviteBounds(InviteField::Uses));
    }
    check_tags(&terms.tags)?;
    match terms.expires_ms.checked_sub(terms.created_ms) {
        Some(1..=MAX_INVITE_LIFETIME_MS) => Ok(()),
        _ => Err(Refusal::InviteBounds(InviteField::Lifetime)),
    }
}
