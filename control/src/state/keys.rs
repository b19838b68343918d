//! Which WireGuard key each member has, where it is not the one it came in with.
//!
//! ```text
//! record's key ──rekey 1──> key ──rekey 2──> key ──> ...        each signed by the member's identity
//! ```
//!
//! Of each member the last statement is kept. It names the key and the one before, by which those may still know it who
//! have not heard of the change. Nobody gets a key that somebody present has, or had before that.

use std::collections::BTreeMap;

use mesh_model::audit::{Actor, Event};
use mesh_model::codec::CodecError;
use mesh_model::trust::{ChainError, MeshRoot, Rekey};
use mesh_model::view::KeyChange;
use mesh_model::{LogIndex, MemberId, Signed, TunnelKey};
use serde::{Deserialize, Serialize};

use super::verify::{FAR_SERIAL, contradiction, require};
use super::{Members, State};
use crate::command::RekeyRefusal;

/// The last change of a member's key, as it was agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct KeyEntry {
    signed: Signed<Rekey>,
    at: LogIndex,
    since_ms: u64,
    /// What `signed` says, decoded.
    #[serde(skip_serializing)]
    said: Rekey,
}

/// A change as it is encoded: the signed bytes once.
#[derive(Deserialize)]
struct Stored {
    signed: Signed<Rekey>,
    at: LogIndex,
    since_ms: u64,
}

impl TryFrom<Stored> for KeyEntry {
    type Error = CodecError;

    fn try_from(Stored { signed, at, since_ms }: Stored) -> Result<Self, CodecError> {
        Ok(Self { said: signed.peek()?, signed, at, since_ms })
    }
}

impl KeyEntry {
    /// What the member said.
    pub fn said(&self) -> &Rekey {
        &self.said
    }

    /// The same, as it was signed.
    pub fn signed(&self) -> &Signed<Rekey> {
        &self.signed
    }

    /// Where in the log it was agreed.
    pub fn at(&self) -> LogIndex {
        self.at
    }

    /// When, in milliseconds since the Unix epoch, by the stamp in the log.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// The same for everyone else.
    pub(super) fn change(&self) -> KeyChange {
        let Rekey { serial, before, .. } = self.said;
        KeyChange { serial, before, at: self.at, since_ms: self.since_ms }
    }
}

/// The last change of each member that ever changed its key. At most one per member with a place in the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys(BTreeMap<MemberId, KeyEntry>);

impl Keys {
    /// The last change of `member`'s key.
    pub fn get(&self, member: MemberId) -> Option<&KeyEntry> {
        self.0.get(&member)
    }

    /// All of them, by member.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MemberId, &KeyEntry)> {
        self.0.iter()
    }

    /// The key of `member`, which came in with `first`.
    pub fn current(&self, member: MemberId, first: TunnelKey) -> TunnelKey {
        self.get(member).map_or(first, |entry| entry.said.tunnel)
    }

    /// The serial of the last change of `member`'s key; 0 if there was none.
    pub fn serial(&self, member: MemberId) -> u64 {
        self.get(member).map_or(0, |entry| entry.said.serial)
    }

    /// Whether `member`, which came in with `first`, has `key`, or had it before the one it has.
    pub(super) fn is_of(&self, key: TunnelKey, member: MemberId, first: TunnelKey) -> bool {
        match self.get(member) {
            Some(entry) => [entry.said.tunnel, entry.said.before].contains(&key),
            None => first == key,
        }
    }

    /// Whether `rekey`, by a member that came in with `first`, says something new. `false`: it is the last one again.
    pub(super) fn is_news(&self, rekey: &Rekey, first: TunnelKey) -> Result<bool, RekeyRefusal> {
        let member = rekey.member;
        if self.get(member).is_some_and(|last| last.said == *rekey) {
            return Ok(false);
        }
        let last = self.serial(member);
        if Some(rekey.serial) != last.checked_add(1) {
            return Err(RekeyRefusal::Stale { member, serial: last });
        }
        if rekey.before != self.current(member, first) {
            return Err(RekeyRefusal::OtherKey(member));
        }
        Ok(true)
    }

    /// `said` is the last word of its member from now on.
    pub(super) fn insert(
        &mut self,
        signed: Signed<Rekey>,
        said: Rekey,
        at: LogIndex,
        since_ms: u64,
    ) {
        self.0.insert(said.member, KeyEntry { signed, at, since_ms, said });
    }

    /// Where each change was agreed, whose it is, and what the audit trail says of it.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (LogIndex, Actor, Event)> {
        self.0.iter().map(|(id, entry)| {
            let (member, &Rekey { serial, tunnel: key, .. }) = (*id, entry.said());
            (entry.at, Actor::Member { member }, Event::Rekeyed { member, serial, key })
        })
    }

    /// Whether these can have come of `earlier`, whose last index is `last`, where `members` are the members now.
    pub(super) fn continues(&self, earlier: &Self, last: LogIndex, members: &Members) -> bool {
        let made =
            |(id, after): (&MemberId, &KeyEntry)| after.at > last || earlier.get(*id).is_some();
        let kept = |(id, before): (&MemberId, &KeyEntry)| match self.get(*id) {
            Some(after) => {
                let is_later = after.said.serial > before.said.serial;
                after == before || is_later && after.at > last
            }
            None => !members.present().contains_key(id),
        };
        self.iter().all(made) && earlier.iter().all(kept)
    }

    /// There is nothing to know of `member` any more.
    pub(super) fn forget(&mut self, member: MemberId) {
        self.0.remove(&member);
    }
}

/// Every other WireGuard key is its member's own word, and follows from the one it came in with.
pub(super) fn verify(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    let born_ms = state.founding.genesis.created_ms;
    for (id, entry) in state.keys.iter() {
        let Some(member) = state.members.present().get(id) else {
            return contradiction("a WireGuard key of nobody");
        };
        let record = member.record();
        let rekey = Rekey::verify(entry.signed(), root.mesh, &record.identity)?;
        require(rekey.member == *id, "a WireGuard key under another id")?;
        // One an entry.
        require((1..=entry.at()).contains(&rekey.serial), FAR_SERIAL)?;
        let follows = rekey.serial > 1 || rekey.before == record.tunnel;
        require(follows, "a WireGuard key in place of one that its member did not have")?;
        require(!rekey.tunnel.is_degenerate(), "a WireGuard key that keeps no secret")?;
        require(entry.since_ms() >= born_ms, "a WireGuard key from before the genesis")?;
    }
    Ok(())
}
