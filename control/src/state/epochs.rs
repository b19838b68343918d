//! The epochs of the mesh: how often, where and by whom its log was begun anew without a majority.
//!
//! ```text
//! genesis ──> epoch 0 ──"goes on from 105"──> epoch 1 ──"goes on from 1000230"──> epoch 2
//! ```
//!
//! A statement that begins an epoch is no command: it is not agreed by voters, who are gone, but carried out by `mesh recover`
//! on one host ([`State::begin_epoch`]). All others learn of it from a state that stands on it, which [`State::verify`]
//! checks from the genesis up and [`State::check_crossing`](super::crossing) holds against what they know themselves.

use std::collections::BTreeSet;

use mesh_model::audit::{Actor, Entry, Event};
use mesh_model::codec::CodecError;
use mesh_model::signed::SignedError;
use mesh_model::trust::{
    ChainError, EPOCH_LEAP, Epoch, EpochHead, EpochId, Genesis, MAX_EPOCHS, MeshRoot, Reason,
};
use mesh_model::{AdminId, Cosigned, IdentityKey, LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

use super::{Admins, State};

/// Why a statement does not begin an epoch. Always the fault of whoever signed it, or carries it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// A signature does not hold, or nobody can tell what it says.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// It is for another mesh.
    #[error("it is for another mesh")]
    OtherMesh,
    /// It does not follow the last epoch.
    #[error("it does not follow epoch {0}, which is the last; make and sign it again")]
    Stale(EpochId),
    /// There were as many as there can be.
    #[error("there were {MAX_EPOCHS} epochs, the most a mesh remembers")]
    TooMany,
    /// Signed by somebody who is no admin.
    #[error("the key {0} signed it, which is not that of an admin")]
    NoAdmin(IdentityKey),
    /// Not signed by enough of them.
    #[error("{have} of the {needed} signatures it needs are there")]
    TooFewSignatures {
        /// How many signed.
        have: usize,
        /// How many have to.
        needed: usize,
    },
    /// It goes on from another log than the one it was to be carried out on.
    #[error("it goes on from index {0} of another log, or of this one before it changed")]
    OtherLog(LogIndex),
    /// Its own log would begin elsewhere than it has to.
    #[error("its log would begin at index {0}")]
    Beginning(LogIndex),
    /// The voter it names has no place in the mesh, or is banned.
    #[error("{0}, which is to vote, is no member or is banned")]
    Voter(MemberId),
}

/// A statement that began an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Cosigned<Epoch>", into = "Cosigned<Epoch>")]
struct Begun {
    signed: Cosigned<Epoch>,
    said: Epoch,
}

impl TryFrom<Cosigned<Epoch>> for Begun {
    type Error = CodecError;

    fn try_from(signed: Cosigned<Epoch>) -> Result<Self, CodecError> {
        Ok(Self { said: signed.peek()?, signed })
    }
}

impl From<Begun> for Cosigned<Epoch> {
    fn from(begun: Begun) -> Self {
        begun.signed
    }
}

/// All epochs that were begun, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs(Vec<Begun>);

impl Epochs {
    /// The statements, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Epoch> {
        self.0.iter().map(|begun| &begun.said)
    }

    /// The statement that began epoch `number`.
    pub fn get(&self, number: u64) -> Option<&Cosigned<Epoch>> {
        Some(&self.begun(number)?.signed)
    }

    /// The epochs in order, that of the genesis first.
    pub(super) fn ids(&self, genesis: &Signed<Genesis>) -> impl Iterator<Item = EpochId> {
        let first = EpochId { number: 0, head: EpochHead::of_genesis(genesis) };
        let later = self.0.iter().scan(first.head, |head, begun| {
            *head = head.after(&begun.signed);
            Some(EpochId { number: begun.said.number, head: *head })
        });
        std::iter::once(first).chain(later)
    }

    fn begun(&self, number: u64) -> Option<&Begun> {
        self.0.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// Whether this can have come of `earlier`, in which `last` was the last index with a decision.
    pub(super) fn continues(&self, earlier: &Self, last: LogIndex) -> bool {
        let Some((old, new)) = self.0.split_at_checked(earlier.0.len()) else { return false };
        let same = |(ours, theirs): (&Begun, &Begun)| ours.said == theirs.said;
        old.iter().zip(&earlier.0).all(same) && new.iter().all(|begun| begun.said.first > last)
    }

    /// Where each stands in the log, who of `admins` signed it, and what the audit trail says of it.
    pub(super) fn decisions(
        &self,
        admins: &Admins,
    ) -> impl Iterator<Item = (LogIndex, Actor, Event)> {
        self.0.iter().map(|Begun { signed, said }| {
            let id = |key: &IdentityKey| admins.iter().find(|(_, admin)| admin.key == *key);
            let signers: BTreeSet<AdminId> =
                signed.signers().filter_map(id).map(|(id, _)| *id).collect();
            (said.first, Actor::admins(signers.into_iter().collect()), event_of(said))
        })
    }
}

/// What the audit trail says of `epoch`.
fn event_of(epoch: &Epoch) -> Event {
    let Epoch { number, from, voter, reason, .. } = epoch;
    Event::EpochBegan { number: *number, from: *from, voter: *voter, reason: reason.clone() }
}

impl Admins {
    /// Which of them signed `begun`, if enough did.
    pub(super) fn entitle(&self, begun: &Cosigned<Epoch>) -> Result<Vec<AdminId>, EpochError> {
        let id = |key: &IdentityKey| self.by_key(key).map(|(id, _)| id);
        let signers: Result<BTreeSet<AdminId>, EpochError> =
            begun.signers().map(|key| id(key).ok_or(EpochError::NoAdmin(*key))).collect();
        let (signers, needed) = (signers?, usize::from(self.threshold()));
        match signers.len() {
            have if have < needed => Err(EpochError::TooFewSignatures { have, needed }),
            _ => Ok(signers.into_iter().collect()),
        }
    }
}

/// What `begun` says and who of `admins` signed it, if they may and it follows `last`.
fn genuine(
    begun: &Cosigned<Epoch>,
    mesh: &MeshRoot,
    last: EpochId,
    admins: &Admins,
) -> Result<(Epoch, Vec<AdminId>), EpochError> {
    let epoch = begun.open()?;
    if epoch.mesh != mesh.mesh {
        return Err(EpochError::OtherMesh);
    }
    if epoch.number != last.number + 1 || epoch.before != last.head {
        return Err(EpochError::Stale(last));
    }
    if epoch.number > MAX_EPOCHS {
        return Err(EpochError::TooMany);
    }
    if epoch.from.checked_add(EPOCH_LEAP) != Some(epoch.first) {
        return Err(EpochError::Beginning(epoch.first));
    }
    let signers = admins.entitle(begun)?;
    Ok((epoch, signers))
}

impl State {
    /// The epochs that were begun.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The epoch that this state belongs to.
    pub fn epoch(&self) -> EpochId {
        let ids = self.epochs.ids(&self.founding.signed);
        ids.last().expect("there is always the one of the genesis")
    }

    /// The statement to sign so that the mesh goes on from this state, to which the entry `from` led, with `voter` alone.
    pub fn next_epoch(
        &self,
        from: LogIndex,
        voter: MemberId,
        at_ms: u64,
        reason: Option<Reason>,
    ) -> Epoch {
        let last = self.epoch();
        Epoch {
            mesh: self.founding.genesis.root.mesh,
            number: last.number + 1,
            before: last.head,
            from,
            state: self.hash(),
            first: from.saturating_add(EPOCH_LEAP),
            voter,
            at_ms,
            reason,
        }
    }

    /// Begins the epoch of `begun`, which must go on from this very state, to which the entry `from` led.
    ///
    /// Whoever voted before has promised nothing in the new epoch, so only its one voter has voted from here on. Changes
    /// nothing when it is refused.
    pub fn begin_epoch(
        &mut self,
        from: LogIndex,
        begun: &Cosigned<Epoch>,
    ) -> Result<Epoch, EpochError> {
        let root = self.founding.genesis.root;
        let (epoch, signers) = genuine(begun, &root, self.epoch(), &self.admins)?;
        if epoch.from != from || epoch.state != self.hash() {
            return Err(EpochError::OtherLog(epoch.from));
        }
        let is_present = self.members.present().contains_key(&epoch.voter);
        if !is_present || self.is_out(epoch.voter) {
            return Err(EpochError::Voter(epoch.voter));
        }
        self.epochs.0.push(Begun { signed: begun.clone(), said: epoch.clone() });
        self.voted = BTreeSet::from([epoch.voter]);
        let (index, at_ms) = (epoch.first, self.now_ms.max(epoch.at_ms));
        let event = event_of(&epoch);
        self.audit.record(Entry { index, at_ms, by: Actor::admins(signers), event });
        Ok(epoch)
    }
}

/// Checks all epochs of `state` from the genesis up: each was begun by those who were admins then.
pub(super) fn verify(state: &State, root: &MeshRoot) -> Result<(), ChainError> {
    let mut ids = state.epochs.ids(&state.founding.signed);
    let mut least = 0;
    for (Begun { signed, said }, last) in state.epochs.0.iter().zip(&mut ids) {
        let admins = state.admins.before(said.first);
        genuine(signed, root, last, &admins)
            .map_err(|_| ChainError::Contradiction("an epoch that nobody could have begun"))?;
        if said.from < least {
            return Err(ChainError::Contradiction("an epoch that goes on from before the last"));
        }
        least = said.first;
    }
    let stands = |entry: &Entry| match entry.event {
        Event::EpochBegan { number, .. } => {
            state.epochs.begun(number).is_some_and(|begun| begun.said.first == entry.index)
        }
        _ => true,
    };
    match state.audit.iter().all(stands) {
        true => Ok(()),
        false => Err(ChainError::Contradiction("an epoch that the audit trail alone tells of")),
    }
}
