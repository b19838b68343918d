//! Who there is and what is known of them, for tests of causes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::{Region, Wish};

use super::{Grounds, Measured};

pub(super) const LEADER: MemberId = MemberId(1);

pub(super) fn ids(ids: &[u64]) -> BTreeSet<MemberId> {
    ids.iter().copied().map(MemberId).collect()
}

/// Seven members of whom three shall vote; one is silent, one is wanted to vote, one is not, one has no right.
pub(in crate::raft::history) struct Scene {
    present: BTreeSet<MemberId>,
    without_right: BTreeSet<MemberId>,
    pub(super) wishes: BTreeMap<MemberId, Wish>,
    silent: BTreeMap<MemberId, Duration>,
    regions: BTreeMap<MemberId, Region>,
}

impl Scene {
    pub(in crate::raft::history) fn new() -> Self {
        let region = |text: &str| text.parse::<Region>().expect("a region");
        Self {
            present: ids(&[1, 2, 3, 4, 5, 6, 7]),
            without_right: ids(&[6]),
            wishes: [(4, Wish::Always), (5, Wish::Never), (6, Wish::Never)]
                .map(|(id, wish)| (MemberId(id), wish))
                .into(),
            silent: [(MemberId(2), Duration::from_millis(61_500))].into(),
            regions: [(MemberId(3), region("eu1")), (MemberId(7), region("us2"))].into(),
        }
    }

    /// What the leader knows, or, without what it measured, the others.
    pub(in crate::raft::history) fn grounds(&self, is_leaders: bool) -> Grounds<'_> {
        let measured = Measured { silent: &self.silent, regions: &self.regions };
        Grounds {
            present: &self.present,
            without_right: &self.without_right,
            wishes: &self.wishes,
            target: 3,
            leader: Some(LEADER),
            measured: is_leaders.then_some(measured),
        }
    }
}
