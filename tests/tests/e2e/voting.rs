//! Who votes, and who shall.

use mesh_model::api::v1::{ErrorCode, VoterWish, Voters};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::alone;

fn formed(hosts: usize) -> Lab {
    let mut lab = Lab::rootless(hosts).unwrap();
    lab.form().unwrap();
    lab
}

/// The numbers of the hosts that vote, as host `number` shows them.
fn voting(lab: &Lab, number: usize) -> Option<Vec<usize>> {
    let voters: Voters = lab.host(number).mesh().get(&["voters", "list"]).ok()?;
    let voting = voters.members.iter().filter(|member| member.vote);
    voting.map(|member| lab.number_of(member.member).ok()).collect()
}

#[test]
fn who_shall_never_vote_gives_its_vote_to_another_even_when_it_leads() {
    let _alone = alone();
    let mut lab = formed(4);
    let (leader, before) = lab.leader_seen_by(1, None).unwrap();
    let name = lab.host(leader).name();
    let set: Voters = lab.host(1).mesh().get(&["voters", "set", &name, "never"]).unwrap();
    let own = set.members.iter().find(|member| member.name.as_str() == name).unwrap();
    assert_eq!((set.serial, own.wish), (1, VoterWish::Never));
    for number in 1..=4 {
        eventually(SETTLE_LIMIT, "the other three vote", || {
            let voting = voting(&lab, number)?;
            (voting.len() == 3 && !voting.contains(&leader)).then_some(())
        })
        .unwrap();
    }
    let (next, after) = lab.leader_seen_by(1, before.leader).unwrap();
    assert!(next != leader && after.term > before.term);
    // The one that leads knows how far the others are; the one that does not says so.
    eventually(SETTLE_LIMIT, "the supervisor knows that all are ready", || {
        let seen: Voters = lab.host(next).mesh().get(&["voters", "list"]).ok()?;
        seen.members.iter().all(|member| member.ready == Some(true)).then_some(())
    })
    .unwrap();
    let elsewhere: Voters = lab.host(leader).mesh().get(&["voters", "list"]).unwrap();
    assert!(elsewhere.members.iter().all(|member| member.ready.is_none()));
    lab.host(1).invite(1).unwrap();
    lab.wait_equal_state(4).unwrap();
}

#[test]
fn the_target_is_the_root_keys_to_say_and_outlives_restarts() {
    let _alone = alone();
    let mut lab = formed(3);
    let refused = lab.host(2).mesh().run(&["voters", "target", "1"]).unwrap();
    assert_eq!(refused.error(exit::FAILED).unwrap().code, ErrorCode::NotAdmin);
    let refused = lab.host(1).mesh().run(&["voters", "set", "nobody", "never"]).unwrap();
    assert_eq!(refused.error(exit::FAILED).unwrap().code, ErrorCode::UnknownMember);

    let set: Voters = lab.host(1).mesh().get(&["voters", "target", "1"]).unwrap();
    assert_eq!((set.target, set.serial), (Some(1), 1));
    let alone_votes = |lab: &Lab, number| {
        eventually(SETTLE_LIMIT, "one votes", || {
            voting(lab, number).filter(|voting| voting.len() == 1)
        })
        .unwrap()
    };
    let voter = alone_votes(&lab, 1)[0];
    for number in 1..=3 {
        assert_eq!(alone_votes(&lab, number), [voter]);
    }
    lab.host_mut(voter).terminate().unwrap();
    lab.host_mut(voter).start().unwrap();
    lab.wait_ready().unwrap();
    let kept: Voters = lab.host(voter).mesh().get(&["voters", "list"]).unwrap();
    assert_eq!((kept.target, kept.serial), (Some(1), 1));
    let set: Voters = lab.host(1).mesh().get(&["voters", "target", "auto"]).unwrap();
    assert_eq!((set.target, set.serial), (None, 2));
    lab.wait_voters().unwrap();
}
