//! Voters whose disks were wiped, or exchanged for an older copy: what they promised they cannot know any more.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use mesh_model::api::v1::{
    DaemonState, ErrorCode, Invites, JoinedReply, RaftRole, RemoveReply, Role, SyncStatus,
};
use mesh_model::{InviteId, MemberId};
use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::alone;

/// How `meshd` ends, as promised, where identity and store do not belong together.
const MISMATCH: i32 = 66;

/// A mesh of as many on loopback, and one of them that votes, does not lead and has no admin's key.
fn with_a_mere_voter(hosts: usize) -> (Lab, usize) {
    let mut lab = Lab::rootless(hosts).unwrap();
    lab.form().unwrap();
    let (leader, seen) = lab.leader_seen_by(1, None).unwrap();
    let votes = |number: &usize| seen.voters.contains(&lab.host(*number).membership().unwrap().0);
    let voter = (2..=hosts).filter(|number| *number != leader).find(votes).unwrap();
    (lab, voter)
}

fn copied(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Ends the daemon of host `number` and empties its state directory.
fn wiped(lab: &mut Lab, number: usize) {
    lab.host_mut(number).kill().unwrap();
    fs::remove_dir_all(lab.host(number).state_dir()).unwrap();
}

fn voters(lab: &Lab, number: usize) -> Vec<MemberId> {
    lab.host(number).supervisor().unwrap().voters
}

#[test]
fn a_voter_that_was_wiped_comes_back_as_somebody_new_who_does_not_vote() {
    let _alone = alone();
    let (mut lab, voter) = with_a_mere_voter(4);
    let (before, addrs) = lab.host(voter).membership().unwrap();
    let state_dir = lab.host(voter).state_dir();
    let identity = fs::read(state_dir.join("identity.key")).unwrap();
    let member = fs::read(state_dir.join("member")).unwrap();
    let token = lab.host(1).invite(1).unwrap().token;
    wiped(&mut lab, voter);

    // Who it was, without what it knew: not on its own, and not by asking.
    fs::create_dir(&state_dir).unwrap();
    fs::set_permissions(&state_dir, Permissions::from_mode(0o700)).unwrap();
    for (file, bytes) in [("identity.key", &identity), ("member", &member)] {
        fs::write(state_dir.join(file), bytes).unwrap();
        fs::set_permissions(state_dir.join(file), Permissions::from_mode(0o600)).unwrap();
    }
    lab.host_mut(voter).start_unready().unwrap();
    let ended = lab.host_mut(voter).wait_exit(STOP_LIMIT).unwrap();
    assert_eq!(ended.code(), Some(MISMATCH), "{}", lab.host(voter).log_tail());
    fs::remove_file(state_dir.join("member")).unwrap();
    lab.host_mut(voter).start().unwrap();
    let refused = lab.host(voter).mesh().run_with_input(&["join"], &token).unwrap();
    let refused = refused.error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::Refused, "{refused:?}");
    assert_eq!(lab.host(voter).status().unwrap().state, DaemonState::NotJoined);

    wiped(&mut lab, voter);
    lab.host_mut(voter).start().unwrap();
    let words = ["join", "--name", "again"];
    let joined = lab.host(voter).mesh().run_with_input(&words, &token).unwrap();
    let joined: JoinedReply = joined.document().unwrap();
    assert!(joined.member > before, "an id is never used again");
    assert_ne!(joined.addrs.v6, addrs.v6);
    assert_eq!(lab.host(voter).status().unwrap().role, Some(Role::Learner));
    lab.wait_equal_state(5).unwrap();
    let _: RemoveReply = lab.host(1).mesh().get(&["remove", &before.to_string()]).unwrap();
    lab.wait_equal_state(4).unwrap();
    lab.wait_voters().unwrap();
    assert!(!voters(&lab, 1).contains(&before));
}

/// Host `voter` on a copy of its state directory from before the last of what it acknowledged.
fn set_back(lab: &mut Lab, voter: usize) -> BTreeSet<InviteId> {
    let copy = lab.dir().join("copy");
    lab.host_mut(voter).terminate().unwrap();
    copied(&lab.host(voter).state_dir(), &copy);
    lab.host_mut(voter).start().unwrap();
    lab.wait_ready().unwrap();
    // Without the third nothing is proven to host 1 but by the word of this one.
    let third = 6 - 1 - voter;
    let (member, _) = lab.host(third).membership().unwrap();
    lab.host_mut(third).terminate().unwrap();
    lab.leader_seen_by(1, Some(member)).unwrap();
    let made: BTreeSet<InviteId> = (0..8).map(|_| lab.host(1).invite(1).unwrap().invite).collect();
    let agreed = lab.host(1).status().unwrap().raft.unwrap().applied;
    eventually(SETTLE_LIMIT, "host 1 has its word on that", || {
        let sync: SyncStatus = lab.host(1).mesh().get(&["sync", "status"]).ok()?;
        (sync.proven >= agreed).then_some(())
    })
    .unwrap();
    lab.host_mut(third).start().unwrap();
    wiped(lab, voter);
    copied(&copy, &lab.host(voter).state_dir());
    made
}

#[test]
fn an_old_copy_of_a_voters_disk_does_not_vote_and_comes_back_as_somebody_new() {
    let _alone = alone();
    let (mut lab, voter) = with_a_mere_voter(3);
    lab.expect_errors();
    let (before, _) = lab.host(voter).membership().unwrap();
    let made = set_back(&mut lab, voter);
    lab.host_mut(voter).start_unready().unwrap();
    let degraded =
        eventually(SETTLE_LIMIT, "it finds out", || lab.host(voter).status().ok()?.degraded)
            .unwrap();
    assert_eq!(degraded.code, ErrorCode::Disk, "{degraded:?}");
    for part in ["old copy", "tunnels go on"] {
        assert!(degraded.message.contains(part), "{degraded:?}");
    }
    assert!(degraded.hint.contains("join again with a fresh token"), "{degraded:?}");
    let raft = lab.host(voter).status().unwrap().raft.unwrap();
    assert_eq!((raft.role, raft.leader), (RaftRole::Stopped, None));
    let ended = lab.host_mut(voter).terminate().unwrap();
    assert_eq!(ended.code(), Some(MISMATCH), "{}", lab.host(voter).log_tail());
    lab.host_mut(voter).start_unready().unwrap();
    let ended = lab.host_mut(voter).wait_exit(STOP_LIMIT).unwrap();
    assert_eq!(ended.code(), Some(MISMATCH), "it is written down: {}", lab.host(voter).log_tail());

    for number in (1..=3).filter(|number| *number != voter) {
        eventually(SETTLE_LIMIT, &format!("n{number} knows what was acknowledged"), || {
            let known: Invites = lab.host(number).mesh().get(&["invites", "list"]).ok()?;
            let known: BTreeSet<_> = known.invites.iter().map(|invite| invite.invite).collect();
            made.is_subset(&known).then_some(())
        })
        .unwrap();
    }
    let token = lab.host(1).invite(1).unwrap().token;
    fs::remove_dir_all(lab.host(voter).state_dir()).unwrap();
    lab.host_mut(voter).start().unwrap();
    let words = ["join", "--name", "again"];
    let joined = lab.host(voter).mesh().run_with_input(&words, &token).unwrap();
    let joined: JoinedReply = joined.document().unwrap();
    assert!(joined.member > before, "an id is never used again");
    assert_eq!(lab.host(voter).status().unwrap().role, Some(Role::Learner));
}

#[test]
fn an_old_copy_of_a_voter_that_was_removed_has_no_say() {
    let _alone = alone();
    let (mut lab, voter) = with_a_mere_voter(4);
    let (before, _) = lab.host(voter).membership().unwrap();
    lab.host_mut(voter).terminate().unwrap();
    let _: RemoveReply = lab.host(1).mesh().get(&["remove", &before.to_string()]).unwrap();
    // Its vote is another's by the time the old copy comes back.
    eventually(SETTLE_LIMIT, "the three that are left vote", || {
        let voters = voters(&lab, 1);
        (voters.len() == 3 && !voters.contains(&before)).then_some(())
    })
    .unwrap();
    let (_, led) = lab.leader_seen_by(1, None).unwrap();

    lab.host_mut(voter).start().unwrap();
    let own = voters(&lab, voter);
    assert!(own.contains(&before), "it takes itself for a voter: {own:?}");
    // No two of the others confirm it, so it has asked all of them in vain.
    let asked = lab.host(voter).mesh().run(&["--consistent", "voters", "list"]).unwrap();
    assert_eq!(asked.error(exit::NO_QUORUM).unwrap().code, ErrorCode::NoQuorum);
    let (_, still) = lab.leader_seen_by(1, None).unwrap();
    assert_eq!((still.leader, still.term), (led.leader, led.term), "nobody was asked for a vote");
    assert!(!voters(&lab, 1).contains(&before));
    lab.host(1).invite(1).unwrap();
}
