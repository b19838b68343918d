//! Which change of admins can be made, by whom, and making it.
//!
//! A change names the one before it, so the admins agree on one after the other whoever hands them in. It is made once; said
//! again it is that change still, also when those that signed it are no admins any more.

use std::collections::BTreeSet;

use mesh_model::audit::{Actor, Event};
use mesh_model::signed::SignedError;
use mesh_model::trust::{
    AdminChange, AdminStep, ChainError, MAX_ADMIN_CHANGES, MAX_ADMINS, MeshRoot,
};
use mesh_model::{AdminId, Cosigned, LogIndex};

use super::Admins;
use crate::command::{AdminRefusal, Outcome, Refusal};
use crate::state::{Decision, State};

impl Admins {
    /// What `signed` changes and who signed it, if those may and it is the next change.
    pub(super) fn genuine(
        &self,
        signed: &Cosigned<AdminChange>,
        root: &MeshRoot,
    ) -> Result<(AdminChange, Vec<AdminId>), Refusal> {
        let change = signed.open()?;
        if change.mesh != root.mesh {
            return Err(ChainError::OtherMesh.into());
        }
        let signers: Result<BTreeSet<AdminId>, AdminRefusal> = signed
            .signers()
            .map(|key| self.by_key(key).map(|(id, _)| id).ok_or(AdminRefusal::NoAdmin(*key)))
            .collect();
        // First whether it is the next change: after another one its signers may well be none any more.
        self.check_place(&change)?;
        let signers = signers?;
        let needed = usize::from(self.threshold);
        if signers.len() < needed {
            return Err(AdminRefusal::TooFewSignatures { have: signers.len(), needed }.into());
        }
        self.check_step(&change)?;
        Ok((change, signers.into_iter().collect()))
    }

    /// Whether `change` follows the last one.
    fn check_place(&self, change: &AdminChange) -> Result<(), AdminRefusal> {
        match change.serial == self.serial() + 1 && change.before == self.head {
            true => Ok(()),
            false => Err(AdminRefusal::Stale(self.serial())),
        }
    }

    /// Whether `change` is one that can be made now, whoever signed it.
    pub(super) fn check_step(&self, change: &AdminChange) -> Result<(), AdminRefusal> {
        self.check_place(change)?;
        if change.serial > MAX_ADMIN_CHANGES {
            return Err(AdminRefusal::TooManyChanges);
        }
        let number = self.present().count();
        match &change.step {
            AdminStep::Add { .. } if number >= MAX_ADMINS => Err(AdminRefusal::TooMany),
            AdminStep::Add { key, .. } if self.all.values().any(|admin| admin.key == *key) => {
                Err(AdminRefusal::KeyUsed)
            }
            AdminStep::Add { name, .. } if self.named(name).is_some() => {
                Err(AdminRefusal::NameTaken(name.clone()))
            }
            AdminStep::Add { .. } => Ok(()),
            AdminStep::Remove { admin, name, .. } => match self.named(name) {
                Some(id) if id == *admin => self.check_removal(number),
                _ => Err(AdminRefusal::Unknown(*admin)),
            },
            AdminStep::Threshold(wanted) => match (1..=number).contains(&usize::from(*wanted)) {
                true => Ok(()),
                false => Err(AdminRefusal::Threshold { wanted: *wanted, admins: number }),
            },
        }
    }

    /// Whether one of `number` admins may go.
    fn check_removal(&self, number: usize) -> Result<(), AdminRefusal> {
        match number {
            0 | 1 => Err(AdminRefusal::LastAdmin),
            _ if number <= usize::from(self.threshold) => {
                Err(AdminRefusal::BelowThreshold(self.threshold))
            }
            _ => Ok(()),
        }
    }
}

impl State {
    /// What `signed` changes about the admins, if it does, who signed it, and whether that is news.
    ///
    /// A change that was made before is that change, whatever was made of the admins since: who signed it may be none any more.
    pub(in crate::state) fn genuine_change(
        &self,
        signed: &Cosigned<AdminChange>,
    ) -> Result<(AdminChange, Vec<AdminId>, bool), Refusal> {
        if self.admins.agreed_at(signed).is_some() {
            let change = signed.peek().map_err(SignedError::from)?;
            return Ok((change, Vec::new(), false));
        }
        let (change, signers) = self.admins.genuine(signed, &self.founding.genesis.root)?;
        Ok((change, signers, true))
    }

    /// Changes who the admins are.
    pub(in crate::state) fn change_admins(
        &mut self,
        index: LogIndex,
        signed: &Cosigned<AdminChange>,
    ) -> Result<Decision, Refusal> {
        let (change, signers, is_news) = self.genuine_change(signed)?;
        let outcome = Outcome::AdminsChanged(change.serial);
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        self.admins.take(signed.clone(), &change, index);
        Ok(Decision::Changed(Actor::admins(signers), event_of(&change), outcome))
    }
}

/// What the audit trail says of `change`.
pub(super) fn event_of(change: &AdminChange) -> Event {
    match &change.step {
        AdminStep::Add { name, key } => {
            Event::AdminAdded { admin: AdminId(change.serial), name: name.clone(), key: *key }
        }
        AdminStep::Remove { admin, revoke_invites, .. } => {
            Event::AdminRemoved { admin: *admin, invites_revoked: *revoke_invites }
        }
        AdminStep::Threshold(threshold) => Event::AdminThreshold { threshold: *threshold },
    }
}
