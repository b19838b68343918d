//! Which editions members read, and what waits until all of them do.
//!
//! An entry of the log is everybody's: a member that cannot read it stops there. So the leader writes a command that a later
//! [edition](Edition) brought only when nobody is known to be left behind by it. Members say in their facts what they read, gossip
//! carries it here.
//!
//! ```text
//! leader, asked for a command of edition e
//!   everybody who ever said so reads e, and voters and learners all said so ──> to the log; the mesh is in e from here on
//!   somebody reads less                                                     ──> refused: who has to be upgraded
//!   a voter or learner has not said yet                                     ──> asked again for a while, then refused
//! ```
//!
//! That is for the first command of an edition. Once the mesh is in it, whoever cannot read it is left behind, and waiting for
//! them would help nobody. Who knows that the leader itself is too old does not ask it: it would not even understand the question.
//!
//! Whoever the leader feeds has to have said so: what they cannot read they cannot hold, and then nothing is agreed. Others that
//! were never heard of hold nobody up: a laptop that was away for months says itself that it is outdated when it comes back, and
//! follows again once it is upgraded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_model::{Edition, MemberId};
use serde::{Deserialize, Serialize};

use super::group::Inner;
use crate::command::Proposal;

/// What members said, as far as it came here: at most one word for each that was ever present while this process ran, of which
/// those that are no longer are forgotten.
#[derive(Default)]
pub(super) struct Census(Mutex<BTreeMap<MemberId, Edition>>);

impl Census {
    /// `member` reads all editions up to this one.
    pub(super) fn note(&self, member: MemberId, reads: Edition) {
        self.lock().insert(member, reads);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberId, Edition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who cannot read a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "it is of edition {edition}, which {} of {members} members do not read{}",
    older.len() + silent.len(),
    named(older, silent)
)]
pub struct HeldBack {
    /// The edition that brought it.
    pub edition: Edition,
    /// Members, all told.
    pub members: usize,
    /// Those that read less.
    pub older: Vec<MemberId>,
    /// Those with a part in agreement that have not said what they read.
    pub silent: Vec<MemberId>,
}

/// The most members that an error names.
const MAX_NAMED: usize = 8;

fn named(older: &[MemberId], silent: &[MemberId]) -> String {
    let list = |members: &[MemberId]| {
        let named = members.iter().take(MAX_NAMED).map(MemberId::to_string);
        let more = members.len().saturating_sub(MAX_NAMED);
        let more = (more > 0).then(|| format!("{more} more"));
        named.chain(more).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    if !older.is_empty() {
        text += &format!("; too old: {}", list(older));
    }
    if !silent.is_empty() {
        text += &format!("; not heard of yet: {}", list(silent));
    }
    text
}

impl Inner {
    /// Why `proposal` may not be written to the log yet, if others could not read it.
    pub(super) fn held_back(&self, proposal: &Proposal) -> Option<HeldBack> {
        let edition = proposal.command.edition();
        // Once the mesh is in it, whoever cannot read it is left behind, whatever else is agreed.
        if edition <= self.replica.lock().state.edition() {
            return None;
        }
        let (view, membership) = (self.view(), self.membership());
        // One that left or was put out may have its vote still, and what it cannot read it cannot hold.
        let everybody: BTreeSet<MemberId> =
            view.members.keys().chain(&membership.voters).copied().collect();
        let mut census = self.census.lock();
        census.retain(|member, _| everybody.contains(member));
        let (mut older, mut silent) = (Vec::new(), Vec::new());
        for member in &everybody {
            let said = match *member == self.me {
                true => Some(self.reads),
                false => census.get(member).copied(),
            };
            let is_fed = membership.voters.contains(member) || membership.learners.contains(member);
            match said {
                Some(reads) if reads < edition => older.push(*member),
                None if is_fed => silent.push(*member),
                Some(_) | None => {}
            }
        }
        let is_held_back = !older.is_empty() || !silent.is_empty();
        is_held_back.then_some(HeldBack { edition, members: everybody.len(), older, silent })
    }

    /// The same, if the one in the way is `leader`.
    pub(super) fn held_back_by(&self, leader: MemberId, proposal: &Proposal) -> Option<HeldBack> {
        self.held_back(proposal).filter(|held| held.older.contains(&leader))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_the_way_is_named_and_no_more_of_them_than_a_line_holds() {
        let ids = |numbers: std::ops::RangeInclusive<u64>| numbers.map(MemberId).collect();
        let held =
            HeldBack { edition: Edition(2), members: 40, older: ids(3..=20), silent: ids(2..=2) };
        assert_eq!(
            held.to_string(),
            "it is of edition 2, which 19 of 40 members do not read; \
             too old: m3, m4, m5, m6, m7, m8, m9, m10, 10 more; not heard of yet: m2"
        );
    }
}
