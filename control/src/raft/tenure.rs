//! For how long the same members have voted, as far as the leader knows.
//!
//! What one saw is forgotten with it: a new leader counts from when it began to lead, so a vote moves later rather than
//! sooner than the pause between two moves.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use mesh_model::MemberId;
use openraft::async_runtime::Instant as _;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Inner, leadership};
use super::steward::LOOK_AGAIN;
use super::types::{Instant, Types};

/// Who votes, and since when.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    voters: BTreeSet<MemberId>,
    since: Option<Instant>,
}

impl Tenure {
    /// How long it is until `voters` have voted for `stay` under a leader that began to lead at `led`.
    fn until_over(
        &mut self,
        voters: &BTreeSet<MemberId>,
        led: Instant,
        (stay, now): (Duration, Instant),
    ) -> Duration {
        let since = match self.since {
            Some(since) if self.voters == *voters => since.max(led),
            Some(_) => now,
            // Nothing has changed that it saw.
            None => led,
        };
        *self = Self { voters: voters.clone(), since: Some(since) };
        (since + stay).saturating_duration_since(now)
    }
}

impl Inner {
    /// How long it is until a vote may move to another region, with `voters` as they are.
    pub(super) fn until_rested(&self, voters: &BTreeSet<MemberId>) -> Duration {
        let Some(led) = self.succession.began(leadership(&self.raft).term) else {
            return LOOK_AGAIN;
        };
        let times = (self.timing.stay, Types::now());
        let tenure = self.stewardship.tenure.lock();
        tenure.unwrap_or_else(PoisonError::into_inner).until_over(voters, led, times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAY: Duration = Duration::from_secs(300);

    #[test]
    fn it_begins_with_the_leaders_term_and_anew_with_each_change() {
        let ids = |ids: [u64; 3]| ids.map(MemberId).into();
        let led = Types::now();
        let at = |secs| led + Duration::from_secs(secs);
        let mut tenure = Tenure::default();
        let mut left = |voters, led, now| tenure.until_over(&voters, led, (STAY, now)).as_secs();
        assert_eq!(left(ids([1, 2, 3]), led, at(10)), 290);
        assert_eq!(left(ids([1, 2, 3]), led, at(310)), 0);
        assert_eq!(left(ids([1, 2, 4]), led, at(320)), 300, "others vote");
        assert_eq!(left(ids([1, 2, 4]), led, at(400)), 220);
        assert_eq!(left(ids([1, 2, 4]), at(390), at(400)), 290, "it has led again for ten seconds");
    }
}
