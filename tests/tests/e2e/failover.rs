//! The supervisor fails, the rest goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_model::api::v1::{InviteReply, RaftRole, Role};
use mesh_model::trust::Token;
use mesh_tests::fabric::underlay_v4;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::traffic::{PingStream, Transfer};
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{addresses, alone, assert_reaches, bridged, wired};

/// How often the survivors ping each other.
const PING_EVERY: Duration = Duration::from_millis(20);

/// The longest silence the product allows a surviving pair, beyond what the machine itself was silent.
const GAP_LIMIT: Duration = Duration::from_secs(3);

/// Pings between two hosts beside the mesh: how long the machine stands still, the mesh has no part in.
fn beside_the_mesh(lab: &Lab, from: usize, to: usize) -> PingStream {
    PingStream::start(lab.host(from).netns(), underlay_v4(to).into(), PING_EVERY).unwrap()
}

#[test]
fn killing_the_supervisor_disturbs_no_traffic_and_the_next_one_writes() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    // Invites are made on host 1: keep it among the survivors.
    let (leader, before) = loop {
        lab.lead_elsewhere(1).unwrap();
        lab.wait_voters().unwrap();
        match lab.leader_seen_by(1, None).unwrap() {
            (1, _) => {}
            elsewhere => break elsewhere,
        }
    };
    let survivor = 5 - leader;

    let streams: Vec<PingStream> = [(1, survivor), (survivor, 1)]
        .into_iter()
        .flat_map(|(from, to)| {
            let targets = addresses(&lab, to);
            targets.map(|target| {
                PingStream::start(lab.host(from).netns(), target, PING_EVERY).unwrap()
            })
        })
        .collect();
    let beside = beside_the_mesh(&lab, 1, survivor);
    // 10 MB at 2 MB/s: under way when the supervisor dies and when the next one is there.
    let transfer = Transfer { bytes: 10_000_000, seed: 5, pace: Some(2_000_000) };
    let target = addresses(&lab, survivor)[1];
    let (report, after) = std::thread::scope(|scope| {
        let (from, to) = (lab.host(1).netns_handle(), lab.host(survivor).netns_handle());
        let bulk = scope.spawn(move || transfer.run(&from, &to, target).unwrap());
        lab.host_mut(leader).kill().unwrap();
        let (_, after) = lab.leader_seen_by(1, before.leader).unwrap();
        (bulk.join().unwrap(), after)
    });

    assert!(after.term > before.term);
    transfer.check(&report).unwrap();
    let allowed = GAP_LIMIT + beside.stop().unwrap().longest_gap;
    for stream in streams {
        let report = stream.stop().unwrap();
        assert!(report.received > 0 && report.longest_gap < allowed, "{report:?}");
    }
    // A write: agreed by the two that are left.
    let _: InviteReply = lab.host(1).mesh().get(&["invite"]).unwrap();

    lab.host_mut(leader).start().unwrap();
    lab.wait_ready().unwrap();
    lab.wait_equal_state(3).unwrap();
    assert_reaches(&lab, leader, survivor);
}

#[test]
fn a_host_joins_through_another_member_while_the_founder_is_down() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    let invite = eventually(SETTLE_LIMIT, "a token names all members as doors", || {
        let invite = lab.host(1).invite(1).ok()?;
        let token: Token = invite.token.parse().unwrap();
        let doors: BTreeSet<_> =
            token.bootstraps.iter().map(|door| *door.identity.as_bytes()).collect();
        (doors.len() == 3).then_some(invite)
    })
    .unwrap();
    lab.host_mut(1).kill().unwrap();
    let joiner = lab.add_namespace_host().unwrap();
    lab.host_mut(joiner).start().unwrap();
    lab.host(joiner).join(&invite.token).unwrap();
    assert_reaches(&lab, joiner, 2);
    assert_reaches(&lab, joiner, 3);
}

#[test]
fn a_rebooted_host_has_its_tunnels_back_while_no_supervisor_exists() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(4);
    let learner = the_learner(&lab);
    let voters: Vec<usize> = (1..=4).filter(|&number| number != learner).collect();
    assert_reaches(&lab, learner, voters[0]);

    // Two of three voters die: no majority, no supervisor, ever.
    lab.host_mut(voters[1]).kill().unwrap();
    lab.host_mut(voters[2]).kill().unwrap();
    eventually(SETTLE_LIMIT, "the last voter knows no supervisor", || {
        lab.host(voters[0]).supervisor().ok()?.leader.is_none().then_some(())
    })
    .unwrap();
    lab.host_mut(learner).kill().unwrap();
    lab.host_mut(learner).start().unwrap();

    assert_reaches(&lab, learner, voters[0]);
    assert_reaches(&lab, voters[0], learner);
    assert_eq!(lab.host(voters[0]).supervisor().unwrap().leader, None);
    if voters[0] == 1 {
        let refused = lab.host(1).mesh().run(&["invite"]).unwrap();
        refused.error(exit::NO_QUORUM).unwrap();
    }
    let wait = ["wait", "--for", "leader", "--timeout", "1s"];
    let timed_out = lab.host(voters[0]).mesh().run(&wait);
    timed_out.unwrap().error(exit::TIMED_OUT).unwrap();

    lab.host_mut(voters[1]).start().unwrap();
    lab.wait_ready().unwrap();
    lab.wait_equal_state(4).unwrap();
}

fn the_learner(lab: &Lab) -> usize {
    eventually(SETTLE_LIMIT, "three of four have a vote", || {
        let learners: Vec<usize> = (1..=4)
            .filter(|&number| {
                lab.host(number).status().is_ok_and(|status| status.role == Some(Role::Learner))
            })
            .collect();
        match learners[..] {
            [learner] => Some(learner),
            _ => None,
        }
    })
    .unwrap()
}

#[test]
fn a_supervisor_cut_off_steps_down_and_follows_when_the_wire_heals() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = wired(3);
    let (leader, before) = lab.leader_seen_by(1, None).unwrap();
    let others: Vec<usize> = (1..=3).filter(|&number| number != leader).collect();
    let stream =
        PingStream::start(lab.host(others[0]).netns(), addresses(&lab, others[1])[0], PING_EVERY)
            .unwrap();
    let beside = beside_the_mesh(&lab, others[0], others[1]);

    lab.wire().isolate(leader);
    let (next, after) = lab.leader_seen_by(others[0], before.leader).unwrap();
    assert!(after.term > before.term && next != leader);
    eventually(SETTLE_LIMIT, "the isolated supervisor steps down", || {
        let raft = lab.host(leader).status().ok()?.raft?;
        (raft.role != RaftRole::Leader && raft.leader != before.leader).then_some(())
    })
    .unwrap();

    lab.wire().heal();
    eventually(SETTLE_LIMIT, "it follows the new supervisor", || {
        let seen = lab.host(leader).supervisor().ok()?;
        (seen.leader.is_some() && seen.leader != before.leader).then_some(())
    })
    .unwrap();
    let allowed = GAP_LIMIT + beside.stop().unwrap().longest_gap;
    let report = stream.stop().unwrap();
    assert!(report.longest_gap < allowed, "{report:?}");
    lab.wait_ready().unwrap();
    lab.wait_equal_state(3).unwrap();
    assert_reaches(&lab, leader, others[0]);
}
