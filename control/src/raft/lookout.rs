//! What is heard of other epochs: who speaks of which, and what came of looking into it.
//!
//! Each question says in which epoch it is asked. One of another epoch is answered with this host's and with nothing else: its
//! term, its entries and its votes are about another log. What is heard here is only a reason to look: anybody may name any
//! epoch, and [`Ferry`](super::ferry) asks for the way there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::EpochId;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchSender as _;
use openraft::type_config::TypeConfigExt as _;

use super::types::{Instant, Types};
use super::watch as ordered;
use crate::state::CrossingError;

/// How long a judgement of an epoch holds. What this host knows may change it, and that is not often.
const JUDGED_FOR: Duration = Duration::from_secs(60);

/// The most epochs whose judgement is remembered. More than one that is not this host's calls for people, whatever their
/// number is.
const MAX_JUDGED: usize = 8;

/// How long a member is not listened to about epochs that had no way there to show, or one that does not hold: so many of
/// them keep a host from hearing of a true one as there are liars, and no longer.
const VAIN_FOR: Duration = Duration::from_secs(30);

/// The same of one that shows the way to others just now.
const BUSY_FOR: Duration = Duration::from_secs(3);

/// An epoch that this host does not go over to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The epoch.
    pub epoch: EpochId,
    /// Who spoke of it last.
    pub named_by: MemberId,
    /// Why not.
    pub why: CrossingError,
}

/// See the [module](self).
pub(super) struct Lookout {
    sighted: ordered::Sender<Option<(MemberId, EpochId)>>,
    refused: AtomicU64,
    /// Until when each is not listened to. At most one per member that ever named an epoch.
    in_vain: Mutex<BTreeMap<MemberId, Instant>>,
    judged: Mutex<BTreeMap<EpochId, (Instant, Obstacle)>>,
}

impl Default for Lookout {
    fn default() -> Self {
        let (sighted, _) = ordered::channel(None);
        let (in_vain, judged) = (Mutex::default(), Mutex::default());
        Self { sighted, refused: AtomicU64::new(0), in_vain, judged }
    }
}

impl Lookout {
    /// `from` asked in epoch `theirs` or answered that it is in it, where this host is in `ours`.
    pub(super) fn note(&self, from: MemberId, theirs: EpochId, ours: EpochId) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let is_rival = theirs.number == ours.number && theirs.head != ours.head;
        if (theirs.number > ours.number || is_rival) && self.listens_to(from) {
            self.sighted.send_if_modified(|sighted| {
                *sighted = Some((from, theirs));
                true
            });
        }
    }

    fn listens_to(&self, member: MemberId) -> bool {
        let mut in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Types::now();
        in_vain.retain(|_, until| *until > now);
        !in_vain.contains_key(&member)
    }

    /// `member` named an epoch and showed no way there, because it shows it to others or for another reason.
    pub(super) fn asked_in_vain(&self, member: MemberId, is_busy: bool) {
        let until = Types::now() + if is_busy { BUSY_FOR } else { VAIN_FOR };
        self.in_vain.lock().unwrap_or_else(PoisonError::into_inner).insert(member, until);
    }

    /// Who spoke of an epoch that this host might have to know, again each time.
    pub(super) fn sightings(&self) -> ordered::Receiver<Option<(MemberId, EpochId)>> {
        self.sighted.subscribe()
    }

    /// How many questions and answers were of another epoch.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether it was found out lately that this host does not go over to `epoch`.
    pub(super) fn is_judged(&self, epoch: EpochId) -> bool {
        let judged = self.judged();
        judged.get(&epoch).is_some_and(|(at, _)| at.elapsed() < JUDGED_FOR)
    }

    /// This host does not go over to an epoch. `true` if that is news.
    pub(super) fn judge(&self, obstacle: Obstacle) -> bool {
        let mut judged = self.judged();
        let known =
            judged.get(&obstacle.epoch).is_some_and(|(_, before)| before.why == obstacle.why);
        if judged.len() >= MAX_JUDGED && !judged.contains_key(&obstacle.epoch) {
            let oldest = judged.iter().min_by_key(|(_, (at, _))| *at).map(|(epoch, _)| *epoch);
            oldest.map(|epoch| judged.remove(&epoch));
        }
        judged.insert(obstacle.epoch, (Types::now(), obstacle));
        !known
    }

    /// The last epoch that this host, which is in `ours`, does not go over to though it would have to if it could.
    pub(super) fn obstacle(&self, ours: EpochId) -> Option<Obstacle> {
        let judged = self.judged();
        let open = judged.values().filter(|(_, obstacle)| obstacle.epoch.number >= ours.number);
        open.max_by_key(|(at, _)| *at).map(|(_, obstacle)| obstacle.clone())
    }

    fn judged(&self) -> MutexGuard<'_, BTreeMap<EpochId, (Instant, Obstacle)>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::trust::EpochHead;
    use openraft::async_runtime::watch::WatchReceiver as _;

    use super::*;

    const LIAR: MemberId = MemberId(7);
    const HONEST: MemberId = MemberId(3);

    fn epoch(number: u64, byte: u8) -> EpochId {
        EpochId { number, head: EpochHead([byte; 32]) }
    }

    #[test]
    fn only_later_epochs_and_rivals_are_looked_into() {
        Types::run(async {
            let (lookout, ours) = (Lookout::default(), epoch(2, 2));
            let sightings = lookout.sightings();
            for unimportant in [epoch(1, 1), epoch(1, 9)] {
                lookout.note(HONEST, unimportant, ours);
                assert_eq!(*sightings.borrow_watched(), None);
            }
            for important in [epoch(2, 9), epoch(3, 3)] {
                lookout.note(HONEST, important, ours);
                assert_eq!(*sightings.borrow_watched(), Some((HONEST, important)));
            }
            assert_eq!(lookout.refused(), 4);
        });
    }

    #[test]
    fn one_that_showed_no_way_does_not_drown_out_another() {
        Types::run(async {
            let (lookout, ours) = (Lookout::default(), epoch(0, 0));
            let sightings = lookout.sightings();
            lookout.note(LIAR, epoch(9, 9), ours);
            lookout.asked_in_vain(LIAR, false);
            lookout.note(HONEST, epoch(1, 1), ours);
            lookout.note(LIAR, epoch(8, 8), ours);
            assert_eq!(*sightings.borrow_watched(), Some((HONEST, epoch(1, 1))));
        });
    }

    #[test]
    fn what_was_judged_is_news_once_and_bounded() {
        Types::run(async {
            let (lookout, ours) = (Lookout::default(), epoch(1, 1));
            let obstacle = |byte| {
                let (theirs, why) = (epoch(1, byte), CrossingError::OtherMesh);
                Obstacle { epoch: theirs, named_by: LIAR, why }
            };
            assert!(lookout.judge(obstacle(2)) && !lookout.judge(obstacle(2)));
            for byte in 3..=2 + MAX_JUDGED as u8 {
                assert!(lookout.judge(obstacle(byte)));
            }
            assert!(lookout.is_judged(epoch(1, 9)) && !lookout.is_judged(epoch(1, 2)));
            assert_eq!(lookout.judged().len(), MAX_JUDGED);
            assert!(lookout.obstacle(ours).is_some() && lookout.obstacle(epoch(2, 2)).is_none());
        });
    }
}
