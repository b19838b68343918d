//! Members report one that does wrong, and it is out for a time without any admin.

use mesh_model::MemberId;
use mesh_model::api::v1::{
    Audit, BanKind, Bans, ErrorCode, ReportReply, ReportTally, Reports, UnbanReply,
};
use mesh_model::audit::{Actor, Event};
use mesh_model::trust::Misconduct;
use mesh_tests::lab::{SETTLE_LIMIT, wait_equal_state};
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::alone;

/// How many hosts there are: four lineages besides the one that is reported, of which three are needed.
const HOSTS: usize = 5;

/// A mesh without namespaces whose hosts joined by tokens for `uses` hosts each.
fn joined_by(uses: u32) -> Lab {
    let mut lab = Lab::rootless(HOSTS).unwrap();
    lab.found().unwrap();
    let (mut token, mut left) = (String::new(), 0);
    for number in 2..=HOSTS {
        if left == 0 {
            token = lab.host(1).invite(uses).unwrap().token;
            left = uses;
        }
        left -= 1;
        lab.host(number).join(&token).unwrap();
    }
    lab.wait_ready().unwrap();
    lab.wait_voters().unwrap();
    lab.wait_equal_state(HOSTS).unwrap();
    lab
}

fn id(lab: &Lab, number: usize) -> MemberId {
    lab.host(number).membership().unwrap().0
}

pub(crate) fn report(lab: &Lab, from: usize, words: &[&str]) -> ReportReply {
    lab.host(from).mesh().get(&[&["report"], words].concat()).unwrap()
}

pub(crate) fn bans(lab: &Lab, number: usize) -> Bans {
    lab.host(number).mesh().get(&["bans"]).unwrap()
}

#[test]
fn a_member_that_a_quorum_reports_is_out_until_an_admin_pardons_it() {
    let _alone = alone();
    let lab = joined_by(1);
    let subject = id(&lab, 5);
    let words = ["n5", "--kind", "floods", "--reason", "a gigabit of nothing"];
    for (have, from) in (1..=2).zip([2, 3]) {
        let reply = report(&lab, from, &words);
        assert_eq!((reply.member, reply.kind), (subject, Misconduct::Floods));
        assert_eq!(reply.tally, Some(ReportTally { have, needed: 3, lineages: 4 }));
    }
    let pending: Reports = lab.host(2).mesh().get(&["reports"]).unwrap();
    assert_eq!(pending.own[0].reason.as_ref().unwrap().to_string(), "a gigabit of nothing");
    assert_eq!(bans(&lab, 1).bans, [], "two of four are not enough");
    let leader = lab.leader_seen_by(1, None).unwrap().0;
    let told: Reports = lab.host(leader).mesh().get(&["reports"]).unwrap();
    assert_eq!(told.cases.unwrap()[0].reporters, [id(&lab, 2), id(&lab, 3)]);

    report(&lab, 4, &["n5", "--kind", "other"]);
    let reporters: Vec<MemberId> = [2, 3, 4].map(|number| id(&lab, number)).to_vec();
    for number in 1..HOSTS {
        let bans = eventually(SETTLE_LIMIT, "n5 is out", || {
            let bans = bans(&lab, number);
            (!bans.bans.is_empty()).then_some(bans)
        });
        let out = &bans.unwrap().bans[0];
        assert_eq!(
            (out.member, out.kind, &out.reporters),
            (subject, BanKind::Exclusion, &reporters)
        );
        assert_eq!(out.misconduct, [Misconduct::Floods, Misconduct::Other]);
        assert!(out.until_ms.is_some());
        let unknown = lab.host(number).mesh().run(&["ping", "n5", "-c", "1"]).unwrap();
        assert_eq!(unknown.error(exit::FAILED).unwrap().code, ErrorCode::UnknownMember);
    }
    let pending: Reports = lab.host(2).mesh().get(&["reports"]).unwrap();
    assert_eq!(pending.own, [], "there is nothing more to say");
    let trail: Audit = lab.host(1).mesh().get(&["audit"]).unwrap();
    assert!(trail.verify().is_ok());
    let last = trail.entries.last().unwrap();
    assert_eq!(last.by, Actor::Members { members: reporters });
    assert!(matches!(last.event, Event::Excluded { member, .. } if member == subject));

    let unbanned: UnbanReply = lab.host(1).mesh().get(&["unban", "n5"]).unwrap();
    assert_eq!(unbanned.member, subject);
    let hosts: Vec<_> = lab.hosts().iter().collect();
    wait_equal_state(&hosts, HOSTS).unwrap();
    let again = lab.host(2).mesh().run(&["report", "n5", "--kind", "floods"]).unwrap();
    assert_eq!(again.error(exit::FAILED).unwrap().code, ErrorCode::Refused);
}

#[test]
fn hosts_of_one_token_are_one_voice() {
    let _alone = alone();
    let lab = joined_by(4);
    for from in 1..HOSTS {
        let tally = report(&lab, from, &["n5", "--kind", "floods"]).tally.unwrap();
        assert!(tally.have <= 2, "the founder, and those of the token: {tally:?}");
        assert_eq!((tally.needed, tally.lineages), (3, 2));
    }
    for number in 1..=HOSTS {
        assert_eq!(bans(&lab, number).bans, []);
    }
    let itself = lab.host(2).mesh().run(&["report", "n2", "--kind", "other"]).unwrap();
    assert_eq!(itself.error(exit::FAILED).unwrap().code, ErrorCode::Refused);
    let nobody = lab.host(2).mesh().run(&["report", "n9", "--kind", "other"]).unwrap();
    assert_eq!(nobody.error(exit::FAILED).unwrap().code, ErrorCode::UnknownMember);
}
