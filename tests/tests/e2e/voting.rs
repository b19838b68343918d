//! Who votes, and who shall.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::api::v1::{ErrorCode, TagReply, VoterWish, Voters};
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

/// A vote moves only from one that has been silent for a minute, so this is the one test here that waits for one.
const REPLACE_LIMIT: Duration = Duration::from_secs(150);

/// The region of each of five hosts, two of which stand beside another one. Without regions the first of those, the
/// longer a member, would get every vote that is to be given away.
fn five_in_three_regions(lab: &Lab) -> BTreeMap<usize, &'static str> {
    let (leader, _) = lab.leader_seen_by(1, None).unwrap();
    let others = (1..=5).filter(|number| *number != leader);
    let regions = others.zip(["region-a", "region-b", "region-c", "region-c"]);
    let regions: BTreeMap<usize, &str> = regions.chain([(leader, "region-a")]).collect();
    for (number, region) in &regions {
        let name = lab.host(*number).name();
        let words = ["tag", &name, "--add", region, "--wait"];
        lab.host(1).mesh().get::<TagReply>(&words).unwrap();
    }
    regions
}

#[test]
fn a_voter_that_stays_away_is_replaced_by_one_of_its_region_and_comes_back_without_a_vote() {
    let _alone = alone();
    let mut lab = formed(5);
    let regions = five_in_three_regions(&lab);
    let ids: BTreeMap<MemberId, usize> =
        (1..=5).map(|number| (lab.host(number).membership().unwrap().0, number)).collect();
    let votes = |lab: &Lab, number: usize| -> Option<BTreeSet<usize>> {
        let voters: Voters = lab.host(number).mesh().get(&["voters", "list"]).ok()?;
        Some(voters.members.iter().filter(|it| it.vote).map(|it| ids[&it.member]).collect())
    };
    let target = |lab: &Lab, target: &str| {
        let set: Voters = lab.host(1).mesh().get(&["voters", "target", target]).unwrap();
        let wanted = usize::from(set.target.unwrap());
        eventually(SETTLE_LIMIT, &format!("{wanted} vote"), || {
            votes(lab, 1).filter(|votes| votes.len() == wanted)
        })
        .unwrap()
    };
    assert_eq!(target(&lab, "5").len(), 5);
    let before = target(&lab, "3");
    let spread: BTreeSet<&str> = before.iter().map(|number| regions[number]).collect();
    assert_eq!(spread.len(), 3, "one votes in each region: {before:?} of {regions:?}");

    let (leader, _) = lab.leader_seen_by(1, None).unwrap();
    let has_deputy =
        |number: usize| regions.values().filter(|it| **it == regions[&number]).count() > 1;
    let lost = *before.iter().find(|number| **number != leader && has_deputy(**number)).unwrap();
    let deputy =
        (1..=5).find(|number| *number != lost && regions[number] == regions[&lost]).unwrap();
    lab.host_mut(lost).kill().unwrap();
    let expected: BTreeSet<usize> =
        before.iter().copied().filter(|number| *number != lost).chain([deputy]).collect();
    for number in expected.iter().copied() {
        let what = format!("n{number} sees that n{deputy} votes instead of n{lost}");
        eventually(REPLACE_LIMIT, &what, || (votes(&lab, number)? == expected).then_some(()))
            .unwrap();
    }

    lab.host_mut(lost).start().unwrap();
    lab.wait_equal_state(5).unwrap();
    assert_eq!(votes(&lab, lost).unwrap(), expected, "there is no room for another vote");
    // What the exchange is for: the loss of one more is not the end of agreement.
    let second = *expected.iter().find(|number| **number != 1).unwrap();
    lab.host_mut(second).kill().unwrap();
    let agreed = || lab.host(1).invite(1).ok();
    eventually(SETTLE_LIMIT, "the two that are left agree", agreed).unwrap();
}
