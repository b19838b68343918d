//! What comes of answers.

use mesh_model::wire::sync::Checkpoint;
use mesh_model::{Signed, codec};

use super::*;
use crate::raft::Group;
use crate::raft::fixture::{self, append, blank, leads};
use crate::raft::records::EntryRecord;
use crate::raft::rpc::Request;

const FOUNDER: MemberId = MemberId::FOUNDER;

/// The founder as a source: the entry at `index`.
fn news(index: u64) -> News {
    News {
        snapshot: None,
        entries: vec![codec::encode(&EntryRecord::from(blank(1, index)))],
        proven: index,
        checkpoints: Vec::new(),
        lead: None,
        confirmed_ms: None,
        held_ms: 0,
        depth: 0,
    }
}

/// The leader sends `guest` entry 4, agreed.
async fn feed(guest: &Group) {
    let Request::Append(fed) = append(leads(FOUNDER, 1), 4, 1) else { unreachable!() };
    let mut fed: openraft::raft::AppendEntriesRequest<Types> = fed.try_into().expect("whole");
    fed.leader_commit = Some(fixture::log_id(1, 4));
    let fed = Request::Append(fed.into()).ask_in(fixture::epoch());
    guest.handle_rpc(FOUNDER, &fed).await.expect("it leads");
    assert!(guest.applied_at_least(4, Duration::from_secs(5)).await);
}

fn ask_founder(following: &mut Following) {
    let second = Duration::from_secs(1);
    following.ask(Ask { to: FOUNDER, hold: second, limit: second, snapshot: false });
}

#[test]
fn a_source_is_not_to_blame_when_the_leader_was_faster() {
    Types::run(async {
        let guest = fixture::guest().await;
        let mut following = Following::new(guest.inner());
        ask_founder(&mut following);
        feed(&guest).await;

        let late = following.take(FOUNDER, Types::now(), news(4)).await;
        assert!(matches!(late, Heard::News { gained: 0, withholds: false, .. }), "{late:?}");
        ask_founder(&mut following);
        let wrong = following.take(FOUNDER, Types::now(), news(7)).await;
        assert!(matches!(wrong, Heard::Wrong), "{wrong:?}");
        guest.shutdown().await;
    });
}

#[test]
fn what_waits_for_a_proof_is_let_go_once_the_leader_has_sent_it() {
    for asked_before in [true, false] {
        Types::run(async move {
            let guest = fixture::guest().await;
            let mut following = Following::new(guest.inner());
            ask_founder(&mut following);
            let unproven = following.take(FOUNDER, Types::now(), news(4)).await;
            assert!(matches!(unproven, Heard::News { gained: 0, drafted: 4, .. }), "{unproven:?}");
            if asked_before {
                ask_founder(&mut following);
            }
            feed(&guest).await;
            if !asked_before {
                ask_founder(&mut following);
            }
            let mut replica = guest.inner().replica.lock().clone();
            replica.apply(&blank(1, 5));
            let mark = replica.mark().expect("something was applied");
            let lead = Lead { term: 1, leader: FOUNDER };
            let word = Checkpoint::of(fixture::root().mesh, FOUNDER, mark, lead);
            let checkpoints = vec![Signed::seal(&word, &fixture::secret(2))];
            let signed = News { checkpoints, ..news(5) };
            let heard = following.take(FOUNDER, Types::now(), signed).await;
            let expected = u64::from(!asked_before);
            assert!(
                matches!(heard, Heard::News { gained, drafted: 0, .. } if gained == expected),
                "{heard:?}"
            );
            guest.shutdown().await;
        });
    }
}

/// Nothing could follow it, and where it ends is nothing that anybody signed.
#[test]
fn a_state_that_no_log_gets_to_is_not_taken() {
    Types::run(async {
        let guest = fixture::guest().await;
        let mut following = Following::new(guest.inner());
        ask_founder(&mut following);
        let far = fixture::log_id(1, u64::MAX);
        let far = Replica { applied: Some(far), ..guest.inner().replica.lock().clone() };
        let sent = News { snapshot: Some(far.to_snapshot()), ..news(u64::MAX) };
        let heard = following.take(FOUNDER, Types::now(), sent).await;
        assert!(matches!(heard, Heard::Wrong), "{heard:?}");
        assert_eq!(guest.views().borrow().applied, 3);
        guest.shutdown().await;
    });
}
