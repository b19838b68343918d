//! Replies that no correct member gives.

use openraft::type_config::TypeConfigExt as _;

use super::super::leaps::MAX_LEAP;
use super::*;
use crate::command::Outcome;
use crate::ports::Seeds;
use crate::raft::fixture::{
    self, GUEST, admission, founder_store, in_virtual_time, invitation, log_id,
};
use crate::raft::records::VoteRecord;
use crate::raft::rpc::{AppendReply, Question};
use crate::raft::types::{LogId, Membership, StoredMembership};
use crate::raft::{Group, MemoryDisk, Role, Timing};

const FOUNDER: MemberId = MemberId::FOUNDER;

struct Fixed;

impl Seeds for Fixed {
    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }
}

/// A follower that answers every append with `lie`, and counts them.
#[derive(Clone)]
struct Liar {
    lie: Vote,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl Liar {
    fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Transport for Liar {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        _: Duration,
    ) -> Result<Bytes, TransportError> {
        Types::sleep(Duration::from_millis(1)).await;
        let vote = VoteRecord::from(self.lie);
        let Question { request, .. } = codec::decode(&request).expect("our own question");
        let reply = match request {
            Request::Append(_) => Reply::Append(AppendReply::HigherVote(vote)),
            Request::Snapshot { .. } => Reply::Snapshot { vote },
            _ => return Err(TransportError::Unreachable(to)),
        };
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(reply.encode())
    }
}

/// The founder's group, with the guest for a learner that lies.
async fn lied_to(lie: Vote) {
    let asked = Arc::default();
    let liar = Liar { lie, asked };
    let store = founder_store(MemoryDisk::new());
    let founder = Group::start(
        store,
        fixture::secret(2),
        liar.clone(),
        &Fixed,
        fixture::wall_ms,
        Timing::default(),
    )
    .await
    .expect("starts");
    founder.propose(invitation()).await.expect("agreed");
    let admitted = founder.propose(admission()).await.expect("agreed");
    assert!(matches!(admitted.outcome, Outcome::Admitted { member: GUEST, .. }));
    while liar.asked() < 5 {
        Types::sleep(Duration::from_millis(50)).await;
    }
    let status = founder.status();
    assert_eq!((status.leadership.role, status.leadership.term), (Role::Leader, 1), "{lie}");
    assert_eq!(status.learners, [GUEST]);
    assert!(founder.refusals().of(Refused::AgreementReplyNotBelieved) > 0);
    founder.propose(invitation()).await.expect("still agreed");
    founder.shutdown().await;
}

#[test]
fn a_learners_vote_does_not_unseat_the_leader() {
    for lie in [
        Vote::new(2, GUEST.0),
        Vote::new_committed(2, GUEST.0),
        Vote::new(u64::MAX, GUEST.0),
        Vote::new_committed(9, FOUNDER.0),
    ] {
        in_virtual_time(lied_to(lie));
    }
}

/// Member `to` as host 2 hears it; 1 and 2 vote, 3 follows.
fn heard(to: u64) -> Peer {
    let membership = Membership::new_with_defaults(vec![[1, 2].into()], [3]);
    let stored = Arc::new(StoredMembership::new(Some(log_id(0, 0)), membership));
    let server = RaftServerMetrics {
        id: 2,
        vote: sent(),
        state: openraft::ServerState::Leader,
        current_leader: Some(2),
        membership_config: Arc::clone(&stored),
        committed_membership_config: stored,
    };
    let peers = {
        let liar = Liar { lie: sent(), asked: Arc::default() };
        Peers::new(
            MemberId(2),
            fixture::epoch(),
            calls(liar),
            Default::default(),
            Duration::from_secs(1),
        )
    };
    peers.follow(ordered::channel(server).1);
    Peer { peers, to: MemberId(to) }
}

/// What host 2 speaks with.
fn sent() -> Vote {
    Vote::new_committed(7, 2)
}

#[test]
fn a_later_vote_is_a_voters_to_tell_of_and_within_reach() {
    let believed = |to: u64, said: Vote| {
        let peer = heard(to);
        let reply = VoteResponse::new(said, None, false);
        let voted = peer.vote_reply(&sent(), Reply::Vote(reply.into())).is_ok();
        let higher = Reply::Append(AppendReply::HigherVote(said.into()));
        let appended = peer.append_reply(&span(), higher).is_ok();
        assert_eq!(voted, appended, "{said}");
        voted
    };
    assert!(believed(1, Vote::new(8, 1)));
    assert!(believed(1, Vote::new_committed(8, 3)));
    assert!(believed(1, Vote::new(7 + MAX_LEAP, 1)));
    assert!(!believed(1, Vote::new(8 + MAX_LEAP, 1)), "out of reach");
    assert!(!believed(1, Vote::new_committed(8, 2)), "nobody knows better whom we vote for");
    assert!(!believed(3, Vote::new(8, 1)), "no voter");
}

fn span() -> AppendSpan {
    AppendSpan::of(&AppendEntriesRequest {
        vote: sent(),
        prev_log_id: Some(log_id(6, 10)),
        entries: vec![fixture::blank(7, 11), fixture::blank(7, 12)],
        leader_commit: None,
    })
}

#[test]
fn a_follower_holds_no_more_than_it_was_sent() {
    let peer = heard(3);
    let holds = |upto: Option<LogId>| {
        let reply = Reply::Append(AppendReply::Partial(upto.map(Into::into)));
        peer.append_reply(&span(), reply).is_ok()
    };
    assert!(holds(Some(log_id(6, 10))) && holds(Some(log_id(7, 12))));
    assert!(!holds(Some(log_id(7, 13))) && !holds(Some(log_id(8, 12))) && !holds(None));

    let conflict = || Reply::Append(AppendReply::Conflict);
    assert!(peer.append_reply(&span(), conflict()).is_ok());
    let mut from_the_start = span();
    from_the_start.prev = None;
    assert!(peer.append_reply(&from_the_start, conflict()).is_err(), "nothing to conflict with");
    let lower = Reply::Append(AppendReply::HigherVote(Vote::new(6, 1).into()));
    assert!(heard(1).append_reply(&span(), lower).is_err());
}
