//! Tags and policies: an admin's word, the latest one, and what a snapshot may tell of it.

mod fixture;

use fixture::forge::{Said, forged};
use fixture::{Host, Log, Mesh, after, rule, tag_set, tagged};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::access::MAX_HISTORY;
use mesh_control::state::serial::MAX_LEAP;
use mesh_control::state::{Event, State};
use mesh_model::access::{Protocol, Rule, Selector};
use mesh_model::trust::{
    AccessBound, AccessPolicy, Invite, MAX_RULES, MAX_TAGS, MAX_TERMS, Tag, Tagging,
};
use mesh_model::{AdminId, MemberId, Signed, codec};

const FOUNDER: MemberId = MemberId::FOUNDER;

fn set(policy: &Signed<AccessPolicy>) -> Command {
    Command::SetAccess(policy.clone())
}

/// "Everybody may ping everybody."
fn pings() -> Rule {
    rule(&[Selector::Any], &[Selector::Any], Protocol::Icmp, &[])
}

/// "Those tagged web serve everybody."
fn web() -> Rule {
    rule(&[Selector::Any], &[tagged("web")], Protocol::Tcp, &["80", "443"])
}

/// The tags of `member` in the view.
fn tags(state: &State, member: MemberId) -> Vec<String> {
    state.view(9).members[&member].tags.iter().map(Tag::to_string).collect()
}

#[test]
fn an_invite_tags_whom_it_admits_until_an_admin_says_otherwise() {
    let (mesh, host) = (Mesh::new(1), Host::new(1));
    let mut log = Log::of(&mesh);
    let ticket = mesh.invite_tagged(1, &["web", "tag:eu"]);
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &host);
    assert_eq!(tags(&log.state, member), ["tag:eu", "tag:web"]);
    assert!(tags(&log.state, FOUNDER).is_empty());

    let said = Command::Tag(mesh.tagging((member, &host), 1, &["db"]));
    assert_eq!(log.apply(5, said.clone()), Outcome::Tagged(member));
    assert_eq!(tags(&log.state, member), ["tag:db"]);
    let last = log.state.audit().iter().last().expect("an entry");
    let event = Event::Tagged { member, serial: 1, tags: vec!["db".parse().expect("a tag")] };
    assert_eq!(last.event, event);
    let before = log.state.hash();
    assert_eq!(log.apply(9, said), Outcome::Tagged(member), "again");
    assert_eq!(log.state.hash(), before);

    let none = Command::Tag(mesh.tagging((member, &host), 2, &[]));
    assert_eq!(log.apply(9, none), Outcome::Tagged(member));
    assert!(tags(&log.state, member).is_empty(), "those of the invite do not come back");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let back: State = codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);
}

#[test]
fn earlier_tags_do_not_come_back() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let about = (FOUNDER, &mesh.founder);
    let [first, last] = [1, 4].map(|serial| mesh.tagging(about, serial, &["web"]));
    for tagging in [&first, &last] {
        assert_eq!(log.apply(0, Command::Tag(tagging.clone())), Outcome::Tagged(FOUNDER));
    }
    let before = log.state.hash();
    let [unsaid, other] =
        [(2, ["web"]), (4, ["db"])].map(|(n, tags)| mesh.tagging(about, n, &tags));
    for stale in [unsaid, other, mesh.tagging(about, 1, &["db"]), mesh.tagging(about, 0, &[])] {
        let refusal = Refusal::StaleTags { member: FOUNDER, serial: 4 };
        let command = Command::Tag(stale);
        assert_eq!(log.state.would_refuse(&after(0, command.clone())), Some(refusal.clone()));
        assert_eq!(log.apply(0, command), Outcome::Refused(refusal));
    }
    assert_eq!(log.apply(0, Command::Tag(first)), Outcome::Tagged(FOUNDER), "said once already");
    assert_eq!(log.state.hash(), before);
}

#[test]
fn nobody_but_the_root_tags_and_only_whom_it_means() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let about = (FOUNDER, &mesh.founder);
    let tagging = mesh.tagging(about, 1, &["web"]).peek().expect("our own");
    let by_a_member = Signed::seal(&tagging, &mesh.founder.identity);
    let elsewhere = Tagging { mesh: Mesh::new(2).id(), ..tagging.clone() };
    let elsewhere = Signed::seal(&elsewhere, &mesh.root_secret);
    for forged in [by_a_member, elsewhere, Mesh::new(2).tagging(about, 1, &["web"])] {
        let command = Command::Tag(forged);
        let foreseen = log.state.would_refuse(&after(0, command.clone()));
        assert!(matches!(foreseen, Some(Refusal::Chain(_))), "{foreseen:?}");
        let outcome = log.apply(0, command);
        assert!(matches!(outcome, Outcome::Refused(Refusal::Chain(_))), "{outcome:?}");
    }
    let nobody = mesh.tagging((MemberId(7), &mesh.founder), 1, &[]);
    let refused = log.apply(0, Command::Tag(nobody));
    assert_eq!(refused, Outcome::Refused(Refusal::UnknownMember(MemberId(7))));
    let another = mesh.tagging((FOUNDER, &Host::new(5)), 1, &[]);
    let refused = log.apply(0, Command::Tag(another));
    assert_eq!(refused, Outcome::Refused(Refusal::OtherIdentity(FOUNDER)));
    assert!(tags(&log.state, FOUNDER).is_empty());
}

#[test]
fn tags_are_bounded_wherever_they_come_from() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let longest = |number: usize| -> Vec<String> {
        (0..number).map(|n| format!("{}{n:02}", "x".repeat(30))).collect()
    };
    let (most, more) = (longest(MAX_TAGS), longest(MAX_TAGS + 1));
    let [most, more] =
        [&most, &more].map(|tags| tags.iter().map(String::as_str).collect::<Vec<_>>());
    let refusal = Outcome::Refused(Refusal::TooManyTags(MAX_TAGS + 1));
    let about = (FOUNDER, &mesh.founder);
    assert_eq!(log.apply(0, Command::Tag(mesh.tagging(about, 1, &more))), refusal);
    let said = log.apply(0, Command::Tag(mesh.tagging(about, MAX_LEAP, &most)));
    assert_eq!(said, Outcome::Tagged(FOUNDER));
    assert_eq!(log.apply(0, mesh.invite_tagged(1, &more).add()), refusal);
    let ticket = mesh.invite_tagged(2, &most);
    assert!(matches!(log.apply(0, ticket.add()), Outcome::InviteAdded(_)));
    log.admit(&ticket, &Host::new(1));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn tags_go_with_their_member_but_not_with_a_ban() {
    let (mesh, host) = (Mesh::new(1), Host::new(1));
    let mut log = Log::of(&mesh);
    let ticket = mesh.invite(1, 1);
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &host);
    log.apply(0, Command::Tag(mesh.tagging((member, &host), 1, &["web"])));
    log.apply(0, mesh.judge((member, &host), 1, fixture::ban(None)));
    assert_eq!(log.state.view(9).banned[&member].member.tags, tag_set(&["web"]));
    let known = log.state.clone();
    log.apply(0, host.depart(mesh.id(), member));
    assert_eq!(log.state.tags().iter().len(), 0);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    assert!(log.state.continues(&known));
}

#[test]
fn the_last_policy_stands_and_earlier_ones_are_history() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    assert_eq!(log.state.view(1).access, None, "everybody may reach everybody");
    let first = mesh.access(1, vec![pings()]);
    assert_eq!(log.apply(5, set(&first)), Outcome::AccessSet(1));
    let last = log.state.audit().iter().last().expect("an entry");
    assert_eq!(last.event, Event::AccessSet { serial: 1, rules: 1 });
    let before = log.state.hash();
    assert_eq!(log.apply(9, set(&first)), Outcome::AccessSet(1), "again");
    assert_eq!(log.state.hash(), before);

    for serial in 2..40 {
        let policy = mesh.access(serial, vec![pings(), web()]);
        assert_eq!(log.apply(10, set(&policy)), Outcome::AccessSet(serial));
    }
    let remembered: Vec<u64> =
        log.state.access().iter().map(|entry| entry.policy().serial).collect();
    assert_eq!(remembered, (40 - MAX_HISTORY as u64..40).collect::<Vec<_>>());
    let standing = log.state.view(9).access.expect("it stands");
    assert_eq!((standing.serial, standing.rules.len()), (39, 2));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let back: State = codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);
}

#[test]
fn an_earlier_policy_does_not_come_back() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let policies = [1, 5].map(|serial| mesh.access(serial, vec![pings()]));
    for policy in &policies {
        log.apply(0, set(policy));
    }
    let before = log.state.hash();
    assert_eq!(log.apply(0, set(&policies[0])), Outcome::AccessSet(1), "said once already");
    for stale in [mesh.access(1, vec![]), mesh.access(5, vec![]), mesh.access(0, vec![])] {
        let refusal = Refusal::StaleAccess(5);
        assert_eq!(log.state.would_refuse(&after(0, set(&stale))), Some(refusal.clone()));
        assert_eq!(log.apply(0, set(&stale)), Outcome::Refused(refusal));
    }
    assert_eq!(log.state.hash(), before);
    let first = Log::of(&mesh).apply(0, set(&mesh.access(0, vec![])));
    assert_eq!(first, Outcome::Refused(Refusal::StaleAccess(0)), "serials begin with 1");
}

#[test]
fn nobody_but_the_root_says_who_may_reach_whom() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let policy = mesh.access(1, vec![pings()]).peek().expect("our own");
    let by_a_member = Signed::seal(&policy, &mesh.founder.identity);
    let relabelled = AccessPolicy { mesh: Mesh::new(2).id(), ..policy };
    let of_another_mesh = Signed::seal(&relabelled, &mesh.root_secret);
    for forged in [by_a_member, of_another_mesh, Mesh::new(2).access(1, vec![])] {
        let foreseen = log.state.would_refuse(&after(0, set(&forged)));
        assert!(matches!(foreseen, Some(Refusal::Chain(_))), "{foreseen:?}");
        let outcome = log.apply(0, set(&forged));
        assert!(matches!(outcome, Outcome::Refused(Refusal::Chain(_))), "{outcome:?}");
    }
    assert_eq!(log.state.access().policy(), None);
}

#[test]
fn policies_are_bounded() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    // The longest selectors there are, and as many as there may be.
    let selector = |n: usize| tagged(&format!("{}{n:03}", "x".repeat(29)));
    let from: Vec<Selector> = (0..MAX_TERMS - MAX_RULES + 1).map(selector).collect();
    let mut rules = vec![rule(&from, &[], Protocol::Any, &[])];
    rules.extend(vec![rule(&[selector(0)], &[], Protocol::Any, &[]); MAX_RULES - 1]);
    let most = set(&mesh.access(MAX_LEAP, rules.clone()));
    let proposal = after(u64::MAX / 2, most.clone());
    assert_eq!(codec::decode(&codec::encode(&proposal)), Ok(proposal), "it fits an entry");
    assert_eq!(log.apply(0, most), Outcome::AccessSet(MAX_LEAP));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));

    rules[0].to.push(Selector::Any);
    let with_ports = rule(&[], &[], Protocol::Icmp, &["80"]);
    for (rules, bound) in [
        (rules, AccessBound::Terms),
        (vec![rule(&[], &[], Protocol::Any, &[]); MAX_RULES + 1], AccessBound::Rules),
        (vec![with_ports], AccessBound::Ports),
    ] {
        let outcome = log.apply(0, set(&mesh.access(u64::MAX, rules)));
        assert_eq!(outcome, Outcome::Refused(Refusal::AccessBounds(bound)));
    }
}

/// Where in the log of [`lived`] its host was first tagged, and where the first policy was set.
const TAGGED: u64 = 4;
const SET: u64 = 5;

/// A log in which two policies were agreed and host 1, which came tagged, was tagged anew.
fn lived() -> (Mesh, Log, MemberId) {
    let (mesh, host) = (Mesh::new(1), Host::new(1));
    let mut log = Log::of(&mesh);
    let ticket = mesh.invite_tagged(1, &["eu"]);
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &host);
    for serial in [1, 2] {
        log.apply(0, Command::Tag(mesh.tagging((member, &host), serial, &["web"])));
        log.apply(0, set(&mesh.access(serial, vec![web()])));
    }
    (mesh, log, member)
}

/// `signed` as the root's word, agreed at `at`.
fn at<T>(at: u64, signed: Signed<T>) -> Said<T> {
    (signed, AdminId::ROOT, at)
}

/// Each lie tells the trail's own story where it can: what is found is the lie itself.
#[test]
fn a_snapshot_with_what_no_admin_said_is_found() {
    let (mesh, log, member) = lived();
    let (host, stranger) = (Host::new(1), Mesh::new(2));
    let wide = || vec![rule(&[Selector::Any], &[Selector::Any], Protocol::Any, &[])];
    let tagging = |host: &Host| at(TAGGED, mesh.tagging((member, host), 1, &["web"]));
    let tag = |id, said: Said<Tagging>| forged(&log.state, |it| drop(it.tags.insert(id, said)));
    let made_up = at(TAGGED, stranger.tagging((member, &host), 1, &["web"]));
    let nobody = at(TAGGED, mesh.tagging((MemberId(99), &host), 1, &["web"]));
    let foreign = at(SET, stranger.access(1, wide()));
    let twice = at(SET + 2, mesh.access(2, wide()));
    for (what, planted) in [
        ("tags by another root", tag(member, made_up)),
        ("tags of another", tag(FOUNDER, tagging(&host))),
        ("tags of nobody", tag(MemberId(99), nobody)),
        ("another's identity", tag(member, tagging(&Host::new(2)))),
        ("tags agreed elsewhere", tag(member, at(SET, tagging(&host).0))),
        ("a policy by another root", forged(&log.state, |it| it.access[0].0 = foreign)),
        ("one serial twice", forged(&log.state, |it| it.access.push((twice, 0)))),
        ("an older one last", forged(&log.state, |it| it.access.swap(0, 1))),
    ] {
        assert!(planted.verify(&mesh.root).is_err(), "{what}");
    }
    // The invite's tags are under its signature like all of it.
    let widened = forged(&log.state, |it| {
        for ((signed, ..), ..) in it.invites.values_mut() {
            let invite = Invite { tags: tag_set(&["db"]), ..signed.peek().expect("ours") };
            *signed = Signed::seal(&invite, &mesh.founder.identity);
        }
    });
    assert!(widened.verify(&mesh.root).is_err());
}

#[test]
fn a_snapshot_with_more_policies_than_are_kept_is_found() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    for serial in 1..=MAX_HISTORY as u64 + 1 {
        log.apply(0, set(&mesh.access(serial, vec![])));
    }
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    // It was said, and agreed there; but every correct member has forgotten it.
    let forgotten = (at(2, mesh.access(1, vec![])), fixture::BORN_MS);
    let hoarded = forged(&log.state, |it| it.access.insert(0, forgotten));
    assert!(hoarded.verify(&mesh.root).is_err());
}

#[test]
fn a_snapshot_that_goes_back_is_found() {
    let (mesh, log, member) = lived();
    let earlier_tags = at(TAGGED, mesh.tagging((member, &Host::new(1)), 1, &["web"]));
    for (what, planted) in [
        ("tags forgotten", forged(&log.state, |it| drop(it.tags.remove(&member)))),
        ("earlier tags", forged(&log.state, |it| drop(it.tags.insert(member, earlier_tags)))),
        ("no policy", forged(&log.state, |it| it.access.clear())),
        ("the earlier policy", forged(&log.state, |it| drop(it.access.pop()))),
        ("a history forgotten", forged(&log.state, |it| drop(it.access.remove(0)))),
        ("a history moved", forged(&log.state, |it| it.access[0].1 += 1)),
    ] {
        assert_eq!(planted.verify(&mesh.root), Ok(()), "{what}: all of it is genuine");
        assert!(!planted.continues(&log.state), "{what}");
    }
    let mut later = Log { state: log.state.clone(), next: log.next };
    for serial in 3..60 {
        later.apply(0, set(&mesh.access(serial, vec![])));
        assert!(later.state.continues(&log.state), "at {serial}");
    }
}
