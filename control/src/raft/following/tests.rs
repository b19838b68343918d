//! What comes of answers.

use mesh_model::codec;

use super::*;
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

#[test]
fn a_source_is_not_to_blame_when_the_leader_was_faster() {
    Types::run(async {
        let guest = fixture::guest().await;
        let mut following = Following::new(guest.inner());
        following.asked_from = guest.inner().place();
        // The leader sends what was asked for: entry 4, agreed.
        let Request::Append(fed) = append(leads(FOUNDER, 1), 4, 1) else { unreachable!() };
        let mut fed: openraft::raft::AppendEntriesRequest<Types> = fed.try_into().expect("whole");
        fed.leader_commit = Some(fixture::log_id(1, 4));
        let fed = Request::Append(fed.into()).ask_in(fixture::epoch());
        guest.handle_rpc(FOUNDER, &fed).await.expect("it leads");
        assert!(guest.applied_at_least(4, Duration::from_secs(5)).await);

        let late = following.take(FOUNDER, Types::now(), news(4)).await;
        assert!(matches!(late, Heard::News { gained: 0, withholds: false, .. }), "{late:?}");
        following.asked_from = guest.inner().place();
        let wrong = following.take(FOUNDER, Types::now(), news(7)).await;
        assert!(matches!(wrong, Heard::Wrong), "{wrong:?}");
        guest.shutdown().await;
    });
}
