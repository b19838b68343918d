//! What a store makes of damage: which of it is found, and what can be lost over the rest.
//!
//! After a good end redb's last transaction is of two phases, and any damage to what is in use is found. After a crash the last
//! one may have been cut off half way, which looks like damage to what it wrote: it is rolled back. No other ever is.
//!
//! Whoever reads a row does not count on that: what redb calls sound may still be wrong.

use std::sync::LazyLock;

use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::type_config::TypeConfigExt as _;
use proptest::prelude::*;
use redb::ReadableTable as _;

use super::db::LOG;
use super::*;
use crate::raft::MemoryDisk;
use crate::raft::fixture::{self, GUEST, founder_store, guest_store};
use crate::raft::hostile::wounds::damage;
use crate::raft::types::{Entry, Types, Vote};

/// Odd, so that all kinds of places are visited: headers, tables, values, free space.
const STEP: usize = 397;

/// The header, every byte of which is visited.
const HEADER: usize = 512;

/// What is damaged row by row.
static FOLLOWED: LazyLock<Vec<u8>> = LazyLock::new(followed);

/// What Raft relies upon.
type Held = (Option<Vote>, Vec<Entry>);

/// A disk with entries, which two transactions wrote, and a vote, which a third one did; what it held before that and after.
fn used() -> (MemoryDisk, Store, [Held; 2]) {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    let [first, second] = [fixture::blank(7, 0), fixture::blank(7, 1)];
    let votes = [fixture::vote(7), fixture::vote(8)];
    Types::run(async {
        store.log.save_vote(&votes[0]).await.expect("saved");
        store.log.blocking_append([first.clone()]).await.expect("appended");
        store.log.blocking_append([second.clone()]).await.expect("appended");
        store.log.save_vote(&votes[1]).await.expect("saved");
    });
    let entries = vec![first, second];
    let held = votes.map(|vote| (Some(vote), entries.clone()));
    (disk, store, held)
}

/// What is found on `bytes` with one of them altered, at each place in turn; `None` where it is called damaged.
fn at_each_place(bytes: &[u8], mut look: impl FnMut(usize, Option<Held>)) {
    for at in (0..HEADER).chain((HEADER..bytes.len()).step_by(STEP)) {
        let mut altered = bytes.to_vec();
        altered[at] ^= 0x55;
        let disk = MemoryDisk::holding(altered);
        let opened = Store::open(disk.attach(), MemberId::FOUNDER, &fixture::root());
        let held = opened.and_then(|store| Ok((store.log.vote()?, store.log.entries(..)?)));
        match held {
            Ok(held) => look(at, Some(held)),
            Err(StoreError::Corrupt(_) | StoreError::Empty) => look(at, None),
            Err(other) => panic!("damage at {at}: {other:?}"),
        }
    }
}

#[test]
fn after_a_good_end_damage_is_found_and_nothing_is_rolled_back() {
    let (disk, store, [_, all]) = used();
    store.log.db.close();
    let mut found = 0;
    at_each_place(&disk.bytes(), |at, held| match held {
        Some(held) => assert_eq!(held, all, "damage at {at}"),
        None => found += 1,
    });
    assert!(found > 10, "{found}");
}

#[test]
fn after_a_crash_damage_is_found_or_costs_the_last_transaction_and_no_other() {
    let (disk, store, [before, all]) = used();
    disk.crash();
    drop(store);
    let (mut found, mut rolled_back) = (0, 0);
    at_each_place(&disk.bytes(), |at, held| match held {
        Some(held) if held == before => rolled_back += 1,
        Some(held) => assert_eq!(held, all, "damage at {at}"),
        None => found += 1,
    });
    assert!(found > 10 && rolled_back > 10, "{found}, {rolled_back}");
}

/// The guest's disk after a good end: a snapshot, a vote, and entries behind the snapshot.
fn followed() -> Vec<u8> {
    let disk = MemoryDisk::new();
    let mut store = guest_store(disk.attach());
    Types::run(async {
        store.log.save_vote(&fixture::leads(MemberId::FOUNDER, 1)).await.expect("saved");
        let entries = [4, 5].map(|index| fixture::blank(1, index));
        store.log.blocking_append(entries).await.expect("appended");
        store.log.save_committed(Some(fixture::log_id(1, 4))).await.expect("saved");
        store.log.db.flush().await.expect("flushed");
    });
    store.log.db.close();
    disk.bytes()
}

/// Where a row is.
#[derive(Debug, Clone)]
enum Key {
    Meta(String),
    Log(u64),
}

/// All rows of `db`.
fn rows(db: &Db) -> Vec<(Key, Vec<u8>)> {
    let read = db.read(|txn| {
        let (meta, log) = (txn.open_table(META), txn.open_table(LOG));
        let (meta, log) = (meta.map_err(redb::Error::from)?, log.map_err(redb::Error::from)?);
        let mut rows = Vec::new();
        for row in meta.iter().map_err(redb::Error::from)? {
            let (key, bytes) = row.map_err(redb::Error::from)?;
            rows.push((Key::Meta(key.value().to_owned()), bytes.value().to_vec()));
        }
        for row in log.iter().map_err(redb::Error::from)? {
            let (key, bytes) = row.map_err(redb::Error::from)?;
            rows.push((Key::Log(key.value()), bytes.value().to_vec()));
        }
        Ok(rows)
    });
    read.expect("the disk works")
}

fn put(db: &Db, key: &Key, bytes: &[u8]) {
    let written = db.write_now(Durability::Immediate, |txn| {
        match key {
            Key::Meta(key) => {
                let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
                meta.insert(key.as_str(), bytes).map_err(redb::Error::from)?;
            }
            Key::Log(index) => {
                let mut log = txn.open_table(LOG).map_err(redb::Error::from)?;
                log.insert(index, bytes).map_err(redb::Error::from)?;
            }
        }
        Ok(())
    });
    written.expect("the disk works");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_row_that_says_something_else_is_refused_or_read(
        which in any::<usize>(), damage in damage(),
    ) {
        let disk = MemoryDisk::holding(FOLLOWED.clone());
        let db = Db::open(disk.attach()).expect("sound");
        let mut rows = rows(&db);
        let (key, bytes) = rows.swap_remove(which % rows.len());
        put(&db, &key, &damage.of(&[bytes]));
        db.close();
        let opened = Store::open(disk.attach(), GUEST, &fixture::root());
        let held = opened.and_then(|store| {
            store.log.db.check_is_current()?;
            Ok((store.ends()?, store.membership()?, store.log.vote()?, store.log.entries(..)?))
        });
        // The disk is not to blame, and somebody would look for another.
        prop_assert!(!matches!(held, Err(StoreError::Disk(_))), "{key:?}: {held:?}");
    }
}
