//! Whoever has applied the log up to an index has the same state: every member, in every life.

use std::collections::BTreeMap;

use mesh_model::view::{ClusterView, StateHash};
use mesh_model::{LogIndex, MemberId};

use super::Violation;

/// See the [module](self).
#[derive(Default)]
pub struct EqualHashAtEqualIndex {
    hashes: BTreeMap<LogIndex, (StateHash, MemberId)>,
}

impl EqualHashAtEqualIndex {
    /// `member` has `view`.
    pub fn check(&mut self, member: MemberId, view: &ClusterView) -> Result<(), Violation> {
        let (hash, first) = *self.hashes.entry(view.applied).or_insert((view.hash, member));
        if hash == view.hash {
            return Ok(());
        }
        let message = format!("{first} and {member} differ at index {}", view.applied);
        Err(Violation::new("equal_hash_at_equal_index", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::view;

    #[test]
    fn two_states_at_one_index_are_seen() {
        let mut hashes = EqualHashAtEqualIndex::default();
        hashes.check(MemberId(1), &view(4, 1, &[])).unwrap();
        hashes.check(MemberId(2), &view(4, 1, &[])).unwrap();
        hashes.check(MemberId(2), &view(5, 2, &[])).unwrap();
        assert!(hashes.check(MemberId(1), &view(5, 3, &[])).is_err());
    }
}
