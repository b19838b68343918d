//! What is left of a daemon whose agreement has ended.
//!
//! Agreement ends for good: after a failed flush nobody can tell what is on the disk, so this process may neither
//! acknowledge anything nor vote. What carries packets needs no log. The last view is in memory, every entry
//! of it checked and agreed before it was applied, and the tunnels that follow from it are as good as a
//! moment before:
//!
//! ```text
//! shut down             ─> Over       somebody asked for it
//! the store failed      ─> Degraded   no vote, no answer, no change; tunnels, gossip and the local API go on
//! a bug, ours or not    ─> Unfit      nothing in this process can be relied upon: it ends
//! ```

use super::status::GroupFailure;
use super::store::StoreError;

/// What the end of agreement means for the daemon around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Agreement was shut down in good order.
    Over,
    /// The daemon goes on without agreement, by the last view it has, until it is started anew.
    Degraded,
    /// The daemon cannot go on.
    Unfit,
}

impl Aftermath {
    /// What follows from `failure`.
    pub fn of(failure: &GroupFailure) -> Self {
        match failure {
            GroupFailure::Shutdown => Self::Over,
            GroupFailure::Bug(_) => Self::Unfit,
            GroupFailure::Store(error) => match error {
                // Whether the disk refuses or gives back something else than was written, or less: it is the log that
                // is lost to this process, not the view.
                StoreError::Disk(_)
                | StoreError::Corrupt(_)
                | StoreError::OldCopy { .. }
                | StoreError::OtherVersion(_)
                | StoreError::Forged(_) => Self::Degraded,
                // What is found when a store is opened or made. One that runs cannot have become it.
                StoreError::Closed
                | StoreError::Empty
                | StoreError::Occupied
                | StoreError::OtherMember { .. }
                | StoreError::OtherMesh { .. } => Self::Unfit,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;

    use super::super::snapshot::SnapshotError;
    use super::*;

    fn after(error: StoreError) -> Aftermath {
        Aftermath::of(&GroupFailure::Store(error))
    }

    #[test]
    fn a_disk_that_fails_costs_agreement_and_nothing_else() {
        let said = || "no space left on device".to_owned();
        assert_eq!(after(StoreError::Disk(said())), Aftermath::Degraded);
        assert_eq!(after(StoreError::Corrupt(said())), Aftermath::Degraded);
        let old = StoreError::OldCopy { ends: 3, signed: 9 };
        assert_eq!(after(old), Aftermath::Degraded);
        // How a stored snapshot looks that does not expand any more.
        let garbled = SnapshotError::Compression(said());
        assert_eq!(after(StoreError::Forged(garbled)), Aftermath::Degraded);
    }

    #[test]
    fn a_store_that_became_another_while_it_ran_is_no_fault_of_the_disk() {
        let other = StoreError::OtherMember { expected: MemberId(2), found: MemberId(3) };
        for error in [StoreError::Closed, StoreError::Empty, StoreError::Occupied, other] {
            assert_eq!(after(error.clone()), Aftermath::Unfit, "{error}");
        }
    }

    #[test]
    fn a_bug_ends_the_daemon_and_an_orderly_end_asks_for_nothing() {
        assert_eq!(Aftermath::of(&GroupFailure::Bug("halt".to_owned())), Aftermath::Unfit);
        assert_eq!(Aftermath::of(&GroupFailure::Shutdown), Aftermath::Over);
    }
}
