//! What a person asks for, in the words that are signed; agreed when an admin has signed them.

mod fixture;

use fixture::{BORN_MS, Host, Log, Mesh, Purpose, ban, name, seed, tag_set};
use mesh_control::command::{Command, Outcome};
use mesh_control::drafting::{DraftError, Drafter, Unproposable, command, signatures_needed};
use mesh_model::access::Protocol;
use mesh_model::api::v1::{ErrorCode, PolicyRule, VoterWish, Wanted};
use mesh_model::trust::{
    AccessBound, AdminStep, MAX_REQUEST_LEN, MAX_RULES, MAX_TAGS, Request, RequestError, Ruling,
    Wish,
};
use mesh_model::{AdminId, IdentityKey, IdentitySecret, InviteId, MemberId, codec};

/// When drafts are made, in milliseconds since the Unix epoch.
const NOW_MS: u64 = BORN_MS + 1000;

/// A mesh with host 1 as a member, by invite 1; `log` is at its state.
fn with_a_member() -> (Mesh, Log, MemberId) {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let ticket = mesh.invite(1, 3);
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &Host::new(1));
    (mesh, log, member)
}

fn draft(log: &Log, wanted: Wanted) -> Result<Request, DraftError> {
    let view = log.state.view(log.next - 1);
    let drafter = Drafter { state: &log.state, view: &view, me: MemberId::FOUNDER, now_ms: NOW_MS };
    drafter.request(wanted)
}

/// Has `wanted` put into words, signed by the root and agreed.
#[track_caller]
fn agree(mesh: &Mesh, log: &mut Log, wanted: Wanted) -> (Request, Outcome) {
    let mut request = draft(log, wanted).expect("it can be said");
    assert_eq!(command(request.clone(), log.state.admins()), unsigned(&request));
    assert!(request.sign(&mesh.root_secret));
    assert_eq!(request.to_string().parse(), Ok(request.clone()), "it can travel");
    let command = command(request.clone(), log.state.admins()).expect("an admin signed");
    let outcome = log.apply(1000, command);
    assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    (request, outcome)
}

/// What comes of a request nobody has signed: a change of admins counts its signatures when it is agreed.
fn unsigned(request: &Request) -> Result<Command, Unproposable> {
    match request {
        Request::ChangeAdmins(change) => Ok(Command::ChangeAdmins(change.clone())),
        _ => Err(Unproposable::Unsigned),
    }
}

fn key(number: u64) -> IdentityKey {
    IdentitySecret::from_seed(seed(Purpose::Invite, number)).public()
}

fn invite(uses: u32, lifetime_s: u64) -> Wanted {
    let (range, tags) = (None, tag_set(&["web"]));
    Wanted::Invite { key: key(2), uses, lifetime_s, range, voter: true, tags }
}

fn tag(member: &str, add: &[&str], remove: &[&str]) -> Wanted {
    Wanted::Tag { member: member.to_owned(), add: tag_set(add), remove: tag_set(remove) }
}

fn rule(from: &str, to: &str) -> PolicyRule {
    let (from, to) = (vec![from.to_owned()], vec![to.to_owned()]);
    PolicyRule { from, to, protocol: Protocol::Tcp, ports: vec!["443".to_owned()] }
}

#[test]
fn an_invite_says_what_was_asked_and_has_the_key_of_whoever_asked() {
    let (mesh, mut log, _) = with_a_member();
    let (request, outcome) = agree(&mesh, &mut log, invite(20, 600));
    let Request::Invite(cosigned) = request else { panic!("an invite") };
    let terms = cosigned.open().expect("signed");
    assert_eq!((terms.key, terms.id), (key(2), InviteId::of_key(&key(2))));
    assert_eq!((terms.uses, terms.created_ms, terms.expires_ms), (20, NOW_MS, NOW_MS + 600_000));
    assert_eq!((terms.voter, terms.tags, terms.range), (true, tag_set(&["web"]), None));
    assert_eq!(outcome, Outcome::InviteAdded(terms.id));
}

#[test]
fn tags_are_those_there_are_with_some_more_and_some_less() {
    let (mesh, mut log, member) = with_a_member();
    agree(&mesh, &mut log, tag("h1", &["web", "eu"], &[]));
    let (request, outcome) = agree(&mesh, &mut log, tag(&member.to_string(), &["db"], &["web"]));
    let Request::Tag(cosigned) = request else { panic!("tags") };
    let tagging = cosigned.open().expect("signed");
    assert_eq!((tagging.member, tagging.serial), (member, 2));
    assert_eq!(tagging.identity, Host::new(1).identity.public());
    assert_eq!(tagging.tags, tag_set(&["db", "eu"]));
    assert_eq!(outcome, Outcome::Tagged(member));
}

#[test]
fn a_policy_names_members_by_id_and_the_longest_travels() {
    let (mesh, mut log, member) = with_a_member();
    let (request, outcome) =
        agree(&mesh, &mut log, Wanted::Policy { rules: vec![rule("h1", "any")] });
    let Request::SetAccess(cosigned) = request else { panic!("a policy") };
    let policy = cosigned.open().expect("signed");
    assert_eq!(policy.rules[0].from, [mesh_model::access::Selector::Member(member)]);
    assert_eq!(outcome, Outcome::AccessSet(1));

    let tag = "x".repeat(mesh_model::trust::MAX_TAG_LEN);
    agree(&mesh, &mut log, self::tag("h1", &[&tag], &[]));
    let word = format!("tag:{tag}");
    let longest = PolicyRule { ports: Vec::new(), ..rule(&word, &word) };
    let longest = PolicyRule { to: vec![word; 3], ..longest };
    let (mut request, _) =
        agree(&mesh, &mut log, Wanted::Policy { rules: vec![longest; MAX_RULES] });
    for number in 1..16 {
        request.sign(&IdentitySecret::from_seed(seed(Purpose::Admin, number)));
    }
    let text = request.to_string();
    assert!(codec::encode(&request).len() > 20_000, "{}", text.len());
    assert_eq!(text.parse(), Ok(request));
    let longer = "A".repeat(MAX_REQUEST_LEN + 1);
    assert_eq!(longer.parse::<Request>(), Err(RequestError::TooLong(MAX_REQUEST_LEN + 1)));
}

#[test]
fn rulings_revocations_votes_and_admins_are_put_into_words() {
    let (mesh, mut log, member) = with_a_member();
    let who = || "h1".to_owned();
    let until_ms = Some(NOW_MS + 60_000);
    let reason = "floods".parse().ok();
    let banned = Wanted::Ban { member: who(), for_s: Some(60), reason };
    let (request, _) = agree(&mesh, &mut log, banned);
    let Request::Judge(cosigned) = &request else { panic!("a ruling") };
    let verdict = cosigned.open().expect("signed");
    assert_eq!((verdict.member, verdict.serial), (member, NOW_MS));
    let Ruling::Banned { until_ms: until, .. } = verdict.ruling else { panic!("a ban") };
    assert_eq!(until, until_ms);
    // Clocks do not make two words on one thing: the second is later in any case.
    let (request, _) = agree(&mesh, &mut log, Wanted::Unban { member: who() });
    let Request::Judge(cosigned) = request else { panic!("a ruling") };
    assert_eq!(cosigned.open().expect("signed").serial, NOW_MS + 1);

    let wish = Wanted::VoterWish { member: who(), wish: VoterWish::Never };
    agree(&mesh, &mut log, wish);
    agree(&mesh, &mut log, Wanted::VoterTarget { target: Some(5) });
    let policy = log.state.voters().policy().expect("it stands");
    assert_eq!((policy.serial, policy.wishes.get(&member)), (2, Some(&Wish::Never)));
    let invite = mesh.invite(1, 3).invite.id;
    let digits = invite.to_string()[..4].to_uppercase();
    let (_, outcome) = agree(&mesh, &mut log, Wanted::RevokeInvite { invite: digits });
    assert_eq!(outcome, Outcome::InviteRevoked(invite));

    let add = |text: &str, number| Wanted::AddAdmin { name: name(text), key: key(number) };
    agree(&mesh, &mut log, add("alice", 7));
    let threshold = draft(&log, Wanted::AdminThreshold { threshold: 2 }).expect("said");
    assert_eq!(signatures_needed(&threshold, log.state.admins()), 1);
    agree(&mesh, &mut log, Wanted::AdminThreshold { threshold: 2 });
    let removal = Wanted::RemoveAdmin { admin: "a1".to_owned(), revoke_invites: true };
    let request = draft(&log, removal).expect("said");
    assert_eq!(signatures_needed(&request, log.state.admins()), 2);
    let Request::ChangeAdmins(change) = request else { panic!("a change") };
    let step = AdminStep::Remove { admin: AdminId(1), name: name("alice"), revoke_invites: true };
    assert_eq!(change.open().map(|change| change.step), Ok(step));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let (_, log, _) = with_a_member();
    let who = |text: &str| text.to_owned();
    let ban_for = |for_s| Wanted::Ban { member: who("h1"), for_s, reason: None };
    let range = "10.0.0.0/8".parse().expect("a prefix");
    let elsewhere = match invite(1, 60) {
        Wanted::Invite { key, uses, lifetime_s, voter, tags, .. } => {
            Wanted::Invite { key, uses, lifetime_s, range: Some(range), voter, tags }
        }
        _ => unreachable!("an invite"),
    };
    let many: Vec<String> = (0..=MAX_TAGS).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let prefix = log.state.view(9).prefixes.v4;
    let both = "web".parse().expect("a tag");
    for (wanted, error, code) in [
        (tag("h9", &["web"], &[]), DraftError::UnknownMember(who("h9")), ErrorCode::UnknownMember),
        (tag("h1", &["web"], &["web"]), DraftError::EitherTag(both), ErrorCode::BadRequest),
        (
            tag("h1", &many, &[]),
            DraftError::TooManyTags { whom: who("h1 (m3)"), tags: MAX_TAGS + 1 },
            ErrorCode::Refused,
        ),
        (Wanted::Remove { member: who("m1") }, DraftError::ThisHost, ErrorCode::Refused),
        (
            Wanted::Unban { member: who("h1") },
            DraftError::NotBanned(name("h1"), MemberId(3)),
            ErrorCode::Refused,
        ),
        (ban_for(Some(0)), DraftError::BanTime(0), ErrorCode::BadRequest),
        (ban_for(Some(u64::MAX)), DraftError::BanTime(u64::MAX), ErrorCode::BadRequest),
        (
            Wanted::VoterTarget { target: Some(4) },
            DraftError::VoterTarget(4),
            ErrorCode::BadRequest,
        ),
        (
            Wanted::RevokeInvite { invite: who("05") },
            DraftError::InviteDigits(who("05")),
            ErrorCode::BadRequest,
        ),
        (
            Wanted::RevokeInvite { invite: who("zzzz") },
            DraftError::UnknownInvite(who("zzzz")),
            ErrorCode::Refused,
        ),
        (invite(0, 60), DraftError::InviteUses(0), ErrorCode::BadRequest),
        (invite(1, 0), DraftError::InviteLifetime(0), ErrorCode::BadRequest),
        (invite(1, u64::MAX), DraftError::InviteLifetime(u64::MAX), ErrorCode::BadRequest),
        (elsewhere, DraftError::InviteRange { range, prefix }, ErrorCode::Refused),
        (
            Wanted::Policy { rules: vec![rule("any", "any"); MAX_RULES + 1] },
            DraftError::Bounds(AccessBound::Rules),
            ErrorCode::BadRequest,
        ),
        (
            Wanted::RemoveAdmin { admin: who("mallory"), revoke_invites: false },
            DraftError::UnknownAdmin(who("mallory")),
            ErrorCode::Refused,
        ),
    ] {
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(draft(&log, wanted), Err(error));
    }
    let unknown = draft(&log, Wanted::Policy { rules: vec![rule("h9", "any")] });
    assert!(matches!(unknown, Err(DraftError::Words(_))), "{unknown:?}");
}

#[test]
fn one_that_is_banned_is_still_somebody() {
    let (mesh, mut log, _) = with_a_member();
    let who = |text: &str| text.to_owned();
    log.apply(0, mesh.judge((MemberId(3), &Host::new(1)), 1, ban(None)));
    for wanted in [tag("h1", &["web"], &[]), Wanted::Unban { member: who("100.88.0.2") }] {
        assert!(draft(&log, wanted.clone()).is_ok(), "{wanted:?}");
    }
    let vote = Wanted::VoterWish { member: who("h1"), wish: VoterWish::Always };
    assert_eq!(draft(&log, vote), Err(DraftError::UnknownMember(who("h1"))));
}

#[test]
fn one_whose_key_alone_can_end_it_pardons_itself() {
    let (mesh, mut log, _) = with_a_member();
    for is_out in [false, true] {
        if is_out {
            log.apply(0, mesh.judge((MemberId::FOUNDER, &mesh.founder), 1, ban(None)));
        }
        let request = draft(&log, Wanted::Unban { member: "m1".to_owned() });
        let Ok(Request::Judge(verdict)) = request else { panic!("{is_out}: {request:?}") };
        assert_eq!(verdict.open().map(|verdict| verdict.ruling), Ok(Ruling::Pardoned));
    }
}
