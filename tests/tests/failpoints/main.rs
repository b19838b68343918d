//! The daemon is struck at each step on the way to its disk, what works without one too, and its disk fails under a mesh at work.
//! Needs programs built with the feature `failpoints`, which this test asks for; `scripts/verify` has a stage for it.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

mod offline;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use mesh_model::api::v1::{ErrorCode, InviteReply, Invites, RaftRole};
use mesh_tests::chaos::{Blow, Story, Strike, points};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::traffic::PingSeries;
use mesh_tests::{Lab, eventually, needs_namespaces};

/// Stories told at once. Most of each is waiting.
const TELLERS: usize = 4;

/// Which occurrences of a point are struck at: the first, and some later ones, farther and farther apart.
const AFTER: [u64; 5] = [0, 1, 3, 8, 20];

/// Tells `strikes`, several at a time; those points at which a daemon was struck.
fn tell(strikes: Vec<Strike>) -> BTreeSet<String> {
    let (open, hit) = (Mutex::new(strikes), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..TELLERS {
            scope.spawn(|| {
                loop {
                    let Some(strike) = open.lock().unwrap().pop() else { return };
                    if strike.run().unwrap() {
                        hit.lock().unwrap().insert(strike.point);
                    }
                }
            });
        }
    });
    hit.into_inner().unwrap()
}

fn strikes(blow: Blow, after: &[u64]) -> Vec<Strike> {
    let stories = [Story::Founder, Story::Joiner];
    let of_point = |point: String| {
        stories.into_iter().flat_map(move |story| {
            let point = point.clone();
            after.iter().map(move |&after| Strike { point: point.clone(), blow, after, story })
        })
    };
    points().unwrap().into_iter().flat_map(of_point).collect()
}

#[test]
fn a_daemon_that_dies_on_the_way_to_its_disk_has_lost_nothing_it_acknowledged() {
    let hit = tell(strikes(Blow::Abort, &AFTER));
    assert_eq!(hit, points().unwrap().into_iter().collect());
}

#[test]
fn a_daemon_whose_disk_fails_once_has_lost_nothing_it_acknowledged() {
    let hit = tell(strikes(Blow::Error, &AFTER[..3]));
    assert_eq!(hit, points().unwrap().into_iter().collect());
}

#[test]
fn a_host_that_is_struck_while_its_key_changes_has_the_key_that_is_agreed() {
    let mut strikes: Vec<_> =
        [Blow::Abort, Blow::Error].into_iter().flat_map(|blow| strikes(blow, &[0])).collect();
    strikes.retain(|strike| strike.point.starts_with("key-"));
    assert_eq!(
        strikes.len(),
        2 * 2 * 2,
        "both sides of agreement, as a sole voter and as a plain member"
    );
    let hit = tell(strikes);
    assert_eq!(hit.into_iter().collect::<Vec<_>>(), ["key-agreed", "key-prepared"]);
}

/// Exit code of a daemon whose disk failed, as promised.
const DISK: i32 = 74;

/// Flushes of the log until one fails: a mesh is formed by then, and some invites are agreed.
const FLUSHES: u32 = 60;

/// Echoes across the failure, on a mesh that is ready.
const ECHOES: PingSeries = PingSeries { count: 1000, every: Duration::from_millis(20) };

#[test]
fn after_a_flush_that_failed_nothing_more_is_acknowledged_and_no_packet_is_lost() {
    needs_namespaces!();
    let mut lab = Lab::switched(3).unwrap();
    lab.expect_errors();
    let charge = format!("log-sync=error:after-{FLUSHES}");
    lab.host_mut(1).extra_env(&[("MESHD_FAILPOINTS", &charge)]);
    lab.form().unwrap();
    assert_eq!(lab.host(1).status().unwrap().degraded, None, "the flush failed too early");
    let (_, addrs) = lab.host(1).membership().unwrap();
    let mesh = lab.host(1).mesh();
    let invite = || mesh.run(&["invite"]).unwrap();

    let target = addrs.v6.into();
    let stream = lab.host(2).netns_handle().spawn(move || ECHOES.run(target)).unwrap();
    let mut acknowledged = BTreeSet::new();
    let refused = eventually(SETTLE_LIMIT, "a flush fails", || {
        let answer = invite();
        match answer.document::<InviteReply>() {
            Ok(reply) => {
                acknowledged.insert(reply.invite.to_string());
                None
            }
            Err(_) => Some(answer),
        }
    })
    .unwrap();
    // The first may have been under way; what comes later hears why.
    assert!(refused.code.is_some_and(|code| code != exit::OK), "{refused:?}");
    // The disk works again, and it makes no difference.
    for _ in 0..10 {
        assert_eq!(invite().error(exit::FAILED).unwrap().code, ErrorCode::Disk);
    }
    let status = lab.host(1).status().unwrap();
    assert_eq!(status.degraded.unwrap().code, ErrorCode::Disk);
    assert_eq!(status.raft.unwrap().role, RaftRole::Stopped);
    let trips = stream.join().unwrap().unwrap().unwrap();
    assert_eq!(trips.times.len(), usize::from(trips.sent), "echoes were lost");

    let ended = lab.host_mut(1).terminate().unwrap();
    assert_eq!(ended.code(), Some(DISK), "{}", lab.host(1).log_tail());
    lab.host_mut(1).extra_env(&[]);
    lab.host_mut(1).start().unwrap();
    lab.wait_ready().unwrap();
    lab.wait_equal_state(3).unwrap();
    for number in 1..=3 {
        let known: Invites = lab.host(number).mesh().get(&["invites", "list"]).unwrap();
        let known: BTreeSet<_> =
            known.invites.iter().map(|invite| invite.invite.to_string()).collect();
        assert!(acknowledged.is_subset(&known), "n{number} lost an invite");
    }
    lab.host(1).invite(1).unwrap();
}
