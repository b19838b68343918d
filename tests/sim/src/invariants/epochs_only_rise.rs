//! Nothing of an older epoch is applied after the crossing into a later one.
//!
//! An epoch has indexes of its own. A member that is in it shows none below its first, one that is not yet shows none above, and
//! nobody goes back. That everybody crosses is a matter of [`Liveness`](super::Liveness): at the end all show the same state.

use std::collections::BTreeMap;

use mesh_model::trust::EpochId;
use mesh_model::{LogIndex, MemberId};

use super::Violation;

const NAME: &str = "epochs_only_rise";

/// See the [module](self).
#[derive(Default)]
pub struct EpochsOnlyRise {
    /// Those that admins began, with their first indexes.
    begun: BTreeMap<u64, (EpochId, LogIndex)>,
    /// In which each member was seen last.
    seen: BTreeMap<MemberId, u64>,
}

impl EpochsOnlyRise {
    /// Admins have begun `epoch`, at index `first`.
    pub fn begin(&mut self, epoch: EpochId, first: LogIndex) {
        self.begun.insert(epoch.number, (epoch, first));
    }

    /// Where the log of epoch `number` begins.
    pub fn first_of(&self, number: u64) -> LogIndex {
        self.begun.get(&number).map_or(0, |(_, first)| *first)
    }

    /// `by` is in `epoch` and has applied the log up to `applied`.
    pub fn see(
        &mut self,
        by: MemberId,
        epoch: EpochId,
        applied: LogIndex,
    ) -> Result<(), Violation> {
        let last = self.seen.insert(by, epoch.number).unwrap_or_default();
        let begun = self.begun.get(&epoch.number);
        let genuine = epoch.number == 0 || begun.is_some_and(|(known, _)| *known == epoch);
        let first = self.first_of(epoch.number);
        let end = self.begun.get(&(epoch.number + 1)).map_or(LogIndex::MAX, |(_, next)| *next);
        if genuine && last <= epoch.number && (first..end).contains(&applied) {
            return Ok(());
        }
        let message = format!("{by}, last in epoch {last}, is in {epoch} at index {applied}");
        Err(Violation::new(NAME, message))
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::trust::EpochHead;

    use super::*;

    const ME: MemberId = MemberId(1);

    fn epoch(number: u64, head: u8) -> EpochId {
        EpochId { number, head: EpochHead([head; 32]) }
    }

    #[test]
    fn one_that_goes_back_or_mixes_epochs_is_seen() {
        let mut epochs = EpochsOnlyRise::default();
        epochs.see(ME, epoch(0, 0), 40).unwrap();
        epochs.begin(epoch(1, 1), 1000);
        epochs.see(ME, epoch(0, 0), 50).unwrap();
        assert!(epochs.see(ME, epoch(0, 0), 1001).is_err(), "of the next epoch");
        epochs.see(ME, epoch(1, 1), 1000).unwrap();
        assert!(epochs.see(ME, epoch(1, 1), 60).is_err(), "of the one before");
        assert!(epochs.see(ME, epoch(1, 2), 1001).is_err(), "a rival");
        assert!(epochs.see(ME, epoch(0, 0), 50).is_err(), "back again");
    }
}
