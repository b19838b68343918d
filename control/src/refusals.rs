//! What strangers and members said to this host that it did not go by, and how often.
//!
//! ```text
//! agreement_*   said over the link between members: who it is, whether it may say so, whether it can be so
//! checkpoint_*  a voter's signed word on where the log led, whoever brought it
//! sync_*        what a source sent of the log, or asked for
//! join_*        said at this host's own door
//! ```
//!
//! A refused message changes nothing else. What gossip refuses it counts itself ([`Drop`](crate::gossip::Drop)), and so does the
//! packet path. Whoever is refused before it has said what it wants counts as `agreement_*`, though it may have wanted to follow by
//! sync.

use std::sync::atomic::{AtomicU64, Ordering};

use mesh_model::codec::CodecError;
use mesh_model::wire::join::{JoinRefusal, JoinReply};

use crate::reasons::reasons;

reasons! {
    /// Why a message about agreement, sync or joining changed nothing.
    pub enum Refused {
        /// From one that is no member and, as far as the mesh remembers, never was: or is none yet.
        AgreementStranger => "agreement_stranger",
        /// From one that left the mesh, or was removed.
        AgreementRemoved => "agreement_removed",
        /// From one that is banned.
        AgreementBanned => "agreement_banned",
        /// From one that has this host's own identity: somebody copied its key.
        AgreementOwnIdentity => "agreement_own_identity",
        /// The link says one member, the message another.
        AgreementForeignSource => "agreement_foreign_source",
        /// From a member that has no vote and speaks as if it had: it never had one, or lost it.
        AgreementNotAVoter => "agreement_not_a_voter",
        /// A leader's word from one that was not elected, or a candidate's from one that was.
        AgreementOutOfTurn => "agreement_out_of_turn",
        /// A member proposes what only the leader may.
        AgreementNotTheLeader => "agreement_not_the_leader",
        /// Of a term that no number of elections leads to, or that is another epoch's.
        AgreementTermOutOfReach => "agreement_term_out_of_reach",
        /// From the leader of a term that is over.
        AgreementTermOver => "agreement_term_over",
        /// A question or a reply of another epoch.
        AgreementOtherEpoch => "agreement_other_epoch",
        /// Not a question, or beyond a bound.
        AgreementMalformed => "agreement_malformed",
        /// A question that a newer version wrote.
        AgreementNewer => "agreement_newer",
        /// A leader's snapshot with a signature that does not hold.
        AgreementSnapshotForged => "agreement_snapshot_forged",
        /// A leader's snapshot that contradicts itself, or what is agreed.
        AgreementSnapshotContradicts => "agreement_snapshot_contradicts",
        /// Arrived while this host lacks what a newer version wrote, and so gives no vote.
        AgreementOutdated => "agreement_outdated",
        /// Asked for this host's vote before it had asked others, after its start, what it signed.
        AgreementRecollecting => "agreement_recollecting",
        /// Arrived after agreement on this host had ended.
        AgreementStopped => "agreement_stopped",
        /// A connection or a long question while all places for such were taken.
        AgreementCrowded => "agreement_crowded",
        /// A connection that did not come about, or a question that was cut off.
        AgreementBroken => "agreement_broken",
        /// Not a reply, or one to another question.
        AgreementReplyMalformed => "agreement_reply_malformed",
        /// A reply that a newer version wrote.
        AgreementReplyNewer => "agreement_reply_newer",
        /// A reply that says what its sender cannot know or may not say.
        AgreementReplyNotBelieved => "agreement_reply_not_believed",
        /// A checkpoint that cannot be read.
        CheckpointMalformed => "checkpoint_malformed",
        /// A checkpoint that a newer version wrote.
        CheckpointNewer => "checkpoint_newer",
        /// A checkpoint of one that is not in the agreed view: not yet, or no longer.
        CheckpointUnknownMember => "checkpoint_unknown_member",
        /// A checkpoint that its member did not sign, or of another mesh.
        CheckpointForged => "checkpoint_forged",
        /// A checkpoint of a member that has no vote where it speaks of.
        CheckpointNotAVoter => "checkpoint_not_a_voter",
        /// A question of one that left the mesh, or was banned, while it waited for news.
        SyncRemoved => "sync_removed",
        /// What a source sent is not an answer, or beyond a bound.
        SyncMalformed => "sync_malformed",
        /// What a source sent was written by a newer version.
        SyncNewer => "sync_newer",
        /// A source's snapshot with a signature that does not hold.
        SyncForged => "sync_forged",
        /// Entries that do not follow what was asked for.
        SyncGap => "sync_gap",
        /// A snapshot that nobody asked for, and that leads no further.
        SyncUnasked => "sync_unasked",
        /// A snapshot that does not follow from what was agreed.
        SyncContradicts => "sync_contradicts",
        /// More entries than may wait for their proof.
        SyncTooMuch => "sync_too_much",
        /// Entries that lead to another state than the voters signed.
        SyncRefuted => "sync_refuted",
        /// Entries that no majority of the voters signed.
        SyncUnproven => "sync_unproven",
        /// What was proven is of an earlier leader than the one this host follows.
        SyncOverruled => "sync_overruled",
        /// More visitors at the door than it holds, in all or from one source.
        JoinCrowded => "join_crowded",
        /// A visitor that asked nothing in time.
        JoinSilent => "join_silent",
        /// A visit that broke off before the request was there.
        JoinBroken => "join_broken",
        /// Not a request, or longer than one may be.
        JoinMalformed => "join_malformed",
        /// A request that a newer version wrote.
        JoinNewer => "join_newer",
        /// A request that the mesh could not decide on here, or not in time.
        JoinUndecided => "join_undecided",
        /// A token whose invite the mesh does not know.
        JoinUnknownInvite => "join_unknown_invite",
        /// A token whose uses are spent.
        JoinUsed => "join_used",
        /// A token whose time is over.
        JoinExpired => "join_expired",
        /// A token that was revoked.
        JoinRevoked => "join_revoked",
        /// A request whose signatures do not hold.
        JoinForged => "join_forged",
        /// A name that another member has.
        JoinNameTaken => "join_name_taken",
        /// A WireGuard key that is or was another member's.
        JoinKeyTaken => "join_key_taken",
        /// An identity that has left the mesh before.
        JoinDeparted => "join_departed",
        /// A request while no address was free.
        JoinAddressesExhausted => "join_addresses_exhausted",
        /// A request while the mesh was full.
        JoinFull => "join_full",
        /// An identity that takes part in agreement already.
        JoinAlreadyVotes => "join_already_votes",
        /// An identity that is banned.
        JoinBanned => "join_banned",
    }
}

impl Refused {
    /// What `reply` tells the joiner at this host's door; `None` if it lets it in.
    pub fn of_join(reply: &JoinReply) -> Option<Self> {
        Some(match reply {
            JoinReply::Welcome(_) => return None,
            JoinReply::Unavailable => Self::JoinUndecided,
            JoinReply::Refused(refusal) => match refusal {
                JoinRefusal::UnknownInvite => Self::JoinUnknownInvite,
                JoinRefusal::Used => Self::JoinUsed,
                JoinRefusal::Expired => Self::JoinExpired,
                JoinRefusal::Revoked => Self::JoinRevoked,
                JoinRefusal::Chain(_) => Self::JoinForged,
                JoinRefusal::NameTaken(_) => Self::JoinNameTaken,
                JoinRefusal::KeyTaken => Self::JoinKeyTaken,
                JoinRefusal::Departed => Self::JoinDeparted,
                JoinRefusal::AddressesExhausted(_) => Self::JoinAddressesExhausted,
                JoinRefusal::Full(_) => Self::JoinFull,
                JoinRefusal::AlreadyVotes => Self::JoinAlreadyVotes,
                JoinRefusal::Banned => Self::JoinBanned,
            },
        })
    }

    /// Of a question that could not be read.
    pub(crate) fn of_unread(error: &CodecError) -> Self {
        match error.is_newer() {
            true => Self::AgreementNewer,
            false => Self::AgreementMalformed,
        }
    }

    /// Of a reply that could not be read.
    pub(crate) fn of_unread_reply(error: &CodecError) -> Self {
        match error.is_newer() {
            true => Self::AgreementReplyNewer,
            false => Self::AgreementReplyMalformed,
        }
    }

    /// Of a checkpoint that could not be read.
    pub(crate) fn of_unread_word(error: &CodecError) -> Self {
        match error.is_newer() {
            true => Self::CheckpointNewer,
            false => Self::CheckpointMalformed,
        }
    }

    /// Of what a source sent and could not be read.
    pub(crate) fn of_unread_news(error: &CodecError) -> Self {
        match error.is_newer() {
            true => Self::SyncNewer,
            false => Self::SyncMalformed,
        }
    }
}

/// One counter per reason, since the process started. Shared by all who refuse.
#[derive(Debug)]
pub struct Refusals([AtomicU64; Refused::ALL.len()]);

impl Default for Refusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Refusals {
    /// Counts one message that was refused for `reason`.
    pub fn count(&self, reason: Refused) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
        tracing::trace!(reason = reason.name(), "refused");
    }

    /// How often `reason` struck.
    pub fn of(&self, reason: Refused) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        Refused::ALL.iter().map(|reason| (*reason, self.of(*reason)))
    }
}
