//! What is heard and what is refused, with this test in the leader's place.

use std::time::Duration;

use mesh_model::Signed;
use mesh_model::trust::{EpochHead, EpochId, Misconduct, Report};
use mesh_model::wire::sync::{Lead, Place, Pull, Pulled};
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::raft::fixture::{
    self, GUEST, append, forged, guest, guest_store, leads, log_id, settled, start, unchained,
};
use crate::raft::leaps::MAX_LEAP;
use crate::raft::records::LAST_INDEX;
use crate::raft::rpc::Append;
use crate::raft::store::StoreError;
use crate::raft::testimony::Testimony;
use crate::raft::types::{Entry, LogId, SnapshotMeta};
use crate::raft::{GroupFailure, MemoryDisk, Role};
use crate::reports::Complaint;

const FOUNDER: MemberId = MemberId::FOUNDER;

fn campaigns(node: MemberId, term: u64) -> Vote {
    Vote::new(term, node.0)
}

/// What `reporter` says, by its own key if it is the guest.
fn report_of(reporter: MemberId) -> Request {
    let key = fixture::secret(4);
    let report = Report {
        mesh: fixture::root().mesh,
        reporter,
        subject: FOUNDER,
        identity: key.public(),
        misconduct: Misconduct::Floods,
        reason: None,
        made_ms: fixture::wall_ms(),
    };
    Request::Report(Signed::seal(&report, &key))
}

fn snapshot(vote: Vote, replica: &Replica) -> Request {
    Request::Snapshot { vote: vote.into(), snapshot: replica.to_snapshot() }
}

async fn say(group: &Group, from: MemberId, request: Request) -> Result<Reply, RpcError> {
    let reply = group.handle_rpc(from, &request.ask_in(fixture::epoch())).await?;
    Ok(codec::decode(&reply).expect("our own reply"))
}

#[test]
fn the_leader_is_heard() {
    Types::run(async {
        let guest = guest().await;
        let reply = say(&guest, FOUNDER, append(leads(FOUNDER, 1), 4, 2)).await;
        assert!(matches!(reply, Ok(Reply::Append(_))));
        let campaign = VoteRequest::new(campaigns(FOUNDER, 2), Some(log_id(1, 5)));
        let reply = say(&guest, FOUNDER, Request::PreVote(campaign.into())).await;
        assert!(matches!(reply, Ok(Reply::Vote(_))));
        guest.shutdown().await;
    });
}

/// Its vote is taken from it a moment later, and its tunnels are closed in the shell.
#[test]
fn a_banned_voter_is_answered_nothing_while_the_group_counts_it_still() {
    Types::run(async {
        let guest = guest().await;
        let campaign = || VoteRequest::new(campaigns(FOUNDER, 2), Some(log_id(1, 5))).into();
        let lead = Lead { term: 1, leader: FOUNDER };
        let pull = Pull { have: None, proven: 0, lead: Some(lead), hold_ms: 0, snapshot: false };
        let of_it = [
            append(leads(FOUNDER, 1), 5, 1),
            Request::Vote(campaign()),
            Request::PreVote(campaign()),
            snapshot(leads(FOUNDER, 1), &settled()),
            Request::IsVoter(FOUNDER),
            Request::ReadIndex,
            Request::Pull(pull),
            Request::Passage,
            Request::Propose(fixture::invitation()),
        ];
        say(&guest, FOUNDER, fixture::agreed(fixture::ban())).await.expect("no ban yet");
        let mut views = guest.inner().views.clone();
        views.wait_until(|view| view.banned.contains_key(&FOUNDER)).await.expect("applied");
        assert_eq!(guest.status().voters, [FOUNDER], "by the group it votes");
        for request in of_it {
            let refused = say(&guest, FOUNDER, request).await;
            assert_eq!(refused.err(), Some(RpcError::NotAMember(FOUNDER)));
        }
        assert_eq!(guest.status().leadership.term, 1);
        guest.shutdown().await;
    });
}

#[test]
fn nobody_speaks_for_another_or_without_a_vote() {
    Types::run(async {
        let guest = guest().await;
        let stranger = MemberId(77);
        let refused = say(&guest, stranger, append(leads(stranger, 9), 4, 1)).await;
        assert_eq!(refused.err(), Some(RpcError::NotAMember(stranger)));
        let itself = say(&guest, GUEST, append(leads(GUEST, 9), 4, 1)).await;
        assert_eq!(itself.err(), Some(RpcError::NotAMember(GUEST)), "by a link to itself");

        let for_another = RpcError::NotEntitled { from: FOUNDER, claimed: GUEST };
        for request in [
            append(leads(GUEST, 9), 4, 1),
            Request::Vote(VoteRequest::new(campaigns(GUEST, 9), None).into()),
            Request::PreVote(VoteRequest::new(campaigns(GUEST, 9), None).into()),
            Request::TransferLeader(
                TransferLeaderRequest::new(leads(GUEST, 9), GUEST.0, None).into(),
            ),
            snapshot(leads(GUEST, 9), &settled()),
            report_of(GUEST),
        ] {
            let refused = say(&guest, FOUNDER, request).await;
            assert_eq!(refused.err(), Some(for_another.clone()));
        }
        let status = guest.status();
        assert_eq!(status.leadership.term, 0, "nothing of it was heard");
        guest.shutdown().await;
    });
}

/// The founder, that leads for the second time, and the guest, that has no vote.
#[test]
fn a_leader_of_an_earlier_term_is_told_of_the_later_one_whether_or_not_it_votes() {
    Types::run(async {
        let founder = fixture::leads_again().await;
        let term = founder.status().leadership.term;

        let told = say(&founder, GUEST, append(leads(GUEST, term - 1), 4, 1)).await;
        let Ok(Reply::Append(told)) = told else { panic!("{:?}", told.err()) };
        let told = AppendEntriesResponse::<Types>::from(told);
        assert_eq!(told, AppendEntriesResponse::HigherVote(leads(FOUNDER, term)));

        let campaign = VoteRequest::new(campaigns(GUEST, term - 1), Some(log_id(1, 9)));
        let no_vote = || RpcError::NoVote(GUEST);
        let for_another = RpcError::NotEntitled { from: GUEST, claimed: MemberId(9) };
        for (request, error) in [
            (append(leads(GUEST, term), 4, 1), no_vote()),
            (append(leads(GUEST, term + 1), 4, 1), no_vote()),
            (append(campaigns(GUEST, term - 1), 4, 1), RpcError::OutOfTurn(GUEST)),
            (append(leads(MemberId(9), term - 1), 4, 1), for_another),
            (snapshot(leads(GUEST, term - 1), &settled()), no_vote()),
            (Request::Vote(campaign.into()), no_vote()),
        ] {
            assert_eq!(say(&founder, GUEST, request).await.err(), Some(error));
        }
        let status = founder.status();
        assert_eq!((status.leadership.role, status.leadership.term), (Role::Leader, term));
        founder.shutdown().await;
    });
}

#[test]
fn one_that_does_not_lead_takes_no_reports() {
    Types::run(async {
        let guest = guest().await;
        let reply = say(&guest, FOUNDER, report_of(FOUNDER)).await;
        assert!(matches!(reply, Ok(Reply::Reported(None))));
        guest.shutdown().await;
    });
}

#[test]
fn a_voter_that_signs_two_things_of_one_index_is_reported() {
    Types::run(async {
        let guest = guest().await;
        let mark = guest.inner().replica.lock().mark().expect("entries");
        for attest in fixture::contradiction(mark) {
            assert_eq!(guest.complaints(), [], "one word is as good as any");
            assert!(matches!(say(&guest, FOUNDER, attest).await, Ok(Reply::Attested(_))));
        }
        let complaints = guest.complaints();
        let [Complaint { report, .. }] = &complaints[..] else { panic!("{complaints:?}") };
        assert_eq!((report.subject, report.misconduct), (FOUNDER, Misconduct::Diverges));
        guest.shutdown().await;
    });
}

#[test]
fn terms_that_no_elections_lead_to_are_not_heard() {
    Types::run(async {
        let guest = guest().await;
        let far = u64::MAX;
        for request in [
            append(leads(FOUNDER, far), 4, 1),
            Request::Vote(VoteRequest::new(campaigns(FOUNDER, far), Some(log_id(1, 9))).into()),
            snapshot(leads(FOUNDER, far), &settled()),
        ] {
            let refused = say(&guest, FOUNDER, request).await.err();
            assert!(matches!(refused, Some(RpcError::TermOutOfReach { .. })), "{refused:?}");
        }
        let of_a_later_term = Append::from(AppendEntriesRequest {
            vote: leads(FOUNDER, 1),
            prev_log_id: Some(log_id(1, 3)),
            entries: vec![fixture::blank(2, 4)],
            leader_commit: None,
        });
        let refused = say(&guest, FOUNDER, Request::Append(of_a_later_term)).await;
        assert!(matches!(refused, Err(RpcError::Malformed(_))));
        assert_eq!(guest.status().leadership.term, 0);
        guest.shutdown().await;
    });
}

#[test]
fn a_candidate_does_not_append_and_a_leader_does_not_campaign() {
    Types::run(async {
        let guest = guest().await;
        let refused = say(&guest, FOUNDER, append(campaigns(FOUNDER, 1), 4, 1)).await;
        assert_eq!(refused.err(), Some(RpcError::OutOfTurn(FOUNDER)));
        let campaign = VoteRequest::new(leads(FOUNDER, 1), None);
        let refused = say(&guest, FOUNDER, Request::Vote(campaign.into())).await;
        assert_eq!(refused.err(), Some(RpcError::OutOfTurn(FOUNDER)));
        guest.shutdown().await;
    });
}

#[test]
fn a_genuine_snapshot_is_installed_and_a_forged_one_refused() {
    Types::run(async {
        let guest = guest().await;
        let mut later = settled();
        later.apply(&fixture::blank(1, 4));
        for mut lie in [forged(), unchained()] {
            lie.apply(&fixture::blank(1, 4));
            let refused = say(&guest, FOUNDER, snapshot(leads(FOUNDER, 1), &lie)).await;
            assert!(matches!(refused, Err(RpcError::Snapshot(_))));
        }
        assert_eq!(guest.views().borrow().applied, 3);

        let reply = say(&guest, FOUNDER, snapshot(leads(FOUNDER, 1), &later)).await;
        assert!(matches!(reply, Ok(Reply::Snapshot { .. })));
        assert!(guest.applied_at_least(4, Duration::from_secs(5)).await);
        assert_eq!(guest.status().state_hash, later.state.hash());
        assert_eq!(guest.fatal(), None);
        guest.shutdown().await;
    });
}

#[test]
fn a_snapshot_no_leader_can_have_is_refused_and_does_not_panic() {
    Types::run(async {
        let guest = guest().await;
        let mut of_a_later_term = settled();
        of_a_later_term.apply(&fixture::blank(8, 4));
        let request = snapshot(leads(FOUNDER, 1), &of_a_later_term);
        assert_eq!(say(&guest, FOUNDER, request).await.err(), Some(RpcError::Contradiction));

        let mut in_a_place_taken = settled();
        in_a_place_taken.applied = Some(log_id(2, 3));
        let request = snapshot(leads(FOUNDER, 2), &in_a_place_taken);
        assert_eq!(say(&guest, FOUNDER, request).await.err(), Some(RpcError::Contradiction));

        // It shows the guest, who came in at 3.
        let mut ahead_of_itself = settled();
        ahead_of_itself.applied = Some(log_id(1, 2));
        let request = snapshot(leads(FOUNDER, 1), &ahead_of_itself);
        assert_eq!(say(&guest, FOUNDER, request).await.err(), Some(RpcError::Contradiction));

        let mut without_the_guest = fixture::founded();
        without_the_guest.apply(&fixture::blank(1, 9));
        let request = snapshot(leads(FOUNDER, 1), &without_the_guest);
        assert_eq!(say(&guest, FOUNDER, request).await.err(), Some(RpcError::Contradiction));

        let mut with_another_past = fixture::settled_late(1);
        with_another_past.apply(&fixture::blank(1, 4));
        let request = snapshot(leads(FOUNDER, 1), &with_another_past);
        assert_eq!(say(&guest, FOUNDER, request).await.err(), Some(RpcError::Contradiction));
        assert_eq!(guest.fatal(), None);
        guest.shutdown().await;
    });
}

#[test]
fn an_append_no_leader_can_make_is_refused_and_does_not_panic() {
    Types::run(async {
        let guest = guest().await;
        let before = guest.status();
        let append = |prev: LogId, entries: Vec<Entry>| {
            let (vote, leader_commit) = (leads(FOUNDER, 2), None);
            let prev_log_id = Some(prev);
            Request::Append(
                AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }.into(),
            )
        };
        // The guest came in at 3, in term 1.
        for impossible in [
            append(log_id(2, 2), Vec::new()),
            append(log_id(2, 3), vec![fixture::blank(2, 4)]),
            append(log_id(1, 1), vec![fixture::blank(2, 2), fixture::blank(2, 3)]),
            append(log_id(0, 2), vec![fixture::blank(0, 3), fixture::blank(0, 4)]),
            append(log_id(0, 4), Vec::new()),
            append(log_id(1, u64::MAX), Vec::new()),
            append(log_id(1, LAST_INDEX), vec![fixture::blank(1, LAST_INDEX + 1)]),
        ] {
            let refused = say(&guest, FOUNDER, impossible).await.err();
            assert!(matches!(refused, Some(RpcError::Malformed(_))), "{refused:?}");
        }
        assert_eq!(guest.fatal(), None);
        assert_eq!(guest.status(), before, "nothing of it was heard");
        let possible = append(log_id(1, 2), vec![fixture::blank(1, 3), fixture::blank(2, 4)]);
        assert!(say(&guest, FOUNDER, possible).await.is_ok(), "it has the rest already");
        guest.shutdown().await;
    });
}

/// Any member may say how much it has.
#[test]
fn one_that_says_it_has_all_there_can_be_is_told_of_no_more() {
    Types::run(async {
        let guest = guest().await;
        let have = Some(Place { term: 1, index: u64::MAX });
        let lead = Some(Lead { term: 1, leader: GUEST });
        say(&guest, FOUNDER, append(leads(FOUNDER, 1), 4, 0)).await.expect("it leads");
        let pull = Pull { have, proven: u64::MAX, lead, hold_ms: 0, snapshot: false };
        let told = say(&guest, FOUNDER, Request::Pull(pull)).await.expect("it is a member");
        let Reply::Pulled(Pulled::News(news)) = told else { panic!("who leads is news") };
        assert_eq!((news.entries.len(), news.snapshot), (0, None));
        guest.shutdown().await;
    });
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    Types::run(async {
        let guest = guest().await;
        let whole = append(leads(FOUNDER, 1), 4, 2).ask_in(fixture::epoch());
        for len in 0..whole.len() {
            let refused = guest.handle_rpc(FOUNDER, &whole[..len]).await;
            assert!(matches!(refused, Err(RpcError::Malformed(_))), "{len}");
        }
        let with_a_hole = Append::from(AppendEntriesRequest {
            vote: leads(FOUNDER, 1),
            prev_log_id: Some(log_id(1, 3)),
            entries: vec![fixture::blank(1, 4), fixture::blank(1, 6)],
            leader_commit: None,
        });
        let refused = say(&guest, FOUNDER, Request::Append(with_a_hole)).await;
        assert!(matches!(refused, Err(RpcError::Malformed(_))));
        guest.shutdown().await;
    });
}

/// A proposal that fits the request around it, but is longer than a proposal may be.
#[test]
fn an_oversized_proposal_is_refused_and_does_not_end_agreement() {
    Types::run(async {
        let store = fixture::founder_store(MemoryDisk::new());
        let founder = start(store, 2).await;
        founder.propose(fixture::invitation()).await.expect("agreed");
        founder.propose(fixture::admission()).await.expect("agreed");

        let (departure, goodbye) = fixture::goodbye();
        let payload = departure.payload().to_vec();
        let whole = Request::Propose(goodbye).ask_in(fixture::epoch());
        let at = whole.windows(payload.len()).position(|part| *part == *payload);
        let at = at.expect("the goodbye is in the request");
        for long in [65_u16, 5_000, 60_000] {
            // A length of two bytes is announced by 251.
            let mut bytes = whole[..at - 1].to_vec();
            bytes.push(251);
            bytes.extend(long.to_le_bytes());
            bytes.extend(vec![7; usize::from(long)]);
            bytes.extend(&whole[at + payload.len()..]);
            let refused = founder.handle_rpc(GUEST, &bytes).await;
            assert!(matches!(refused, Err(RpcError::Malformed(_))), "{long}: {refused:?}");
        }
        assert_eq!(founder.fatal(), None);
        founder.propose(fixture::invitation()).await.expect("still agreed");
        founder.shutdown().await;
    });
}

#[test]
fn a_follower_whose_disk_cannot_flush_does_not_say_it_holds_the_entry() {
    Types::run(async {
        let disk = MemoryDisk::new();
        let store = guest_store(disk.attach());
        let guest = start(store, 4).await;
        disk.fail_flushes_after(0);
        let reply = say(&guest, FOUNDER, append(leads(FOUNDER, 1), 4, 1)).await;
        assert_eq!(reply.err(), Some(RpcError::Stopped));
        let failure = guest.failed().await;
        assert!(matches!(failure, GroupFailure::Store(StoreError::Disk(_))), "{failure:?}");
    });
}

#[test]
fn a_host_whose_disk_failed_answers_nothing_it_could_say_from_memory() {
    Types::run(async {
        let disk = MemoryDisk::new();
        let store = guest_store(disk.attach());
        let guest = start(store, 4).await;
        let asked = || Request::IsVoter(FOUNDER);
        assert!(matches!(say(&guest, FOUNDER, asked()).await, Ok(Reply::IsVoter(true))));
        disk.fail_flushes_after(0);
        let refused = say(&guest, FOUNDER, append(leads(FOUNDER, 1), 4, 1)).await;
        assert_eq!(refused.err(), Some(RpcError::Stopped));
        assert_eq!(say(&guest, FOUNDER, asked()).await.err(), Some(RpcError::Stopped));
        // Though the disk has room again.
        disk.fail_flushes_after(1000);
        let campaign = VoteRequest::new(campaigns(FOUNDER, 2), Some(log_id(1, 5)));
        for asked in [asked(), Request::Vote(campaign.clone().into()), Request::HandOver(None)] {
            assert_eq!(say(&guest, FOUNDER, asked).await.err(), Some(RpcError::Stopped));
        }
        assert_eq!(guest.status().leadership.role, Role::Stopped);
    });
}

#[test]
fn what_is_asked_in_another_epoch_is_answered_with_this_one_and_nothing_else() {
    Types::run(async {
        let guest = guest().await;
        let ours = fixture::epoch();
        let other = EpochId { number: 1, head: EpochHead([7; 32]) };
        let rival = EpochId { head: other.head, ..ours };
        for (asked, epoch) in [(leads(FOUNDER, 1), other), (campaigns(FOUNDER, 9), rival)] {
            let request = match asked.committed {
                true => append(asked, 4, 2),
                false => Request::Vote(VoteRequest::new(asked, Some(log_id(1, 9))).into()),
            };
            let reply = guest.handle_rpc(FOUNDER, &request.ask_in(epoch)).await.expect("told");
            let reply: Reply = codec::decode(&reply).expect("our own reply");
            assert!(matches!(reply, Reply::OtherEpoch(told) if told == ours));
        }
        let status = guest.status();
        assert_eq!((status.leadership.term, status.applied), (0, 3), "nothing of it was heard");
        assert_eq!(status.epoch.refused, 2);
        let passage = Request::Passage.ask_in(other);
        let reply = guest.handle_rpc(FOUNDER, &passage).await.expect("told");
        let reply: Reply = codec::decode(&reply).expect("our own reply");
        assert!(matches!(reply, Reply::Passage(None)), "it did not come by one");
        guest.shutdown().await;
    });
}

#[test]
fn one_voter_does_not_use_up_the_terms_of_an_epoch() {
    Types::run(async {
        let guest = guest().await;
        let leap = |term| say(&guest, FOUNDER, append(leads(FOUNDER, term), 4, 1));
        assert!(leap(MAX_LEAP).await.is_ok(), "as after half a year of elections");
        for term in [2 + MAX_LEAP, 2 * MAX_LEAP] {
            let refused = leap(term).await.err();
            assert!(matches!(refused, Some(RpcError::TermOutOfReach { .. })), "{refused:?}");
        }
        guest.shutdown().await;
    });
}

#[test]
fn only_terms_of_its_own_epoch_are_heard() {
    Types::run(async {
        let mut store = guest_store(MemoryDisk::new());
        store.go_over(&fixture::passage()).expect("the disk works");
        let epoch = fixture::passage().replica().state.epoch();
        let first = fixture::passage().epoch().first;
        let guest = start(store, 4).await;
        for term in [1, epoch.first_term() - 1, 2 << 40] {
            let request = append(leads(FOUNDER, term), 4, 0).ask_in(epoch);
            let refused = guest.handle_rpc(FOUNDER, &request).await.expect_err("no such term");
            assert!(matches!(refused, RpcError::TermOutOfReach { .. }), "{refused}");
        }
        let vote = leads(FOUNDER, epoch.first_term() + 1);
        let heartbeat = Append::from(AppendEntriesRequest {
            vote,
            prev_log_id: Some(log_id(epoch.first_term(), first)),
            entries: vec![fixture::blank(epoch.first_term() + 1, first + 1)],
            leader_commit: Some(log_id(epoch.first_term() + 1, first + 1)),
        });
        let request = Request::Append(heartbeat).ask_in(epoch);
        guest.handle_rpc(FOUNDER, &request).await.expect("the leader's own");
        assert!(guest.applied_at_least(first + 1, Duration::from_secs(5)).await);
        guest.shutdown().await;
    });
}

#[test]
fn openraft_installs_only_what_verifies_whoever_asks() {
    use openraft::storage::RaftStateMachine as _;

    use crate::raft::machine::{Machine, SharedReplica, Views};

    Types::run(async {
        let store = guest_store(MemoryDisk::new());
        let own = crate::raft::watch::channel(store.view()).0;
        let public = tokio::sync::watch::channel(store.view()).0;
        let views = Views { own, public };
        let replica = SharedReplica::new(store.replica);
        let db = std::sync::Arc::clone(&store.log.db);
        let testimony = Testimony::of(&replica, fixture::root().mesh, GUEST);
        let mut machine = Machine::new(
            fixture::root(),
            db,
            (replica.clone(), testimony, fixture::chronicle()),
            views,
        );
        let lie = forged();
        let meta: SnapshotMeta = lie.meta();
        assert!(machine.install_snapshot(&meta, lie.to_snapshot()).await.is_err());
        assert_eq!(replica.lock().state, settled().state);
    });
}

#[test]
fn the_state_counts_as_on_its_way_until_whoever_sends_it_lets_go_of_it() {
    Types::run(async {
        let guest = guest().await;
        let pull = Pull { have: None, proven: 0, lead: None, hold_ms: 0, snapshot: true };
        let asked = Request::Pull(pull).ask_in(fixture::epoch());
        let answer = guest.handle_rpc(FOUNDER, &asked).await.expect("it is a member");
        let inner = guest.inner();
        let may_have = |member| inner.desk().take_snapshot(MemberId(member), inner.moment());
        assert!(may_have(8), "there is room for two");
        assert!(!may_have(9));
        drop(answer);
        assert!(may_have(9));
        guest.shutdown().await;
    });
}
