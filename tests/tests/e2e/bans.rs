//! Cutting members off, taking them back, and removing them.

use std::net::IpAddr;
use std::time::Duration;

use mesh_model::api::v1::{
    Audit, BanReply, Bans, ErrorCode, LeaveReply, RemoveReply, Tunnels, UnbanReply,
};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::traffic::ping;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{LIMIT, addresses, alone, assert_reaches, bridged};

/// How long an echo that must not be answered is waited for: a thousand round trips on a bridge.
const SILENCE: Duration = Duration::from_millis(500);

/// Asserts that not one echo from `from` to `targets` comes back, through the kernel's interfaces.
fn assert_silent(lab: &Lab, from: usize, targets: [IpAddr; 2]) {
    for target in targets {
        let answer = ping(lab.host(from).netns(), target, SILENCE);
        assert!(answer.is_err(), "n{from} reaches {target}: {answer:?}");
    }
}

/// Asserts that echoes from `from` to each of `targets` come back.
fn assert_answers(lab: &Lab, from: usize, targets: [IpAddr; 2]) {
    for target in targets {
        eventually(SETTLE_LIMIT, &format!("n{from} reaches {target}"), || {
            ping(lab.host(from).netns(), target, SILENCE).ok()
        })
        .unwrap();
    }
}

/// The members that host `number` has a tunnel for.
fn tunnels(lab: &Lab, number: usize) -> usize {
    let tunnels: Tunnels = lab.host(number).mesh().get(&["tunnels"]).unwrap();
    tunnels.tunnels.len()
}

fn bans(lab: &Lab, number: usize) -> Bans {
    lab.host(number).mesh().get(&["bans"]).unwrap()
}

#[test]
fn a_banned_member_is_cut_off_everywhere_and_back_when_it_is_unbanned() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(4);
    lab.wait_equal_state(4).unwrap();
    for from in [1, 2] {
        assert_reaches(&lab, from, 3);
    }
    let (third, targets) = (lab.host(3).membership().unwrap(), addresses(&lab, 3));

    let words = ["ban", "n3", "--reason", "floods its neighbours", "--wait"];
    let banned: BanReply = lab.host(1).mesh().get(&words).unwrap();
    let applied_by = banned.applied_by.unwrap();
    assert_eq!((banned.member, banned.until_ms), (third.0, None));
    assert_eq!((applied_by.members, applied_by.of), (3, 3));
    for number in [1, 2, 4] {
        // It was said to be applied everywhere: no waiting from here on.
        let bans = bans(&lab, number);
        assert_eq!(bans.bans.len(), 1);
        assert!(bans.applied >= banned.index);
        assert_eq!(bans.bans[0].member, third.0);
        assert_eq!(bans.bans[0].reason.as_ref().unwrap().to_string(), "floods its neighbours");
        eventually(LIMIT, "its tunnel is gone", || (tunnels(&lab, number) == 2).then_some(()))
            .unwrap();
        assert_silent(&lab, number, targets);
        let unknown = lab.host(number).mesh().run(&["ping", "n3", "-c", "1"]).unwrap();
        assert_eq!(unknown.error(exit::FAILED).unwrap().code, ErrorCode::UnknownMember);
    }
    assert_silent(&lab, 3, addresses(&lab, 2));
    assert_reaches(&lab, 2, 4);
    // It shows what it knew, but nobody confirms that to it.
    bans(&lab, 3);
    let refused = lab.host(3).mesh().run(&["bans", "--consistent"]).unwrap();
    assert_eq!(refused.error(exit::NO_QUORUM).unwrap().code, ErrorCode::NoQuorum);

    let unbanned: UnbanReply = lab.host(1).mesh().get(&["unban", "n3"]).unwrap();
    assert_eq!(unbanned.member, third.0);
    let now: Bans = lab.host(4).mesh().get(&["bans", "--consistent"]).unwrap();
    assert!(now.bans.is_empty() && now.applied >= unbanned.index);
    for number in [1, 2, 4] {
        assert_answers(&lab, number, targets);
        assert!(bans(&lab, number).bans.is_empty());
    }
    lab.wait_equal_state(4).unwrap();
    assert_eq!(lab.host(3).membership().unwrap(), third, "under its old id and addresses");
}

#[test]
fn a_ban_that_does_not_reach_everybody_names_who_is_missing_and_holds_all_the_same() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(4);
    lab.wait_equal_state(4).unwrap();
    let absent = (2..=4).find(|number| *number != lab.leader_seen_by(1, None).unwrap().0).unwrap();
    let culprit = (2..=4).find(|number| *number != absent).unwrap();
    lab.host_mut(absent).terminate().unwrap();
    let culprit_name = lab.host(culprit).name();
    let words = ["ban", &culprit_name, "--for", "1h", "--wait", "--timeout", "3s"];
    let error = lab.host(1).mesh().run(&words).unwrap().error(exit::TIMED_OUT).unwrap();
    assert_eq!(error.code, ErrorCode::TimedOut);
    assert!(error.message.contains(&lab.host(absent).name()), "{error:?}");
    assert!(error.message.contains("2 of 3 members"), "{error:?}");
    assert_eq!(bans(&lab, 1).bans.len(), 1);

    // Whoever was down hears of it when it is back.
    lab.host_mut(absent).start().unwrap();
    eventually(SETTLE_LIMIT, "the absent one knows of the ban", || {
        let bans: Bans = lab.host(absent).mesh().get(&["bans"]).ok()?;
        (bans.bans.len() == 1).then_some(())
    })
    .unwrap();
}

#[test]
fn a_ban_for_a_time_ends_by_itself() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    let targets = addresses(&lab, 2);
    let banned: BanReply = lab.host(1).mesh().get(&["ban", "n2", "--for", "2s"]).unwrap();
    assert!(banned.until_ms.is_some());
    let kinds = || {
        let trail: Audit = lab.host(1).mesh().get(&["audit"]).unwrap();
        let kinds: Vec<_> = trail.entries.iter().map(|entry| entry.event.kind()).collect();
        kinds
    };
    assert!(kinds().contains(&"banned"));
    for number in [1, 3] {
        assert_answers(&lab, number, targets);
        assert!(bans(&lab, number).bans.is_empty());
    }
    assert_eq!(kinds().last(), Some(&"ban_lapsed"));
}

#[test]
fn a_removed_member_is_gone_for_good_and_may_come_back_as_somebody_new() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();
    let before = lab.host(3).membership().unwrap();
    let token = lab.host(1).invite(1).unwrap().token;

    let removed: RemoveReply =
        lab.host(1).mesh().get(&["remove", "n3", "--yes", "--wait"]).unwrap();
    assert_eq!(removed.member, before.0);
    let applied_by = removed.applied_by.unwrap();
    assert_eq!((applied_by.members, applied_by.of), (2, 2));
    for number in [1, 2] {
        eventually(SETTLE_LIMIT, "its tunnel is gone", || {
            (tunnels(&lab, number) == 1).then_some(())
        })
        .unwrap();
    }
    // Nobody answers it any more, so it cannot have its leave agreed.
    let _: LeaveReply = lab.host(3).mesh().get(&["leave", "--yes", "--force"]).unwrap();
    let joined = lab.host(3).join(&token).unwrap();
    assert_ne!(joined.member, before.0);
    lab.wait_ready().unwrap();
    assert_reaches(&lab, 3, 1);
}

#[test]
fn only_who_may_rule_does_and_only_about_others() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(2);
    let code = |number: usize, words: &[&str]| {
        lab.host(number).mesh().run(words).unwrap().error(exit::FAILED).unwrap().code
    };
    for words in [["ban", "n1"], ["remove", "n1"]] {
        assert_eq!(code(2, &words), ErrorCode::NotAdmin);
    }
    assert_eq!(code(1, &["ban", "n1"]), ErrorCode::Refused);
    assert_eq!(code(1, &["ban", "nobody"]), ErrorCode::UnknownMember);
    assert_eq!(code(1, &["unban", "n2"]), ErrorCode::Refused);
    assert!(bans(&lab, 2).bans.is_empty());
}
