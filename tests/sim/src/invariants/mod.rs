//! What must hold in every run, whatever breaks. One file each.

pub(crate) mod admins_word_holds;
pub(crate) mod alarm_names_the_traitor;
pub(crate) mod all_cross;
pub(crate) mod banned_are_cut_off;
mod epochs_only_rise;
mod equal_hash_at_equal_index;
mod honest_sources;
pub(crate) mod last_key_counts;
mod linearisable;
mod liveness;
mod no_acknowledged_command_lost;
mod no_address_twice;
pub(crate) mod no_forged_member;
pub(crate) mod no_forged_record;
mod no_ruling_undone;
mod nothing_after_a_failed_sync;
mod nothing_beyond_its_build;
mod one_leader_per_term;
mod policy_never_older;
mod reads_miss_nothing;
#[cfg(test)]
mod sample;

pub use admins_word_holds::AdminsWordHolds;
pub use all_cross::AllCross;
pub use epochs_only_rise::EpochsOnlyRise;
pub use equal_hash_at_equal_index::EqualHashAtEqualIndex;
pub use honest_sources::HonestSources;
pub use last_key_counts::LastKeyCounts;
pub use linearisable::{Invocation, Linearisable};
pub use liveness::{Liveness, Pair, Standing};
pub use no_acknowledged_command_lost::NoAcknowledgedCommandLost;
pub use no_address_twice::NoAddressTwice;
pub use no_forged_record::NoForgedRecord;
pub use no_ruling_undone::NoRulingUndone;
pub use nothing_after_a_failed_sync::{Asker, NothingAfterAFailedSync};
pub use nothing_beyond_its_build::{NothingBeyondItsBuild, Standpoint};
pub use one_leader_per_term::OneLeaderPerTerm;
pub use policy_never_older::PolicyNeverOlder;
pub use reads_miss_nothing::ReadsMissNothing;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {message}")]
pub struct Violation {
    /// Which: its file's name.
    pub invariant: &'static str,
    /// What was seen, on one line.
    pub message: String,
}

impl Violation {
    /// A violation of `invariant`.
    pub fn new(invariant: &'static str, message: impl Into<String>) -> Self {
        Self { invariant, message: message.into() }
    }
}

/// All invariants that are checked while the world runs.
#[derive(Default)]
pub struct Invariants {
    /// At most one leader in each term.
    pub leaders: OneLeaderPerTerm,
    /// Equal states at equal indexes.
    pub hashes: EqualHashAtEqualIndex,
    /// Nobody goes back into an older epoch.
    pub epochs: EpochsOnlyRise,
    /// Nobody stays in one that is over.
    pub crossings: AllCross,
    /// Addresses are unique.
    pub addresses: NoAddressTwice,
    /// What was acknowledged stays.
    pub acknowledged: NoAcknowledgedCommandLost,
    /// Answers are those of one host alone.
    pub history: Linearisable,
    /// The last ruling about a member holds.
    pub rulings: NoRulingUndone,
    /// And so does the last policy on who votes.
    pub policies: PolicyNeverOlder,
    /// So does what members say of their keys.
    pub keys: LastKeyCounts,
    /// What admins say of each other, of labels and of who may reach whom.
    pub governance: AdminsWordHolds,
    /// Reads show what was acknowledged.
    pub reads: ReadsMissNothing,
    /// No host goes beyond what its build can read.
    pub builds: NothingBeyondItsBuild,
    /// What members hold was made by those who may make it.
    pub records: NoForgedRecord,
    /// Packets come from whom they say.
    pub sources: HonestSources,
}
