//! What a host does until it has heard from the others, and whose word it believes.

use std::time::Duration;

use bytes::Bytes;
use mesh_model::codec;
use mesh_model::trust::EpochId;
use mesh_model::wire::sync::Lead;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use openraft::storage::RaftLogStorageExt as _;
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::ports::{Transport, TransportError};
use crate::raft::fixture::{
    self, Fixed, GUEST, guest_store, in_virtual_time, leads, log_id, secret, wall_ms,
};
use crate::raft::rpc::{Reply, Request};
use crate::raft::store::StoreError;
use crate::raft::types::{Entry, Membership, Payload, Types, Vote};
use crate::raft::{Group, GroupFailure, MemoryDisk, Timing};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// A wire to nobody.
#[derive(Clone)]
struct Nobody;

impl Transport for Nobody {
    async fn call(&self, to: MemberId, _: Bytes, _: Duration) -> Result<Bytes, TransportError> {
        Err(TransportError::Unreachable(to))
    }
}

/// The guest, which reaches nobody.
async fn lonely() -> Group {
    let (store, key) = (guest_store(MemoryDisk::new()), secret(4));
    let started = Group::start(store, key, Nobody, &Fixed, wall_ms, Timing::default()).await;
    started.expect("starts")
}

async fn say(to: &Group, request: Request) -> Result<Reply, RpcError> {
    let reply = to.handle_rpc(FOUNDER, &request.ask_in(fixture::epoch())).await?;
    Ok(codec::decode(&reply).expect("a reply"))
}

fn candidacy() -> VoteRequest<Types> {
    VoteRequest::new(Vote::new(2, FOUNDER.0), Some(log_id(1, 9)))
}

#[test]
fn whoever_has_not_heard_from_the_others_follows_and_gives_no_vote() {
    Types::run(async {
        let guest = lonely().await;
        let transfer = TransferLeaderRequest::new(leads(FOUNDER, 1), GUEST.0, None);
        for request in [
            Request::PreVote(candidacy().into()),
            Request::Vote(candidacy().into()),
            Request::TransferLeader(transfer.into()),
        ] {
            assert_eq!(say(&guest, request).await.err(), Some(RpcError::Recollecting));
        }
        assert_eq!(guest.status().leadership.term, 0, "nothing of it was heard");
        let told = say(&guest, fixture::append(leads(FOUNDER, 1), 4, 1)).await;
        assert!(matches!(told, Ok(Reply::Append(_))), "the leader feeds it all the same");
        guest.shutdown().await;
    });
}

/// Entry `index` as the founder sends it, agreed.
fn agreed(index: LogIndex, payload: Payload) -> Request {
    let append = AppendEntriesRequest {
        vote: leads(FOUNDER, 1),
        prev_log_id: Some(log_id(1, index - 1)),
        entries: vec![Entry { log_id: log_id(1, index), payload }],
        leader_commit: Some(log_id(1, index)),
    };
    Request::Append(append.into())
}

/// The last index that `group` has signed.
fn signed(group: &Group) -> Option<LogIndex> {
    let inner = group.inner();
    let words = inner.testimony.words();
    words.last_of(GUEST).map(|word| word.peek().expect("whole").at.index)
}

#[test]
fn what_is_applied_and_not_on_disk_yet_is_not_signed() {
    in_virtual_time(async {
        let guest = fixture::guest().await;
        let inner = guest.inner();
        let voters = Membership::new_with_defaults(vec![[1, GUEST.0].into()], []);
        say(&guest, agreed(4, Payload::Membership(voters))).await.expect("it leads");
        Types::sleep(Duration::from_secs(1)).await;
        assert_eq!(signed(&guest), Some(4));

        let held = inner.db.hold().await;
        let heard = Runtime::spawn({
            let guest = guest.clone();
            async move { say(&guest, agreed(5, Payload::Blank)).await.map(drop) }
        });
        Types::sleep(Duration::from_secs(1)).await;
        assert_eq!((guest.status().applied, signed(&guest)), (5, Some(4)));
        drop(held);
        heard.await.expect("no panic").expect("it leads");
        Types::sleep(Duration::from_secs(1)).await;
        assert_eq!(signed(&guest), Some(5));
        guest.shutdown().await;
    });
}

#[test]
fn a_snapshot_counts_as_far_as_it_goes_whatever_a_crash_brought_back_in_front_of_it() {
    let mut store = guest_store(MemoryDisk::new());
    Types::run(async {
        store.log.blocking_append([fixture::blank(7, 2)]).await.expect("appended");
    });
    assert_eq!(store.ends(), Ok(3));
}

#[test]
fn one_that_does_not_know_that_it_lost_its_vote_is_told_what_it_signed() {
    Types::run(async {
        let guest = fixture::guest().await;
        let inner = guest.inner();
        let said = word(3, |word| word.member = FOUNDER);
        let own = Signed::seal(&said, &secret(2));
        assert!(inner.take_words(std::slice::from_ref(&own)));
        // What it says now counts as little as if another had signed it.
        let untaken = Signed::seal(&word(9, |word| word.member = FOUNDER), &secret(66));
        let told = say(&guest, Request::Attest { index: 9, word: Some(untaken) }).await;
        let Ok(Reply::Attested(told)) = told else { panic!("{:?}", told.err()) };
        assert_eq!(told, [own]);
        guest.shutdown().await;
    });
}

/// A word on what the guest's log led to at `index`.
fn word(index: LogIndex, as_if: impl FnOnce(&mut Checkpoint)) -> Checkpoint {
    let mark = fixture::settled().mark().expect("entries");
    let lead = Lead { term: 1, leader: FOUNDER };
    let mut word = Checkpoint::of(fixture::root().mesh, GUEST, mark, lead);
    word.at.index = index;
    as_if(&mut word);
    word
}

#[test]
fn only_its_own_word_on_this_log_tells_a_host_that_its_disk_is_old() {
    Types::run(async {
        let guest = fixture::guest().await;
        let inner = guest.inner();
        let own = secret(4);
        let next = EpochId { number: 1, ..fixture::epoch() };
        for (says_nothing, key) in [
            (word(9, |_| {}), secret(2)),
            (word(9, |word| word.member = FOUNDER), secret(4)),
            (word(9, |word| word.mesh = fixture::other_root().mesh), secret(4)),
            (word(9, |word| word.lead.term = next.first_term()), secret(4)),
            (word(3, |_| {}), secret(4)),
        ] {
            inner.recollect(&Signed::seal(&says_nothing, &key));
            assert!(inner.recollection.is_current(), "{says_nothing:?}");
        }
        inner.recollection.note_signed(9);
        inner.recollect(&Signed::seal(&word(9, |_| {}), &own));
        assert!(inner.recollection.is_current(), "it has signed that since it started");
        inner.recollect(&Signed::seal(&word(10, |_| {}), &own));
        assert!(!inner.recollection.is_current());
        let old = StoreError::OldCopy { ends: 3, signed: 10 };
        assert_eq!(guest.failed().await, GroupFailure::Store(old));
    });
}
