//! Who the admins are, and were.
//!
//! ```text
//! index        0 ──────────── 12 ──────────────────── 40 ───────────────>
//! a0 root      ├─────────────────────────────────────────────────────────   in office from the genesis on
//! a1 alice                    ├───────────────────────┤                     change 1 at 12, change 2 at 40
//!                                  ^ counts                 ^ does not
//! ```
//!
//! Whoever signs something has to be in office where it is agreed. Every member checks that when it applies the entry, so
//! the key of an admin that was removed is of no use from there on. Who only has a snapshot has the whole history of changes
//! in it, each with its signatures and its place in the log, and each statement with its place ([`Stated`]).
//!
//! **What that proves.** The changes form one chain, so their order is proven; nobody can be an admin who was not made one
//! by those who were. Their places are the voters' word: signatures do not cover them. Somebody with the key of an admin that
//! was removed *and* a voter's or a door's place could put a forged statement at an index before the removal. Whoever has
//! applied the log up to the removal notices ([`State::continues`]), and so does whoever compares state hashes or heads of the
//! trail. It remains possible towards a host that knows nothing yet; record 28 says what that is worth.
//!
//! Keys and ids are never used again, so each admin is in office once. Names may be.

mod changing;

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::{Actor, Event};
use mesh_model::signed::SignedError;
use mesh_model::trust::{
    AdminChange, AdminStatement, AdminStep, AdminsHead, ChainError, MeshRoot, Name,
};
use mesh_model::{AdminId, Cosigned, IdentityKey, LogIndex, Signed};
use serde::{Deserialize, Serialize};

use self::changing::event_of;
use super::{State, Stated};
use crate::command::Refusal;

/// What the first admin is called.
const ROOT_NAME: &str = "root";

/// Somebody who is, or was, an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// What people call it.
    pub name: Name,
    /// What it signs with.
    pub key: IdentityKey,
    /// Where in the log it became one; 0 for the root.
    pub since: LogIndex,
    /// How that ended, if it did.
    pub removed: Option<Removal>,
}

/// The end of an admin's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Where in the log.
    pub at: LogIndex,
    /// Whether the invites it made admit nobody any more.
    pub revoke_invites: bool,
}

impl Admin {
    /// Whether what it signed counts when it is agreed at `index`.
    pub fn in_office_at(&self, index: LogIndex) -> bool {
        self.since < index && self.removed.is_none_or(|removal| index < removal.at)
    }
}

/// A change of admins and where in the log it was agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Agreed {
    signed: Cosigned<AdminChange>,
    at: LogIndex,
}

/// The admins, and how they came to be it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredAdmins")]
pub struct Admins {
    root: IdentityKey,
    history: Vec<Agreed>,
    /// Everybody who ever was one. What follows is not encoded: it follows from the history.
    #[serde(skip_serializing)]
    all: BTreeMap<AdminId, Admin>,
    #[serde(skip_serializing)]
    threshold: u8,
    #[serde(skip_serializing)]
    head: AdminsHead,
}

/// The admins as they are encoded.
#[derive(Deserialize)]
struct StoredAdmins {
    root: IdentityKey,
    history: Vec<Agreed>,
}

impl TryFrom<StoredAdmins> for Admins {
    type Error = Refusal;

    /// Follows the history without checking its signatures: `verify` does.
    fn try_from(stored: StoredAdmins) -> Result<Self, Refusal> {
        let mut admins = Self::of_root(stored.root);
        for Agreed { signed, at } in stored.history {
            let change = signed.peek().map_err(SignedError::from)?;
            admins.check_step(&change)?;
            admins.take(signed, &change, at);
        }
        Ok(admins)
    }
}

impl Admins {
    /// Those of a mesh that begins: whoever holds its root key.
    pub(super) fn of_root(root: IdentityKey) -> Self {
        let name = ROOT_NAME.parse().expect("a label of four letters is a name");
        let admin = Admin { name, key: root, since: 0, removed: None };
        Self {
            root,
            history: Vec::new(),
            all: BTreeMap::from([(AdminId::ROOT, admin)]),
            threshold: 1,
            head: AdminsHead::of_root(&root),
        }
    }

    /// The admin `id`, present or past.
    pub fn get(&self, id: AdminId) -> Option<&Admin> {
        self.all.get(&id)
    }

    /// Who is an admin now, by id.
    pub fn present(&self) -> impl Iterator<Item = (AdminId, &Admin)> {
        self.all.iter().filter(|(_, admin)| admin.removed.is_none()).map(|(id, admin)| (*id, admin))
    }

    /// Everybody who is or was one, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&AdminId, &Admin)> {
        self.all.iter()
    }

    /// The admin that signs with `key` now.
    pub fn by_key(&self, key: &IdentityKey) -> Option<(AdminId, &Admin)> {
        self.present().find(|(_, admin)| admin.key == *key)
    }

    /// How many of them have to sign a change of admins.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The number of the last change; 0 before the first.
    pub fn serial(&self) -> u64 {
        self.history.len() as u64
    }

    /// What stands for all changes so far.
    pub fn head(&self) -> AdminsHead {
        self.head
    }

    /// Whether these admins are, or came of, those that `head` stands for.
    pub fn came_of(&self, head: AdminsHead) -> bool {
        let mut passed = AdminsHead::of_root(&self.root);
        passed == head
            || self.history.iter().any(|agreed| {
                passed = passed.after(&agreed.signed);
                passed == head
            })
    }

    /// Those before the entry at `index` of the log.
    pub(super) fn before(&self, index: LogIndex) -> Self {
        let mut admins = Self::of_root(self.root);
        for Agreed { signed, at } in self.history.iter().filter(|agreed| agreed.at < index) {
            // Whatever is in the history was read when it came in.
            let Ok(change) = signed.peek() else { break };
            admins.take(signed.clone(), &change, *at);
        }
        admins
    }

    /// What one of the present admins said in `signed`, and who.
    pub(super) fn open<T: AdminStatement>(
        &self,
        signed: &Signed<T>,
        root: &MeshRoot,
    ) -> Result<(T, AdminId), ChainError> {
        // The signature does not say whose it is. There are few, and nearly always the first is it.
        let mut refused = None;
        for (id, admin) in self.present() {
            match T::verify(signed, root.mesh, &admin.key) {
                Ok(said) => return Ok((said, id)),
                // A signature that holds under a statement that does not says more than one that does not hold.
                Err(error @ ChainError::Signed(_)) => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(ChainError::Contradiction("a mesh without admins")))
    }

    /// Checks a statement of which nobody says more than a snapshot does.
    pub(super) fn check<T: AdminStatement>(
        &self,
        stated: &Stated<T>,
        root: &MeshRoot,
    ) -> Result<(), ChainError> {
        let admin = self.all.get(&stated.by());
        let admin = admin.ok_or(ChainError::Contradiction("a statement of nobody"))?;
        if !admin.in_office_at(stated.at()) {
            return Err(ChainError::Contradiction("a statement of one who was no admin then"));
        }
        T::verify(stated.signed(), root.mesh, &admin.key).map(drop)
    }

    /// Checks all changes from the root key up.
    pub(super) fn verify(&self, root: &MeshRoot) -> Result<(), ChainError> {
        if self.root != root.key {
            return Err(ChainError::RootMismatch);
        }
        let mut before = Self::of_root(self.root);
        let mut last = 0;
        for Agreed { signed, at } in &self.history {
            let (change, _) = before.genuine(signed, root).map_err(|refusal| match refusal {
                Refusal::Admins(_) => {
                    ChainError::Contradiction("a change of admins nobody could have made")
                }
                _ => ChainError::Contradiction("a change of admins that its signers did not sign"),
            })?;
            if *at <= last {
                return Err(ChainError::Contradiction("changes of admins out of order"));
            }
            before.take(signed.clone(), &change, *at);
            last = *at;
        }
        Ok(())
    }

    /// The present admin called `name`.
    pub fn named(&self, name: &Name) -> Option<AdminId> {
        self.present().find(|(_, admin)| admin.name == *name).map(|(id, _)| id)
    }

    /// Makes `change`, which `signed` says and which was checked, at index `at`.
    fn take(&mut self, signed: Cosigned<AdminChange>, change: &AdminChange, at: LogIndex) {
        match &change.step {
            AdminStep::Add { name, key } => {
                let admin = Admin { name: name.clone(), key: *key, since: at, removed: None };
                self.all.insert(AdminId(change.serial), admin);
            }
            AdminStep::Remove { admin, revoke_invites, .. } => {
                if let Some(admin) = self.all.get_mut(admin) {
                    admin.removed = Some(Removal { at, revoke_invites: *revoke_invites });
                }
            }
            AdminStep::Threshold(wanted) => self.threshold = *wanted,
        }
        self.head = self.head.after(&signed);
        self.history.push(Agreed { signed, at });
    }

    /// Where in the log the change that `signed` says was made, if it was.
    pub(super) fn agreed_at(&self, signed: &Cosigned<AdminChange>) -> Option<LogIndex> {
        let same = |agreed: &&Agreed| agreed.signed.payload() == signed.payload();
        self.history.iter().rev().find(same).map(|agreed| agreed.at)
    }

    /// Whether this can have come of `earlier`, in which `last` was the last index with a decision.
    pub(super) fn continues(&self, earlier: &Self, last: LogIndex) -> bool {
        let (old, new) = match self.history.split_at_checked(earlier.history.len()) {
            Some(parts) => parts,
            None => return false,
        };
        // Who else signed the same change may have been seen differently; where it stands may not.
        let same = |(ours, theirs): (&Agreed, &Agreed)| {
            ours.at == theirs.at && ours.signed.payload() == theirs.signed.payload()
        };
        self.root == earlier.root
            && old.iter().zip(&earlier.history).all(same)
            && new.iter().all(|agreed| agreed.at > last)
    }

    /// Where each change was agreed, who signed it, and what the audit trail says of it.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (LogIndex, Actor, Event)> {
        let event = |agreed: &Agreed| agreed.signed.peek().ok().map(|change| event_of(&change));
        let by = |agreed: &Agreed| {
            let id = |key: &IdentityKey| {
                self.all.iter().find(|(_, admin)| admin.key == *key).map(|(id, _)| *id)
            };
            let signers: BTreeSet<AdminId> = agreed.signed.signers().filter_map(id).collect();
            Actor::admins(signers.into_iter().collect())
        };
        self.history.iter().filter_map(move |agreed| Some((agreed.at, by(agreed), event(agreed)?)))
    }
}

impl State {
    /// What an admin said in `signed`, and which, if it is one.
    pub(super) fn said_by_admin<T: AdminStatement>(
        &self,
        signed: &Signed<T>,
    ) -> Result<(T, AdminId), Refusal> {
        Ok(self.admins.open(signed, &self.founding.genesis.root)?)
    }
}
