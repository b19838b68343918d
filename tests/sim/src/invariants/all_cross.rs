//! Whoever can be shown the way into a later epoch goes it.
//!
//! A member of an epoch that is over hears of the next one from anybody who is in it, and asks for the way. Which of those can
//! show it, who has a tunnel to one of them, and whether the underlay carries what they say, is looked at from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_model::MemberId;

use super::Violation;
use crate::life::LifeId;

/// How often it is looked who could go over.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// How long two that can talk may do so without the crossing: a question that was lost just before (10 s), the pause in which
/// whoever asked it does not listen to the other (30 s), a round of questions to everybody it knows (0.8 s each) and another
/// passage (10 s).
const LIMIT: Duration = Duration::from_secs(60);

/// One in an epoch that is over, and one that can show it the way; each in one of its lives.
pub(crate) type Waiting = ((MemberId, LifeId), (MemberId, LifeId));

/// See the [module](self).
#[derive(Default)]
pub struct AllCross {
    /// Since when each two have been able to talk.
    since: BTreeMap<Waiting, Duration>,
}

impl AllCross {
    /// At `now` these can talk and are not in one epoch.
    pub(crate) fn see(&mut self, waiting: &[Waiting], now: Duration) -> Result<(), Violation> {
        self.since.retain(|pair, _| waiting.contains(pair));
        for pair in waiting {
            let since = *self.since.entry(*pair).or_insert(now);
            if now - since > LIMIT {
                let ((left, _), (guide, _)) = pair;
                let message = format!("{guide} could show {left} the way since {since:?}");
                return Err(Violation::new("all_cross", message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(left: u64, guide: u64) -> Waiting {
        let life = |id| (MemberId(id), LifeId(id));
        (life(left), life(guide))
    }

    #[test]
    fn one_that_stays_behind_is_seen_unless_it_could_not_ask_for_a_while() {
        let mut crossings = AllCross::default();
        let second = Duration::from_secs(1);
        crossings.see(&[pair(1, 2), pair(3, 2)], second).unwrap();
        crossings.see(&[pair(3, 2)], LIMIT).unwrap();
        assert!(crossings.see(&[pair(3, 2)], LIMIT + 2 * second).is_err());
        let again = [pair(1, 2)];
        crossings.see(&again, LIMIT + 2 * second).unwrap();
        crossings.see(&again, 2 * LIMIT).unwrap();
    }
}
