//! A disk that cannot read: nothing is made up of what is missing, and nothing that is there is lost over it.

use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::raft::fixture::{self, founder_store, in_virtual_time, start};
use crate::raft::types::{Entry, Types, Vote};
use crate::raft::{GroupFailure, MemoryDisk, ProposeError, Role, Timing};

/// More reads than any of these takes.
const MANY: u64 = 10_000;

/// Entries that take several pages, each of which is read by itself.
const SEVERAL: u64 = 2_000;

/// Entries that do not fit the page cache: 4 MB.
const LARGE: u64 = 200_000;

/// How far they are agreed: what is behind is read when it is asked for.
const AGREED: u64 = 300;

fn reopen(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open(disk.attach(), MemberId::FOUNDER, &fixture::root())
}

/// A disk that lost power after a vote and so many entries, and these.
fn used(entries: u64) -> (MemoryDisk, Vote, Vec<Entry>) {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    let (vote, entries) = (fixture::vote(7), 0..entries);
    let entries: Vec<_> = entries.map(|index| fixture::blank(7, index)).collect();
    Types::run(async {
        store.log.save_vote(&vote).await.expect("saved");
        store.log.blocking_append(entries.clone()).await.expect("appended");
        store.log.save_committed(Some(fixture::log_id(7, AGREED))).await.expect("saved");
        store.log.db.flush().await.expect("flushed");
    });
    disk.crash();
    (disk, vote, entries)
}

#[test]
fn a_store_that_cannot_be_read_is_not_opened_repaired_or_called_damaged() {
    let (disk, vote, entries) = used(SEVERAL);
    let mut failed = 0;
    for reads in 0..MANY {
        disk.fail_reads_after(reads);
        let opened = reopen(&disk).err();
        disk.crash();
        match opened {
            Some(StoreError::Disk(_)) => failed += 1,
            None => break,
            Some(other) => panic!("after {reads} reads: {other:?}"),
        }
    }
    assert!(failed > 10 && failed < MANY, "{failed}");
    let store = reopen(&disk).expect("the disk reads again");
    assert_eq!((store.log.vote(), store.log.entries(..)), (Ok(Some(vote)), Ok(entries)));
    assert_eq!(store.view().applied, AGREED);
}

#[test]
fn a_read_that_fails_ends_the_stores_life_and_costs_nothing_that_was_acknowledged() {
    let (disk, _, entries) = used(LARGE);
    let mut failed = 0;
    for reads in [0, 30, MANY] {
        let mut store = reopen(&disk).expect("sound");
        disk.fail_reads_after(reads);
        let found = store.log.entries(..);
        // The disk reads again, and it makes no difference.
        disk.fail_reads_after(MANY);
        let saved = Types::run(store.log.save_vote(&fixture::vote(8)));
        disk.crash();
        match found {
            Ok(found) => {
                assert_eq!(found, entries);
                assert!(saved.is_ok());
                break;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
                assert_eq!(store.log.db.fault(), Some(&error));
                assert!(saved.is_err(), "after {reads} reads");
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 2);
    let store = reopen(&disk).expect("sound");
    assert_eq!(store.log.entries(..), Ok(entries));
    assert_eq!(
        store.log.vote(),
        Ok(Some(fixture::vote(8))),
        "what the last store saved, which could read"
    );
}

/// Raft does not hear of every read: here somebody else wants to know what is in the log. In virtual time, so that all is quiet
/// before.
#[test]
fn a_leader_whose_disk_cannot_read_stops_leading_at_once_whoever_read() {
    in_virtual_time(async {
        let founder = start(founder_store(MemoryDisk::new()), 2).await;
        founder.propose(fixture::invitation()).await.expect("agreed");
        Types::sleep(Timing::default().settle).await;
        let db = &founder.inner().db;
        assert!(!db.has_unflushed());
        let unreadable = || StoreError::Disk("input/output error".to_owned());
        let read: Result<(), _> = db.read(|_| Err(unreadable()));
        assert_eq!(read, Err(unreadable()));
        let failure = Types::timeout(Timing::default().propose, founder.failed()).await;
        assert_eq!(failure.expect("at once"), GroupFailure::Store(unreadable()));
        assert_eq!(founder.status().leadership.role, Role::Stopped);
        let refused = founder.propose(fixture::invitation()).await.err();
        assert_eq!(refused, Some(ProposeError::Stopped));
    });
}
