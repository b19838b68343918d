//! What people's words for a policy mean, and what another policy would change.

mod fixture;

use std::collections::BTreeSet;
use std::sync::Arc;

use fixture::{Host, Log, Mesh, ban, rule, tag_set, tagged};
use mesh_control::access::{Effect, WordError, effect, read, write};
use mesh_control::command::Command;
use mesh_model::MemberId;
use mesh_model::access::{Protocol, Rule, Selector};
use mesh_model::api::v1::PolicyRule;
use mesh_model::trust::{AccessPolicy, Tag};
use mesh_model::view::ClusterView;
use proptest::prelude::*;

const ANY: Selector = Selector::Any;

/// The founder `h0`; `h1` (m3) and `h2` (m4); `m1`, who is m5; and `h4` (m6), who is banned. The first is tagged, and an
/// invite promises another tag.
fn mesh() -> (Log, Mesh) {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 4);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(1));
    log.admit(&ticket, &Host::new(2));
    log.admit(&ticket, &Host::new(3).named("m1"));
    let (banned, _) = log.admit(&ticket, &Host::new(4));
    log.apply(0, mesh.judge((banned, &Host::new(4)), 1, ban(None)));
    log.apply(0, Command::Tag(mesh.tagging((MemberId(1), &mesh.founder), 1, &["web"])));
    log.apply(0, mesh.invite_tagged(2, &["db"]).add());
    (log, mesh)
}

fn words(from: &[&str], to: &[&str], protocol: Protocol, ports: &[&str]) -> PolicyRule {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    PolicyRule { from: list(from), to: list(to), protocol, ports: list(ports) }
}

fn said(log: &Log, rule: PolicyRule) -> Result<Vec<Rule>, WordError> {
    read(&log.state.view(9), &log.state.known_tags(), &[rule]).map_err(|error| error.reason)
}

#[test]
fn words_mean_members_tags_or_everybody() {
    let (log, _) = mesh();
    let from = ["any", "tag:web", "tag:db", "h1", "m4", "m1", "h4"];
    let rules = said(&log, words(&from, &["any"], Protocol::Tcp, &["22", "80-90"])).expect("rules");
    let member = |id| Selector::Member(MemberId(id));
    // Whoever is called m1 is meant, rather than whoever has the id.
    let meant = [ANY, tagged("web"), tagged("db"), member(3), member(4), member(5), member(6)];
    assert_eq!(rules, [rule(&meant, &[ANY], Protocol::Tcp, &["22", "80-90"])]);
}

#[test]
fn a_word_nobody_knows_is_told_with_its_rule_and_what_to_do() {
    let (log, _) = mesh();
    let any = || words(&["any"], &["any"], Protocol::Icmp, &[]);
    let tag: Tag = "mail".parse().expect("a tag");
    for (rule, reason) in [
        (words(&["h9"], &["any"], Protocol::Any, &[]), WordError::Member("h9".to_owned())),
        (words(&["m2"], &["any"], Protocol::Any, &[]), WordError::Member("m2".to_owned())),
        (words(&["any"], &["tag:mail"], Protocol::Any, &[]), WordError::UnknownTag(tag)),
        (words(&[], &["any"], Protocol::Any, &[]), WordError::Empty("from")),
        (words(&["any"], &[], Protocol::Any, &[]), WordError::Empty("to")),
        (words(&["any"], &["any"], Protocol::Any, &["22"]), WordError::NoPorts),
        (words(&["any"], &["any"], Protocol::Udp, &["dns"]), WordError::Ports("dns".to_owned())),
    ] {
        let view = log.state.view(9);
        let error = read(&view, &log.state.known_tags(), &[any(), rule]).expect_err("told");
        assert_eq!((error.place, &error.reason), (2, &reason));
        assert!(error.to_string().starts_with("rule 2: "));
    }
    let hostile = words(&[&"\u{9b}x".repeat(5_000)], &["any"], Protocol::Any, &[]);
    assert!(said(&log, hostile).is_err_and(|reason| reason.to_string().len() < 200));
    assert!(matches!(
        said(&log, words(&["tag:No"], &["any"], Protocol::Any, &[])),
        Err(WordError::Tag(_))
    ));
}

#[test]
fn what_is_shown_reads_back_as_the_same_rules() {
    let (log, _) = mesh();
    let view = log.state.view(9);
    let member = |id| Selector::Member(MemberId(id));
    let rules = [rule(&[ANY, tagged("web"), member(3)], &[member(5)], Protocol::Udp, &["53"])];
    let shown: Vec<PolicyRule> = rules.iter().map(|rule| write(&view, rule)).collect();
    assert_eq!(shown[0].from, ["any", "tag:web", "h1"]);
    assert_eq!(read(&view, &log.state.known_tags(), &shown).expect("rules"), rules);
    let gone = rule(&[member(77)], &[ANY], Protocol::Any, &[]);
    assert_eq!(write(&view, &gone).from, ["m77"], "nobody is called so any more");
}

#[test]
fn an_open_mesh_loses_what_a_policy_leaves_out() {
    let (log, _) = mesh();
    let view = log.state.view(9);
    assert_eq!(effect(&view, &[]), Effect { pairs: 12, before: 12, after: 0, lost: 12 });
    let to_web = [rule(&[ANY], &[tagged("web")], Protocol::Tcp, &["80"])];
    assert_eq!(effect(&view, &to_web), Effect { pairs: 12, before: 12, after: 3, lost: 9 });
    let everything = [rule(&[ANY], &[ANY], Protocol::Icmp, &[])];
    assert_eq!(effect(&view, &everything), Effect { pairs: 12, before: 12, after: 12, lost: 0 });
}

fn selectors() -> impl Strategy<Value = Vec<Selector>> {
    let member = (1u64..7).prop_map(|id| Selector::Member(MemberId(id)));
    let tag = prop::sample::select(vec!["web", "db"]).prop_map(tagged);
    prop::collection::vec(prop_oneof![1 => Just(ANY), 3 => member, 3 => tag], 0..3)
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let any_rule =
        (selectors(), selectors()).prop_map(|(from, to)| rule(&from, &to, Protocol::Any, &[]));
    prop::collection::vec(any_rule, 0..4)
}

/// Pair by pair.
fn counted(view: &ClusterView, rules: &[Rule]) -> Effect {
    let mut effect = Effect::default();
    for (from, to) in
        view.members.values().flat_map(|from| view.members.values().map(move |to| (from, to)))
    {
        if from.id == to.id {
            continue;
        }
        let reaches = |rules: &[Rule]| rules.iter().any(|rule| rule.is_between(from, to));
        let now = view.access.as_ref().is_none_or(|policy| reaches(&policy.rules));
        let then = reaches(rules);
        effect.pairs += 1;
        effect.before += u64::from(now);
        effect.after += u64::from(then);
        effect.lost += u64::from(now && !then);
    }
    effect
}

proptest! {
    #[test]
    fn kinds_of_members_count_as_the_members_do(
        before in prop::option::of(rules()),
        after in rules(),
        tags in prop::collection::vec(prop::sample::subsequence(vec!["web", "db"], 0..=2), 4),
    ) {
        let (log, mesh) = mesh();
        let mut view = log.state.view(9);
        for (member, tags) in view.members.values_mut().zip(tags) {
            member.tags = tag_set(&tags);
        }
        view.access = before.map(|rules| Arc::new(AccessPolicy { mesh: mesh.id(), serial: 1, rules }));
        prop_assert_eq!(effect(&view, &after), counted(&view, &after));
    }
}

#[test]
fn tags_that_are_only_promised_are_known() {
    let (log, _) = mesh();
    let known: BTreeSet<Tag> = tag_set(&["web", "db"]);
    assert_eq!(log.state.known_tags(), known);
}
