//! A store that another version wrote.

use mesh_model::MemberId;
use redb::Durability;

use super::db::{LOG, META};
use super::{Start, Store, StoreError};
use crate::raft::MemoryDisk;
use crate::raft::fixture::{genesis, root};

#[test]
fn a_row_of_another_version_is_not_called_damaged() {
    let rows = ["identity", "vote", "committed", "purged", "snapshot", "aside", "old copy"];
    for (row, version) in rows.into_iter().flat_map(|row| [(row, 9), (row, 0)]) {
        let disk = MemoryDisk::new();
        let start = Start::Genesis(genesis());
        let store = Store::create(disk.attach(), &root(), start).expect("an empty disk");
        let written = store.log.db.write_now(Durability::Immediate, |txn| {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            meta.insert(row, [version, 1, 2, 3].as_slice()).map_err(redb::Error::from)?;
            Ok(())
        });
        written.expect("the disk works");
        drop(store);
        let opened = Store::open(disk.attach(), MemberId::FOUNDER, &root());
        // As agreement starts: whether the store may serve, where its log begins, the vote, and what was set aside.
        let opened = opened.and_then(|store| {
            store.log.db.check_is_current()?;
            store.is_unborn()?;
            store.log.vote()?;
            store.log.db.aside().map(drop)
        });
        match opened {
            Err(StoreError::OtherVersion(found)) => assert_eq!(found.is_newer(), version == 9),
            other => panic!("{row}, version {version}: {other:?}"),
        }
    }
}

/// Raft would find it only when it comes to it, and take the disk for broken.
#[test]
fn an_entry_of_a_newer_version_is_found_at_the_start_though_it_is_not_agreed_yet() {
    let disk = MemoryDisk::new();
    let store = Store::create(disk.attach(), &root(), Start::Genesis(genesis()));
    let store = store.expect("an empty disk");
    let written = store.log.db.write_now(Durability::Immediate, |txn| {
        let mut log = txn.open_table(LOG).map_err(redb::Error::from)?;
        log.insert(0, [9, 1, 2, 3].as_slice()).map_err(redb::Error::from)?;
        Ok(())
    });
    written.expect("the disk works");
    drop(store);
    match Store::open(disk.attach(), MemberId::FOUNDER, &root()).map(drop) {
        Err(StoreError::OtherVersion(found)) => assert!(found.is_newer()),
        other => panic!("{other:?}"),
    }
}
