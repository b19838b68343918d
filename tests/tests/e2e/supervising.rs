//! Who leads, who led, and having another lead.

use mesh_model::MemberId;
use mesh_model::api::v1::{
    ErrorCode, Supervisor, SupervisorHistory, TransferReply, Transition, TransitionCause,
};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::alone;

fn formed(hosts: usize) -> Lab {
    let mut lab = Lab::rootless(hosts).unwrap();
    lab.form().unwrap();
    lab
}

fn transfer(lab: &Lab, at: usize, to: &str) -> mesh_tests::Result<TransferReply> {
    lab.host(at).mesh().get(&["supervisor", "transfer", to])
}

/// Waits until host `number` tells that leadership came to be as it is by `cause`, from `of`.
fn tells(lab: &Lab, number: usize, cause: TransitionCause, of: Option<MemberId>) {
    eventually(SETTLE_LIMIT, &format!("n{number} tells {cause:?} of {of:?}"), || {
        let told: SupervisorHistory =
            lab.host(number).mesh().get(&["supervisor", "history"]).ok()?;
        let last = told.transitions.last()?;
        (last.cause == cause && last.of == of).then_some(())
    })
    .unwrap();
}

#[test]
fn the_lead_is_handed_to_a_voter_and_every_voter_knows_by_whom() {
    let _alone = alone();
    let lab = formed(4);
    let (leader, before) = lab.leader_seen_by(1, None).unwrap();
    let voters: Vec<usize> =
        before.voters.iter().map(|voter| lab.number_of(*voter).unwrap()).collect();
    let chosen = *voters.iter().find(|number| **number != leader).unwrap();
    let learner = (1..=4).find(|number| !voters.contains(number)).unwrap();

    // A learner asks on behalf of its operator, as often as a supervisor that has only just begun refuses.
    let name = lab.host(chosen).name();
    let reply = eventually(SETTLE_LIMIT, "the supervisor has led for long enough", || {
        transfer(&lab, learner, &name).ok()
    })
    .unwrap();
    assert_eq!(lab.number_of(reply.leader).unwrap(), chosen);
    assert!(reply.term > before.term);
    for voter in voters {
        tells(&lab, voter, TransitionCause::Transferred, before.leader);
    }
    tells(&lab, learner, TransitionCause::Elected, before.leader);
    let status: Supervisor = lab.host(chosen).mesh().get(&["supervisor", "status"]).unwrap();
    assert!(status.is_self);
    assert_eq!(status.last.unwrap().cause, TransitionCause::Transferred);

    // At once again: not for another host's word, but for the supervisor's own operator.
    let refused = lab.host(leader).mesh().run(&["supervisor", "step-down"]).unwrap();
    let error = refused.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Refused);
    assert!(error.hint.contains("supervisor's own host"), "{error:?}");
    let status: Supervisor = lab.host(chosen).mesh().get(&["supervisor", "status"]).unwrap();
    assert_eq!(status.transfers_refused, 1);
    let stepped: TransferReply = lab.host(chosen).mesh().get(&["supervisor", "step-down"]).unwrap();
    assert_ne!(stepped.leader, reply.leader);
    // And the mesh writes on.
    lab.host(1).invite(1).unwrap();
}

#[test]
fn a_lone_supervisor_and_a_member_without_a_vote_are_told_why_not() {
    let _alone = alone();
    let lab = formed(2);
    for host in lab.hosts() {
        let refused = host.mesh().run(&["supervisor", "step-down"]).unwrap();
        let error = refused.error(exit::FAILED).unwrap();
        assert_eq!(error.code, ErrorCode::Refused);
        assert!(error.message.contains("the only voter"), "{error:?}");
        let refused = host.mesh().run(&["supervisor", "transfer", "n2"]).unwrap();
        assert!(refused.error(exit::FAILED).unwrap().message.contains("has no vote"));
        let refused = host.mesh().run(&["supervisor", "transfer", "nobody"]).unwrap();
        assert_eq!(refused.error(exit::FAILED).unwrap().code, ErrorCode::UnknownMember);
    }
    assert_eq!(transfer(&lab, 2, "n1").unwrap().leader, MemberId::FOUNDER, "it leads already");
}

#[test]
fn a_supervisor_that_is_killed_leaves_an_election_in_the_others_memory() {
    let _alone = alone();
    let mut lab = formed(3);
    let (leader, before) = lab.leader_seen_by(1, None).unwrap();
    let witness = 1 + leader % 3;
    lab.host_mut(leader).kill().unwrap();
    lab.leader_seen_by(witness, before.leader).unwrap();
    tells(&lab, witness, TransitionCause::Elected, before.leader);
    lab.host_mut(leader).start().unwrap();
    eventually(SETTLE_LIMIT, "the one that was killed finds the next supervisor", || {
        let told: SupervisorHistory =
            lab.host(leader).mesh().get(&["supervisor", "history"]).ok()?;
        let is_start = |seen: &Transition| seen.cause == TransitionCause::Started;
        let first = told.transitions.first()?;
        let again = told.transitions.iter().rposition(is_start)?;
        let last = told.transitions.last()?;
        // What it saw before is told, up to a second before it was killed, and that it started again.
        (is_start(first) && again > 0 && last.leader.is_some()).then_some(())
    })
    .unwrap();
}
