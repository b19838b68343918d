//! The disk below the state directory fills up while the daemon runs, or its files may not grow any more.

use mesh_model::api::v1::{DaemonState, ErrorCode, InviteReply, RaftRole, Status};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::volume::Volume;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{alone, assert_reaches};

/// Exit code of a daemon whose disk failed, as promised.
const DISK: i32 = 74;

/// How long files may be, in bytes: longer than a log of a few minutes, shorter than any store.
const FILE_LIMIT: u64 = 128 << 10;

/// Has something agreed, again and again, until the disk of host `failing` has no room for it; what that host then
/// says of itself. The log takes new room only now and then.
fn agree_until_it_fails(lab: &Lab, failing: usize) -> Status {
    eventually(SETTLE_LIMIT, &format!("n{failing} says that its disk failed"), || {
        // Asked of another host: whether it is agreed is not the question here.
        let _ = lab.host(1).mesh().run(&["invite"]);
        lab.host(failing).status().ok().filter(|status| status.degraded.is_some())
    })
    .unwrap()
}

/// Has host `number` lead, which votes.
fn have_lead(lab: &Lab, number: usize) {
    let name = lab.host(number).name();
    eventually(SETTLE_LIMIT, &format!("{name} leads"), || {
        let leader = lab.leader_seen_by(1, None).ok()?.0;
        if leader == number {
            return Some(());
        }
        // The supervisor's own host may ask at any time.
        let _ = lab.host(leader).mesh().run(&["supervisor", "transfer", &name]);
        None
    })
    .unwrap();
}

/// Asserts that host `number` refuses `words` for its disk's sake.
fn assert_refused(lab: &Lab, number: usize, words: &[&str]) -> String {
    let refused = lab.host(number).mesh().run(words).unwrap();
    let error = refused.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Disk, "{words:?}: {error:?}");
    assert!(error.hint.contains("restart meshd"), "{words:?}: {error:?}");
    error.hint
}

#[test]
fn a_supervisor_whose_disk_fills_up_steps_down_and_keeps_its_tunnels() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = Lab::switched(3).unwrap();
    lab.expect_errors();
    // Invites are made on host 1.
    let failing = 2;
    let volume = Volume::mount(&lab.host(failing).state_dir()).unwrap();
    lab.form().unwrap();
    have_lead(&lab, failing);
    let (_, before) = lab.leader_seen_by(1, None).unwrap();
    let (member, _) = lab.host(failing).membership().unwrap();
    let pid = lab.host(failing).pid();

    volume.fill().unwrap();
    let status = agree_until_it_fails(&lab, failing);
    let degraded = status.degraded.unwrap();
    assert_eq!(degraded.code, ErrorCode::Disk);
    assert!(degraded.message.contains("tunnels go on"), "{degraded:?}");
    let raft = status.raft.unwrap();
    assert_eq!((raft.role, raft.leader), (RaftRole::Stopped, None));
    assert_eq!((status.state, status.role), (DaemonState::Member, None));

    // The others have another supervisor and agree without this host.
    let (next, after) = lab.leader_seen_by(1, before.leader).unwrap();
    assert!(next != failing && after.term > before.term);
    let _: InviteReply = lab.host(1).mesh().get(&["invite"]).unwrap();
    for (from, to) in [(1, 2), (2, 1), (2, 3), (3, 2), (1, 3), (3, 1)] {
        assert_reaches(&lab, from, to);
    }

    // What the others go on asking it is refused, and counted.
    eventually(SETTLE_LIMIT, "refused questions are told", || {
        (lab.host(failing).dropped("agreement_stopped").ok()? > 0).then_some(())
    })
    .unwrap();

    // Nothing can be changed here, and this host is not ready for anything.
    assert_refused(&lab, failing, &["supervisor", "step-down"]);
    let hint = assert_refused(&lab, failing, &["leave", "--yes"]);
    assert!(hint.contains("--force"), "{hint}");
    for what in ["ready", "leader"] {
        let wait = ["wait", "--for", what, "--timeout", "1s"];
        let error = lab.host(failing).mesh().run(&wait).unwrap().error(exit::TIMED_OUT).unwrap();
        assert!(error.hint.contains("no part in agreement"), "{error:?}");
    }
    let page = lab.host(failing).mesh().run_plain(&["status"], "").unwrap();
    assert!(page.text().unwrap().starts_with("degraded "), "{page:?}");

    assert_eq!(lab.host(failing).pid(), pid);
    let log = lab.host(failing).log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(matches!(errors[..], [error] if error.contains("degraded: ")), "{errors:#?}");
    let ended = lab.host_mut(failing).terminate().unwrap();
    assert_eq!(ended.code(), Some(DISK), "{}", lab.host(failing).log_tail());

    volume.clear().unwrap();
    lab.host_mut(failing).start().unwrap();
    lab.wait_ready().unwrap();
    lab.wait_equal_state(3).unwrap();
    let status = lab.host(failing).status().unwrap();
    assert_eq!((status.member, status.degraded), (Some(member), None));
    assert_reaches(&lab, failing, 1);
}

#[test]
fn a_lone_host_whose_disk_fills_up_acknowledges_nothing_and_can_still_forget_the_mesh() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.expect_errors();
    let volume = Volume::mount(&lab.host(1).state_dir()).unwrap();
    lab.form().unwrap();
    volume.fill().unwrap();
    agree_until_it_fails(&lab, 1);
    assert_refused(&lab, 1, &["invite"]);
    let kept = lab.host(1).status().unwrap().raft.unwrap();
    assert_eq!(kept.role, RaftRole::Stopped);

    // Room comes too late for this process.
    volume.clear().unwrap();
    assert_refused(&lab, 1, &["invite"]);
    let ended = lab.host_mut(1).terminate().unwrap();
    assert_eq!(ended.code(), Some(DISK), "{}", lab.host(1).log_tail());
    lab.host_mut(1).start().unwrap();
    lab.host(1).wait_for("ready", SETTLE_LIMIT).unwrap();
    assert!(lab.host(1).status().unwrap().raft.unwrap().applied >= kept.applied);
    lab.host(1).invite(1).unwrap();

    volume.fill().unwrap();
    agree_until_it_fails(&lab, 1);
    lab.host(1).mesh().run(&["leave", "--yes", "--force"]).unwrap().json().unwrap();
    assert_eq!(lab.host(1).status().unwrap().state, DaemonState::NotJoined);
    volume.clear().unwrap();
    lab.host(1).init().unwrap();
    lab.host(1).wait_for("ready", SETTLE_LIMIT).unwrap();
    assert_eq!(lab.host(1).status().unwrap().degraded, None);
}

#[test]
fn a_daemon_whose_files_may_not_grow_any_more_is_degraded_and_not_killed_by_the_signal() {
    let _alone = alone();
    let mut lab = Lab::rootless(2).unwrap();
    lab.expect_errors();
    lab.form().unwrap();
    let pid = lab.host(1).pid();
    let store = lab.host(1).state_dir().join("mesh.redb");
    // What is there beyond the limit may not be written to either.
    assert!(std::fs::metadata(&store).unwrap().len() > FILE_LIMIT);
    lab.host_mut(1).running().unwrap().limit_files(FILE_LIMIT).unwrap();
    agree_until_it_fails(&lab, 1);
    assert_refused(&lab, 1, &["invite"]);

    let (member, _) = lab.host(2).membership().unwrap();
    lab.host(1).mesh().run(&["ping", &member.to_string(), "--count", "1"]).unwrap().json().unwrap();
    assert_eq!(lab.host(1).pid(), pid);
    let ended = lab.host_mut(1).terminate().unwrap();
    assert_eq!(ended.code(), Some(DISK), "{}", lab.host(1).log_tail());
    lab.host_mut(1).start().unwrap();
    lab.wait_ready().unwrap();
    lab.wait_equal_state(2).unwrap();
    lab.host(1).invite(1).unwrap();
}
