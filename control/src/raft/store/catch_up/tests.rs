use mesh_model::wire::sync::{Checkpoint, Lead};
use mesh_model::{MemberId, Signed};
use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::raft::MemoryDisk;
use crate::raft::fixture::{
    self, GUEST, blank, founder_store, goodbye, guest_store, log_id, root, secret, settled,
    settled_late,
};
use crate::raft::replica::Replica;
use crate::raft::types::{Entry, Membership, Payload, Types};

fn file_of(replica: &Replica) -> Snapshot {
    Snapshot::open(&replica.to_file(&[]).1, Some(&root())).expect("genuine")
}

/// The settled replica, and blank entries up to `index`.
fn later(index: u64) -> Replica {
    let mut replica = settled();
    for index in 4..=index {
        replica.apply(&blank(1, index));
    }
    replica
}

fn reopened(disk: &MemoryDisk) -> Store {
    Store::open(disk.attach(), GUEST, &root()).expect("sound")
}

#[test]
fn a_learner_that_is_behind_catches_up_for_good() {
    let disk = MemoryDisk::new();
    let mut store = guest_store(disk.attach());
    let vote = fixture::vote(7);
    Types::run(store.log.save_vote(&vote)).expect("saved");
    assert_eq!(store.catch_up(&file_of(&later(9))), Ok(3));
    assert_eq!(store.view().applied, 9);
    disk.crash();
    let found = reopened(&disk);
    assert_eq!(found.view(), later(9).view());
    assert_eq!(found.log.vote(), Ok(Some(vote)), "the vote is nothing a snapshot may change");
    assert_eq!(found.log.bounds(), Ok((Some(log_id(1, 9)), Some(log_id(1, 9)))));
}

#[test]
fn the_log_behind_a_snapshot_is_kept_where_it_passes_through_it() {
    let disk = MemoryDisk::new();
    let mut store = guest_store(disk.attach());
    let entries: Vec<_> = (4..=8).map(|index| blank(1, index)).collect();
    Types::run(store.log.blocking_append(entries.clone())).expect("appended");
    store.catch_up(&file_of(&later(6))).expect("caught up");
    store.log.db.close();
    assert_eq!(reopened(&disk).log.entries(..), Ok(entries[3..].to_vec()));
}

#[test]
fn the_log_behind_a_snapshot_is_dropped_where_it_went_another_way() {
    let disk = MemoryDisk::new();
    let mut store = guest_store(disk.attach());
    // Of a leader that was never followed by a majority.
    let entries: Vec<_> = (4..=8).map(|index| blank(2, index)).collect();
    Types::run(store.log.blocking_append(entries)).expect("appended");
    store.catch_up(&file_of(&later(6))).expect("caught up");
    store.log.db.close();
    assert_eq!(reopened(&disk).log.entries(..), Ok(Vec::new()));
}

#[test]
fn nothing_agreed_is_rolled_back() {
    let mut store = guest_store(MemoryDisk::new());
    let as_far = store.catch_up(&file_of(&settled()));
    assert_eq!(as_far, Err(CatchUpError::NotAhead { snapshot: 3, applied: 3 }));
    store.catch_up(&file_of(&later(9))).expect("caught up");
    let older = store.catch_up(&file_of(&later(8)));
    assert_eq!(older, Err(CatchUpError::NotAhead { snapshot: 8, applied: 9 }));
}

#[test]
fn a_snapshot_with_another_past_is_refused() {
    let mut store = guest_store(MemoryDisk::new());
    let mut other = settled_late(1);
    other.apply(&blank(1, 4));
    assert_eq!(store.catch_up(&file_of(&other)), Err(CatchUpError::OtherPast { applied: 3 }));
}

#[test]
fn a_voter_keeps_what_it_acknowledged() {
    let votes = |me| Err(CatchUpError::Votes(me));
    let mut founder = founder_store(MemoryDisk::new());
    assert_eq!(founder.catch_up(&file_of(&later(9))), votes(MemberId::FOUNDER));

    // By the snapshot: made a voter while it was away, and no longer one by now.
    let mut replica = settled();
    for (index, voters) in [(4, [1, 3].as_slice()), (5, &[1])] {
        let voters = voters.iter().copied().collect();
        let membership = Membership::new_with_defaults(vec![voters], [1, 3]);
        replica
            .apply(&Entry { log_id: log_id(1, index), payload: Payload::Membership(membership) });
    }
    let mut guest = guest_store(MemoryDisk::new());
    assert_eq!(guest.catch_up(&file_of(&replica)), votes(GUEST));

    // By its own log, not agreed yet.
    let membership = Membership::new_with_defaults(vec![[1, 3].into()], []);
    let entry = Entry { log_id: log_id(1, 4), payload: Payload::Membership(membership) };
    let mut guest = guest_store(MemoryDisk::new());
    Types::run(guest.log.blocking_append([entry])).expect("appended");
    assert_eq!(guest.catch_up(&file_of(&later(9))), votes(GUEST));
}

#[test]
fn a_signature_counts_if_this_host_knows_its_voter() {
    let replica = later(9);
    let signed = |of: MemberId, key: u8| {
        let lead = Lead { term: 1, leader: MemberId::FOUNDER };
        let word = Checkpoint::of(root().mesh, of, replica.mark().expect("not empty"), lead);
        Snapshot::open(&replica.to_file(&[Signed::seal(&word, &secret(key))]).1, Some(&root()))
    };
    let guest = guest_store(MemoryDisk::new());
    let founders = signed(MemberId::FOUNDER, 2).expect("genuine");
    assert!(founders.is_proven() && guest.knows_a_signer(&founders));
    assert!(!guest.knows_a_signer(&file_of(&replica)));
}

#[test]
fn a_member_that_is_gone_by_the_snapshot_does_not_take_it() {
    let mut replica = settled();
    let payload = Payload::Normal(goodbye().1);
    replica.apply(&Entry { log_id: log_id(1, 4), payload });
    let mut guest = guest_store(MemoryDisk::new());
    assert_eq!(guest.catch_up(&file_of(&replica)), Err(CatchUpError::NoMember(GUEST)));
}

#[test]
fn a_disk_that_fails_leaves_the_store_as_it_was() {
    let disk = MemoryDisk::new();
    let mut store = guest_store(disk.attach());
    disk.fail_flushes_after(0);
    let failed = store.catch_up(&file_of(&later(9)));
    assert!(matches!(failed, Err(CatchUpError::Store(StoreError::Disk(_)))), "{failed:?}");
    assert_eq!(store.view().applied, 3);
    disk.crash();
    disk.fail_flushes_after(100);
    assert_eq!(reopened(&disk).view().applied, 3);
}
