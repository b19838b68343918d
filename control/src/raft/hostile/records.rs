//! What is said and what is written down, each through what reads it. What is read, with whatever is wrong, can be written again.

use std::sync::LazyLock;

use mesh_model::codec::{self, Message};
use proptest::prelude::*;

use super::sayings::{agreed, impossible, later, passage};
use super::wounds::{Wound, damage};
use super::{ANSWERS, FOUNDER, QUESTIONS, config};
use crate::raft::fixture::{GUEST, leads, log_id, root};
use crate::raft::history::History;
use crate::raft::passage::{Passage, PassageRecord};
use crate::raft::records::{EntryRecord, LogIdRecord, StoredMembershipRecord, VoteRecord};
use crate::raft::replica::Replica;
use crate::raft::rpc::{Question, Reply};
use crate::raft::snapshot::SnapshotRecord;
use crate::raft::types::StoredMembership;

/// How much of each is damaged bit by bit: what is behind is signed, or compressed.
const FRONT: usize = 64;

/// What reads bytes.
type Reader = fn(&[u8]);

/// One of everything, and what reads it.
static RECORDS: LazyLock<Vec<(Reader, Vec<u8>)>> = LazyLock::new(|| {
    let membership = StoredMembershipRecord::from(&later().membership);
    let mut records: Vec<(Reader, Vec<u8>)> = vec![
        (read_membership, codec::encode(&membership)),
        (read_membership, codec::encode(&StoredMembershipRecord::default())),
        (read::<VoteRecord>, codec::encode(&VoteRecord::from(leads(FOUNDER, 1)))),
        (read::<LogIdRecord>, codec::encode(&LogIdRecord::from(log_id(1, 4)))),
        (read_snapshot, later().to_snapshot()),
        (read_passage, passage().bytes().to_vec()),
        (read_history, History::new(GUEST).keep(root().mesh)),
    ];
    let entries = agreed().map(|entry| codec::encode(&EntryRecord::from(entry)));
    records.extend(entries.map(|entry| (read_entry as Reader, entry)));
    let questions = QUESTIONS.iter().cloned().chain(impossible(FOUNDER));
    records.extend(questions.map(|question| (read::<Question> as Reader, question)));
    let answers = ANSWERS.values().flatten().cloned();
    records.extend(answers.map(|answer| (read::<Reply> as Reader, answer)));
    records
});

/// What is read is written in no more bytes, and read again.
fn reread<M: Message>(bytes: &[u8]) -> Option<M> {
    let read: M = codec::decode(bytes).ok()?;
    let written = codec::encode(&read);
    assert!(written.len() <= bytes.len());
    let again: M = codec::decode(&written).expect("what was written is read");
    assert_eq!(codec::encode(&again), written);
    Some(read)
}

fn read<M: Message>(bytes: &[u8]) {
    let _ = reread::<M>(bytes);
}

fn read_entry(bytes: &[u8]) {
    let _ = reread(bytes).map(EntryRecord::open);
}

fn read_membership(bytes: &[u8]) {
    let _ = reread::<StoredMembershipRecord>(bytes).map(StoredMembership::try_from);
}

fn read_snapshot(bytes: &[u8]) {
    if reread::<SnapshotRecord>(bytes).is_some() {
        let _ = Replica::open(bytes, &root());
    }
}

fn read_passage(bytes: &[u8]) {
    if reread::<PassageRecord>(bytes).is_some() {
        let _ = Passage::open(bytes.to_vec(), &root());
    }
}

fn read_history(bytes: &[u8]) {
    let whose = (GUEST, root().mesh);
    if let Ok(history) = History::resume(whose, bytes) {
        let written = history.keep(root().mesh);
        assert!(written.len() <= bytes.len());
        assert!(History::resume(whose, &written).is_ok());
    }
}

#[test]
fn whatever_one_place_says_is_refused_or_read() {
    for (read, bytes) in RECORDS.iter() {
        read(bytes);
        for at in 0..bytes.len().min(FRONT) {
            let bits = (0..8).map(|bit| Wound::Bit(at, bit));
            let numbers = [0, u64::MAX].map(|number| Wound::Number(at, number));
            for wound in bits.chain(numbers).chain([Wound::Cut(at)]) {
                let mut wounded = bytes.clone();
                wound.inflict(&mut wounded, &[]);
                read(&wounded);
            }
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn whatever_befalls_it_it_is_refused_or_read(which in any::<usize>(), damage in damage()) {
        let (read, bytes) = &RECORDS[which % RECORDS.len()];
        read(&damage.of(std::slice::from_ref(bytes)));
    }
}
