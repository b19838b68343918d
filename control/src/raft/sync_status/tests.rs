//! What waits while voters differ, with this test in the place of the one that cheats.

use mesh_model::Signed;
use mesh_model::trust::VoterPolicy;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::raft::ProposeError;
use crate::raft::fixture::{self, agreed, ban, contradiction, judge, wall_ms};
use crate::raft::rpc::Request;
use crate::raft::types::Types;

const FOUNDER: MemberId = MemberId::FOUNDER;

fn set_voters() -> Proposal {
    let mesh = fixture::root().mesh;
    let policy = VoterPolicy { mesh, serial: 1, target: None, wishes: Default::default() };
    let command = Command::SetVoters(Signed::seal(&policy, &fixture::secret(1)));
    Proposal { at_ms: wall_ms(), command }
}

async fn say(group: &Group, request: Request) {
    let said = request.ask_in(fixture::epoch());
    group.handle_rpc(FOUNDER, &said).await.expect("the leader's");
}

/// The guest, to which the founder says that it holds another state.
async fn deceived() -> Group {
    let guest = fixture::guest().await;
    let mark = guest.inner().replica.lock().mark().expect("entries");
    let [_, other] = contradiction(mark);
    assert!(!guest.inner().is_frozen());
    say(&guest, other).await;
    assert!(guest.inner().is_frozen(), "who votes stays as it is");
    guest
}

#[test]
fn while_voters_differ_nobody_is_let_in_and_nobody_given_a_vote() {
    Types::run(async {
        let guest = deceived().await;
        let lapse = Proposal { at_ms: wall_ms(), command: Command::Lapse(FOUNDER) };
        let pardon = judge(2, Ruling::Pardoned);
        let (invite, admit) = (fixture::invitation(), fixture::admission());
        for waits in [invite, admit, set_voters(), lapse, pardon] {
            let tried = guest.propose(waits.clone()).await;
            assert!(matches!(tried, Err(ProposeError::Diverged(3))), "{waits:?}: {tried:?}");
        }
        guest.shutdown().await;
    });
}

#[test]
fn while_voters_differ_rights_are_taken_away_all_the_same() {
    Types::run(async {
        let guest = deceived().await;
        for goes_on in [ban(), judge(1, Ruling::Removed), fixture::goodbye().1] {
            assert_eq!(guest.inner().frozen_against(&goes_on), None, "{goes_on:?}");
        }
        guest.shutdown().await;
    });
}

#[test]
fn the_ban_of_the_one_that_cheats_ends_it() {
    Types::run(async {
        let guest = deceived().await;
        say(&guest, agreed(ban())).await;
        let mut views = guest.inner().views.clone();
        views.wait_until(|view| view.applied == 4).await.expect("applied");
        assert!(!guest.inner().is_frozen());
        assert_eq!(guest.inner().frozen_against(&fixture::invitation()), None);
        guest.shutdown().await;
    });
}
