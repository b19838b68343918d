//! Tokens that do not let anybody in, and what the refused are told.

use std::net::Ipv4Addr;
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::api::v1::{
    BanReply, Bans, DaemonState, ErrorBody, ErrorCode, InviteReply, InviteState, Invites,
    RevokeReply, Voters,
};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};

use crate::alone;

/// A mesh of one, and a host that wants in; on loopback, for tokens know nothing of devices.
fn founder_and_stranger() -> Lab {
    let mut lab = Lab::rootless(2).unwrap();
    lab.found().unwrap();
    lab
}

/// What host 2 is told when it tries `token`; it must be left as it was.
fn refusal(lab: &Lab, token: &str) -> ErrorBody {
    let answer = lab.host(2).mesh().run_with_input(&["join"], token).unwrap();
    let error = answer.error(exit::FAILED).unwrap();
    let status = lab.host(2).status().unwrap();
    assert_eq!(status.state, DaemonState::NotJoined);
    assert_eq!(lab.host(1).status().unwrap().members, 1);
    error
}

/// `token` with the character at `at` replaced by another of the alphabet.
fn with_other_char(token: &str, at: usize) -> String {
    let mut chars: Vec<char> = token.chars().collect();
    chars[at] = if chars[at] == 'A' { 'B' } else { 'A' };
    chars.into_iter().collect()
}

#[test]
fn a_garbled_token_is_refused_as_damaged_and_the_whole_one_still_works() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let token = lab.host(1).invite(1).unwrap().token;
    let middle = token.len() / 2;
    for garbled in [
        with_other_char(&token, middle),
        with_other_char(&token, token.len() - 1),
        token[..token.len() - 20].to_owned(),
        token.replacen("mesh1-", "mesh1-A", 1),
    ] {
        let error = refusal(&lab, &garbled);
        assert!(error.message.contains("damaged"), "{error:?}");
    }
    for (text, reason) in [("hello", "not a join token"), (&"x".repeat(3000), "not a join token")] {
        let error = refusal(&lab, text);
        assert!(error.message.contains(reason), "{error:?}");
    }
    lab.host(2).join(&token).unwrap();
}

#[test]
fn a_used_token_is_refused_as_used() {
    let _alone = alone();
    let mut lab = Lab::rootless(3).unwrap();
    lab.found().unwrap();
    let token = lab.host(1).invite(1).unwrap().token;
    lab.host(2).join(&token).unwrap();

    assert_eq!(lab.host(1).dropped("join_used").unwrap(), 0);
    let answer = lab.host(3).mesh().run_with_input(&["join"], &token).unwrap();
    let error = answer.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Refused);
    assert!(error.message.contains("already been used"), "{error:?}");
    assert_eq!(lab.host(1).status().unwrap().members, 2);
    assert_eq!(lab.host(1).dropped("join_used").unwrap(), 1);
    let page = lab.host(1).mesh().run_plain(&["status", "--detailed"], "").unwrap();
    let page = page.text().unwrap();
    let (_, drops) = page.split_once("\ndrops\n").unwrap();
    let told = drops.lines().find(|line| line.trim_start().starts_with("join_used "));
    assert_eq!(told.and_then(|line| line.split_whitespace().last()), Some("1"), "{page}");
}

#[test]
fn an_expired_token_is_refused_as_expired() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let endpoint = lab.host(1).endpoints()[0].to_string();
    let invite: InviteReply =
        lab.host(1).mesh().get(&["invite", "--lifetime", "1s", "--endpoint", &endpoint]).unwrap();
    eventually(SETTLE_LIMIT, "the token's second passes", || {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        (now > Duration::from_millis(invite.expires_ms + 1)).then_some(())
    })
    .unwrap();
    let error = refusal(&lab, &invite.token);
    assert_eq!(error.code, ErrorCode::Refused);
    assert!(error.message.contains("expired"), "{error:?}");
    assert_eq!(lab.host(1).dropped("join_expired").unwrap(), 1);
}

#[test]
fn a_token_of_a_mesh_that_is_gone_reaches_nobody() {
    let _alone = alone();
    let mut lab = founder_and_stranger();
    let token = lab.host(1).invite(1).unwrap().token;
    lab.host_mut(1).terminate().unwrap();
    let answer = lab.host(2).mesh().run_with_input(&["join"], &token).unwrap();
    let error = answer.error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::Unreachable, "{error:?}");
}

#[test]
fn only_the_holder_of_the_root_key_makes_tokens() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let token = lab.host(1).invite(1).unwrap().token;
    lab.host(2).join(&token).unwrap();
    let error = lab.host(2).mesh().run(&["invite"]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(error.code, ErrorCode::NotAdmin);
}

#[test]
fn a_token_alone_goes_to_standard_output() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let endpoint = lab.host(1).endpoints()[0].to_string();
    let answer = lab.host(1).mesh().run_plain(&["invite", "--endpoint", &endpoint], "").unwrap();
    let text = answer.text().unwrap();
    let token = text.strip_suffix('\n').unwrap();
    assert!(token.starts_with("mesh1-") && !token.contains(char::is_whitespace), "{text}");
    lab.host(2).join(token).unwrap();
}

#[test]
fn a_revoked_token_admits_nobody() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let invite = lab.host(1).invite(3).unwrap();
    let digits = &invite.invite.to_string()[..8];
    let revoked: RevokeReply = lab.host(1).mesh().get(&["invites", "revoke", digits]).unwrap();
    assert_eq!((revoked.invite, revoked.banned.len()), (invite.invite, 0));
    let error = refusal(&lab, &invite.token);
    assert_eq!(error.code, ErrorCode::Refused);
    assert!(error.message.contains("revoked"), "{error:?}");
    assert_eq!(lab.host(1).dropped("join_revoked").unwrap(), 1);
    let invites: Invites = lab.host(1).mesh().get(&["invites"]).unwrap();
    assert_eq!(invites.invites[0].state, InviteState::Revoked);

    let unknown = lab.host(1).mesh().run(&["invites", "revoke", "ffffffffffff"]).unwrap();
    assert_eq!(unknown.error(exit::FAILED).unwrap().code, ErrorCode::Refused);
    let short = lab.host(1).mesh().run(&["invites", "revoke", &digits[..3]]).unwrap();
    assert_eq!(short.error(exit::USAGE).unwrap().code, ErrorCode::BadRequest);
}

#[test]
fn a_token_is_revoked_with_everybody_who_came_in_by_it() {
    let _alone = alone();
    let lab = founder_and_stranger();
    let invite = lab.host(1).invite(2).unwrap();
    let joined = lab.host(2).join(&invite.token).unwrap();
    let invites: Invites = lab.host(1).mesh().get(&["invites", "list"]).unwrap();
    assert_eq!(invites.invites[0].used, 1);
    assert_eq!(invites.invites[0].members[0].member, joined.member);

    // A ban that ends is not the one that is wanted.
    let _: BanReply = lab.host(1).mesh().get(&["ban", "n2", "--for", "1h"]).unwrap();
    let id = invite.invite.to_string();
    let words = ["invites", "revoke", &id, "--with-members", "--wait"];
    let revoked: RevokeReply = lab.host(1).mesh().get(&words).unwrap();
    let banned: Vec<_> = revoked.banned.iter().map(|banned| banned.member).collect();
    assert_eq!(banned, [joined.member]);
    assert_eq!(revoked.applied_by.unwrap().of, 1, "the founder is alone");
    let bans: Bans = lab.host(1).mesh().get(&["bans"]).unwrap();
    assert_eq!((bans.bans[0].member, bans.bans[0].until_ms), (joined.member, None));
    assert_eq!(lab.host(1).status().unwrap().members, 1);

    let error = lab.host(2).mesh().run(&["invites", "revoke", &id]).unwrap();
    assert_eq!(error.error(exit::FAILED).unwrap().code, ErrorCode::NotAdmin);
}

#[test]
fn a_host_that_came_in_by_the_token_it_revokes_bans_the_others() {
    let _alone = alone();
    let mut lab = Lab::rootless(3).unwrap();
    lab.found().unwrap();
    let invite = lab.host(1).invite(2).unwrap();
    let asked = lab.host(2).join(&invite.token).unwrap();
    let other = lab.host(3).join(&invite.token).unwrap();
    lab.host_mut(2).terminate().unwrap();
    let key = |lab: &Lab, number| lab.host(number).state_dir().join("admin.key");
    std::fs::copy(key(&lab, 1), key(&lab, 2)).unwrap();
    lab.host_mut(2).start().unwrap();
    lab.host(2).wait_for("ready", SETTLE_LIMIT).unwrap();

    let id = invite.invite.to_string();
    let words = ["invites", "revoke", &id, "--with-members", "--wait"];
    let revoked: RevokeReply = lab.host(2).mesh().get(&words).unwrap();
    let banned: Vec<_> = revoked.banned.iter().map(|banned| banned.member).collect();
    assert_eq!(banned, [other.member]);
    assert_eq!(revoked.left_out.unwrap().member, asked.member);
    assert_eq!(lab.host(1).status().unwrap().members, 2);
}

#[test]
fn who_joins_by_a_token_with_a_range_gets_its_address_there_until_it_is_full() {
    let _alone = alone();
    let mut lab = Lab::rootless(4).unwrap();
    lab.found().unwrap();
    let invite = |range: &str| -> InviteReply {
        lab.host(1).mesh().get(&["invite", "--uses", "3", "--range", range]).unwrap()
    };
    let prefix = lab.host(1).status().unwrap().prefixes.unwrap().v4;
    let [a, b, ..] = prefix.network().octets();
    let one = invite(&format!("{a}.{b}.7.9/32"));
    let joined = lab.host(2).join(&one.token).unwrap();
    assert_eq!(joined.addrs.v4, Ipv4Addr::new(a, b, 7, 9));
    let full = lab.host(3).mesh().run_with_input(&["join"], &one.token).unwrap();
    let full = full.error(exit::FAILED).unwrap();
    assert_eq!(full.code, ErrorCode::Refused);
    assert!(full.message.contains("no free address left in"), "{full:?}");
    let invites: Invites = lab.host(1).mesh().get(&["invites", "list"]).unwrap();
    assert_eq!(invites.invites[0].used, 1, "one that was refused has used nothing");

    // Two that share a part are given addresses of their own, and so is who joins by neither.
    let part = invite(&format!("{a}.{b}.7.8/31"));
    assert_eq!(lab.host(3).join(&part.token).unwrap().addrs.v4, Ipv4Addr::new(a, b, 7, 8));
    let any = lab.host(1).invite(1).unwrap();
    assert_eq!(lab.host(4).join(&any.token).unwrap().addrs.v4, Ipv4Addr::new(a, b, 0, 2));
    lab.wait_equal_state(4).unwrap();
    let elsewhere = lab.host(1).mesh().run(&["invite", "--range", "192.0.2.0/24"]).unwrap();
    elsewhere.error(exit::FAILED).unwrap();
}

#[test]
fn once_three_may_vote_by_their_tokens_nobody_else_does() {
    let _alone = alone();
    let mut lab = Lab::rootless(5).unwrap();
    lab.found().unwrap();
    let plain = lab.host(1).invite(2).unwrap().token;
    let voter: InviteReply = lab.host(1).mesh().get(&["invite", "--voter", "--uses", "2"]).unwrap();
    let join = |number: usize, token: &str| lab.host(number).join(token).unwrap().member;
    let vote = |expected: [MemberId; 3]| {
        eventually(SETTLE_LIMIT, &format!("{expected:?} vote"), || {
            (lab.host(1).supervisor().ok()?.voters == expected).then_some(())
        })
        .unwrap();
    };
    let founder = lab.host(1).membership().unwrap().0;
    let plain = [join(2, &plain), join(3, &plain)];
    vote([founder, plain[0], plain[1]]);
    // The founder and one more are too few to leave the others out.
    let fourth = join(4, &voter.token);
    let (leader, _) = lab.leader_seen_by(1, None).unwrap();
    eventually(SETTLE_LIMIT, "the fourth could vote", || {
        let seen: Voters = lab.host(leader).mesh().get(&["voters", "list"]).ok()?;
        seen.members.iter().find(|it| it.member == fourth)?.ready.filter(|ready| *ready)
    })
    .unwrap();
    let seen = lab.host(1).supervisor().unwrap().voters;
    assert_eq!(seen, [founder, plain[0], plain[1]]);
    let fifth = join(5, &voter.token);
    vote([founder, fourth, fifth]);
    lab.wait_equal_state(5).unwrap();
}
