//! Counts what is refused of what members, and those that are none, say about agreement.
//!
//! Who refuses says why, as an [`RpcError`] or another error, and goes by nothing of it; here each error has its
//! [reason](Refused).

use mesh_model::signed::SignedError;
use mesh_model::{IdentityKey, MemberId};

use super::draft::DraftError;
use super::group::{Group, Inner};
use super::rpc::RpcError;
use super::snapshot::SnapshotError;
use crate::refusals::{Refusals, Refused};
use crate::sync::WordError;

impl Group {
    /// What this host refused since it started, of all epochs; the shell counts what it refuses itself among it.
    pub fn refusals(&self) -> &Refusals {
        &self.place.lasting.refusals
    }

    /// Somebody wants to speak of agreement whose identity, as the link proves it, is no present member's. `None`: it proves none.
    pub fn refuse_stranger(&self, identity: Option<&IdentityKey>) {
        let inner = self.inner();
        let reason = identity.map_or(Refused::AgreementStranger, |key| inner.standing_of_key(key));
        inner.refusals.count(reason);
    }
}

impl Inner {
    /// Counts a question of another member that came to `error`.
    pub(super) fn count_refused(&self, error: &RpcError) {
        let reason = match error {
            RpcError::NotAMember(from) => self.standing(*from),
            RpcError::LeftMeanwhile(_) => Refused::SyncRemoved,
            RpcError::NotEntitled { .. } => Refused::AgreementForeignSource,
            RpcError::NoVote(_) => Refused::AgreementNotAVoter,
            RpcError::OutOfTurn(_) => Refused::AgreementOutOfTurn,
            RpcError::NotTheLeader(_) => Refused::AgreementNotTheLeader,
            RpcError::TermOutOfReach { .. } => Refused::AgreementTermOutOfReach,
            RpcError::Malformed(unread) | RpcError::Snapshot(SnapshotError::Codec(unread)) => {
                Refused::of_unread(unread)
            }
            RpcError::Snapshot(SnapshotError::Compression(_)) => Refused::AgreementMalformed,
            RpcError::Snapshot(SnapshotError::Chain(_)) => Refused::AgreementSnapshotForged,
            RpcError::Contradiction => Refused::AgreementSnapshotContradicts,
            RpcError::Outdated => Refused::AgreementOutdated,
            RpcError::Recollecting => Refused::AgreementRecollecting,
            RpcError::Stopped => Refused::AgreementStopped,
            // Counted when the word was looked at.
            RpcError::WordNotTaken(_) => return,
        };
        self.refusals.count(reason);
    }

    /// Why one that is no member, or is one no longer, is not listened to.
    fn standing(&self, from: MemberId) -> Refused {
        let has_departed = || self.replica.lock().state.members().departed().contains_key(&from);
        if from == self.me {
            Refused::AgreementOwnIdentity
        } else if self.view().banned.contains_key(&from) {
            Refused::AgreementBanned
        } else if has_departed() {
            Refused::AgreementRemoved
        } else {
            Refused::AgreementStranger
        }
    }

    /// The same of an identity.
    fn standing_of_key(&self, identity: &IdentityKey) -> Refused {
        if *identity == self.key.public() {
            return Refused::AgreementOwnIdentity;
        }
        if self.view().banned.values().any(|banned| banned.member.identity == *identity) {
            return Refused::AgreementBanned;
        }
        let replica = self.replica.lock();
        match replica.state.members().departed().values().any(|gone| gone.identity == *identity) {
            true => Refused::AgreementRemoved,
            false => Refused::AgreementStranger,
        }
    }
}

impl Refused {
    /// Why a checkpoint was not taken.
    pub(super) fn of_word(error: &WordError) -> Self {
        match error {
            WordError::Signed(SignedError::Codec(unread)) => Self::of_unread_word(unread),
            WordError::Signed(SignedError::Signature { .. }) | WordError::NotOwn => {
                Self::CheckpointForged
            }
            WordError::NoVote => Self::CheckpointNotAVoter,
        }
    }

    /// Why what a source sent was not taken.
    pub(super) fn of_draft(error: &DraftError) -> Self {
        match error {
            DraftError::Malformed(unread) | DraftError::Snapshot(SnapshotError::Codec(unread)) => {
                Self::of_unread_news(unread)
            }
            DraftError::Snapshot(SnapshotError::Compression(_)) => Self::SyncMalformed,
            DraftError::Snapshot(SnapshotError::Chain(_)) => Self::SyncForged,
            DraftError::Gap => Self::SyncGap,
            DraftError::Useless => Self::SyncUnasked,
            DraftError::Contradiction => Self::SyncContradicts,
            DraftError::TooMuch => Self::SyncTooMuch,
            DraftError::Refuted(_) => Self::SyncRefuted,
        }
    }
}

#[cfg(test)]
mod tests;
