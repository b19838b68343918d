//! openraft's own tests of a storage, and what a store does with a disk it did not write.

use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt as _;
use tokio::sync::watch;

use super::*;
use crate::raft::MemoryDisk;
use crate::raft::fixture::{self, chronicle, founder_store, in_virtual_time};
use crate::raft::machine::{Machine, SharedReplica, Views};
use crate::raft::testimony::Testimony;
use crate::raft::types::Types;
use crate::raft::watch as ordered;

type StorageError = openraft::StorageError<Types>;

struct Builder;

impl StoreBuilder<Types, LogStore, Machine> for Builder {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError> {
        let store = founder_store(MemoryDisk::new());
        let views =
            Views { own: ordered::channel(store.view()).0, public: watch::channel(store.view()).0 };
        let (db, root) = (Arc::clone(&store.log.db), *store.root());
        let replica = SharedReplica::new(store.replica);
        let testimony = Testimony::of(&replica, root.mesh, MemberId::FOUNDER);
        let machine = Machine::new(root, db, (replica, testimony, chronicle()), views);
        Ok(((), store.log, machine))
    }
}

/// In virtual time: the suite sleeps to see whether anything happens behind its back.
#[test]
fn openraft_accepts_the_store() {
    in_virtual_time(Suite::test_all(Builder)).expect("every test of the suite passes");
}

fn reopen(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open(disk.attach(), MemberId::FOUNDER, &fixture::root())
}

#[test]
fn a_store_is_opened_only_as_what_it_is() {
    let disk = MemoryDisk::new();
    assert_eq!(reopen(&disk).err(), Some(StoreError::Empty));
    founder_store(disk.attach()).log.db.close();
    let (me, root) = (MemberId::FOUNDER, fixture::root());
    assert_eq!(reopen(&disk).expect("ours").me(), me);

    let other = Store::open(disk.attach(), MemberId(9), &root).err();
    assert_eq!(other, Some(StoreError::OtherMember { expected: MemberId(9), found: me }));
    let foreign = fixture::other_root();
    let other = Store::open(disk.attach(), me, &foreign).err();
    assert_eq!(other, Some(StoreError::OtherMesh { expected: foreign.mesh, found: root.mesh }));
    let again = Store::create(disk.attach(), &root, Start::Genesis(fixture::genesis())).err();
    assert_eq!(again, Some(StoreError::Occupied));
}

#[test]
fn a_mesh_does_not_begin_with_another_roots_genesis() {
    let start = Start::Genesis(fixture::genesis());
    let refused = Store::create(MemoryDisk::new(), &fixture::other_root(), start).err();
    assert!(matches!(refused, Some(StoreError::Forged(_))), "{refused:?}");
}

#[test]
fn bytes_that_are_no_store_are_an_error_and_not_a_panic() {
    for bytes in [vec![0; 1], vec![0; 4096], vec![0xff; 1 << 16], b"[member]\nid = 1\n".to_vec()] {
        let opened = reopen(&MemoryDisk::holding(bytes)).err();
        assert!(matches!(opened, Some(StoreError::Corrupt(_))), "{opened:?}");
    }
}

#[test]
fn a_damaged_store_is_noticed_or_repaired_but_never_a_panic() {
    let disk = MemoryDisk::new();
    founder_store(disk.attach()).log.db.close();
    let whole = disk.bytes();
    // The odd step visits every kind of place: headers, tables, values, free space.
    for at in (0..whole.len()).step_by(1009) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        check_damaged(bytes, at);
    }
    for at in 0..512 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        check_damaged(bytes, at);
    }
    for len in [1, 100, 4095, 4096, 8192, whole.len() / 2, whole.len() - 1] {
        check_damaged(whole[..len].to_vec(), len);
    }
}

fn check_damaged(bytes: Vec<u8>, at: usize) {
    match reopen(&MemoryDisk::holding(bytes)) {
        Ok(store) => assert_eq!(store.me(), MemberId::FOUNDER, "damage at {at}"),
        Err(StoreError::Corrupt(_) | StoreError::Empty) => {}
        Err(other) => panic!("damage at {at}: {other:?}"),
    }
}

#[test]
fn a_disk_that_fails_is_told_from_one_that_is_damaged() {
    let disk = MemoryDisk::new();
    founder_store(disk.attach()).log.db.close();
    disk.fail_flushes_after(0);
    let opened = reopen(&disk).err();
    assert!(matches!(opened, Some(StoreError::Disk(_))), "{opened:?}");
}

#[test]
fn after_a_failed_flush_nothing_is_written_again() {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    disk.fail_flushes_after(0);
    let vote = fixture::vote(1);
    assert!(Types::run(store.log.save_vote(&vote)).is_err());
    // The disk is well again; the store is not, because nobody knows what it holds.
    disk.fail_flushes_after(100);
    assert!(Types::run(store.log.save_vote(&vote)).is_err());
    assert!(matches!(store.log.db.fault(), Some(StoreError::Disk(_))));
}

#[test]
fn what_was_flushed_survives_a_crash() {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    let (vote, entry) = (fixture::vote(7), fixture::blank(7, 0));
    Types::run(async {
        store.log.save_vote(&vote).await.expect("saved");
        store.log.blocking_append([entry.clone()]).await.expect("appended");
    });
    disk.crash();
    let found = reopen(&disk).expect("sound");
    assert_eq!(found.log.vote(), Ok(Some(vote)));
    assert_eq!(found.log.entries(..), Ok(vec![entry]));
}

#[test]
fn a_vote_alone_survives_a_crash() {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    let vote = fixture::vote(7);
    Types::run(store.log.save_vote(&vote)).expect("saved");
    disk.crash();
    assert_eq!(reopen(&disk).expect("sound").log.vote(), Ok(Some(vote)));
}

#[test]
fn the_commit_index_survives_a_crash_once_flushed() {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    let entries = [fixture::blank(1, 0), fixture::blank(1, 1)];
    let last = entries[1].log_id;
    Types::run(async {
        store.log.blocking_append(entries).await.expect("appended");
        store.log.save_committed(Some(last)).await.expect("saved");
    });
    assert!(store.log.db.has_unflushed());
    Types::run(async { store.log.db.flush().await.expect("flushed") });
    disk.crash();
    assert_eq!(reopen(&disk).expect("sound").view().applied, 1);
}

#[test]
fn an_agreed_entry_that_is_missing_is_noticed() {
    let disk = MemoryDisk::new();
    let mut store = founder_store(disk.attach());
    Types::run(async {
        let entries = [fixture::blank(1, 0), fixture::blank(1, 1), fixture::blank(1, 2)];
        store.log.blocking_append(entries).await.expect("appended");
        store.log.save_committed(Some(fixture::log_id(1, 2))).await.expect("saved");
        store.log.truncate_after(Some(fixture::log_id(1, 1))).await.expect("truncated");
    });
    store.log.db.close();
    let opened = reopen(&disk).err();
    assert!(matches!(opened, Some(StoreError::Corrupt(_))), "{opened:?}");
}

#[test]
fn a_snapshot_that_took_long_to_make_does_not_replace_a_later_one() {
    let store = founder_store(MemoryDisk::new());
    let (older, mut newer) = (fixture::settled(), fixture::settled());
    newer.apply(&fixture::blank(1, 4));
    let db = &store.log.db;
    Types::run(async {
        db.save_snapshot(older.to_snapshot()).await.expect("saved");
        db.save_snapshot(newer.to_snapshot()).await.expect("saved");
        db.save_snapshot(older.to_snapshot()).await.expect("passed over");
    });
    assert_eq!(db.snapshot(), Ok(Some(newer.to_snapshot())));
}

#[test]
fn a_genesis_on_our_own_disk_that_does_not_hold_is_damage_and_nobodys_lie() {
    let disk = MemoryDisk::new();
    let store = founder_store(disk.attach());
    let mut identity = store.identity.clone();
    let mut bytes = mesh_model::codec::encode(&identity);
    // The last bytes are the signature's.
    *bytes.last_mut().expect("an identity") ^= 1;
    identity = mesh_model::codec::decode(&bytes).expect("still an identity");
    let db = &store.log.db;
    let planted = db.write_now(Durability::Immediate, |txn| {
        let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
        IDENTITY.write(&mut meta, &identity)
    });
    planted.expect("written");
    db.close();
    let opened = reopen(&disk).err();
    assert!(matches!(opened, Some(StoreError::Corrupt(_))), "{opened:?}");
}

#[test]
fn whoever_is_told_of_a_flush_has_its_entries_in_it() {
    let store = founder_store(MemoryDisk::new());
    let db = &store.log.db;
    Types::run(async {
        let appends = || db.tail().append([fixture::blank(1, 1)]);
        let ((), flushed) = db.flush_for(appends).await;
        assert_eq!(flushed, Ok(()));
        assert!(!db.has_unflushed(), "what was there when they were named went along");
    });
}
