//! What a receiver lets in is what the policy says, for any policy and any members.

mod fixture;

use std::collections::BTreeMap;
use std::sync::Arc;

use fixture::{Host, Log, Mesh, rule, tagged};
use mesh_control::access::Verdict;
use mesh_control::planner::plan;
use mesh_model::MemberId;
use mesh_model::access::{Inbound, PortRange, Protocol, Rule, Selector, Traffic};
use mesh_model::trust::AccessPolicy;
use mesh_model::view::{BannedView, ClusterView, MemberView};
use proptest::prelude::*;

/// Members of the test mesh: the founder and those admitted at indices 3 to 5.
const IDS: [MemberId; 4] = [MemberId(1), MemberId(3), MemberId(4), MemberId(5)];

/// A mesh of [`IDS`] in which each has the tags of its place in `tags`.
fn view(tags: &[Vec<&'static str>; 4], rules: Option<Vec<Rule>>) -> ClusterView {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 3);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    for number in 1..=3 {
        log.admit(&ticket, &Host::new(number));
    }
    let mut view = log.state.view(5);
    for (member, tags) in view.members.values_mut().zip(tags) {
        member.tags = fixture::tag_set(tags);
    }
    view.access = rules.map(|rules| Arc::new(AccessPolicy { mesh: mesh.id(), serial: 1, rules }));
    view
}

/// What `to` lets `from` begin, by the plan.
fn inbound(view: &ClusterView, from: &MemberView, to: MemberId) -> Inbound {
    plan(view, to, &BTreeMap::new()).peers[&from.tunnel].inbound.clone()
}

/// The rules one by one, with nothing of the product's.
fn naive(view: &ClusterView, from: &MemberView, to: &MemberView, traffic: Traffic) -> bool {
    let Some(policy) = &view.access else { return true };
    for rule in &policy.rules {
        let means = |selectors: &[Selector], member: &MemberView| {
            selectors.iter().any(|selector| match selector {
                Selector::Any => true,
                Selector::Member(id) => *id == member.id,
                Selector::Tag(tag) => member.tags.iter().any(|own| own == tag),
            })
        };
        let (protocol, port) = match traffic {
            Traffic::Tcp(port) => (Some(Protocol::Tcp), port),
            Traffic::Udp(port) => (Some(Protocol::Udp), port),
            Traffic::Icmp => (Some(Protocol::Icmp), 0),
            Traffic::Other => (None, 0),
        };
        let named = |range: &PortRange| range.first() <= port && port <= range.last();
        let carries = rule.protocol == Protocol::Any
            || Some(rule.protocol) == protocol
                && (rule.ports.is_empty() || rule.ports.iter().any(named));
        if means(&rule.from, from) && means(&rule.to, to) && carries {
            return true;
        }
    }
    false
}

/// A few tags, so that they meet.
const TAGS: [&str; 3] = ["web", "db", "eu"];

fn some_tags() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(TAGS.to_vec(), 0..=TAGS.len())
}

fn selectors() -> impl Strategy<Value = Vec<Selector>> {
    // Index 2 is the invite's: a member that never was.
    let member = (1u64..=6).prop_map(|id| Selector::Member(MemberId(id)));
    let tag = prop::sample::select(TAGS.to_vec()).prop_map(tagged);
    prop::collection::vec(prop_oneof![1 => Just(Selector::Any), 3 => member, 3 => tag], 0..3)
}

/// Ports lie close together, so that ranges meet, nest and touch; and at both ends of what there is.
fn port() -> impl Strategy<Value = u16> {
    prop_oneof![4 => 1u16..40, 1 => 65_500u16..=u16::MAX]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range =
        (port(), port()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).expect("in order"));
    prop::collection::vec(range, 0..4)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let protocol =
        prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Any]);
    (selectors(), selectors(), protocol, ports()).prop_map(|(from, to, protocol, ports)| Rule {
        ports: if protocol.has_ports() { ports } else { Vec::new() },
        from,
        to,
        protocol,
    })
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![
        4 => port().prop_map(Traffic::Tcp),
        2 => port().prop_map(Traffic::Udp),
        1 => Just(Traffic::Icmp),
        1 => Just(Traffic::Other),
    ]
}

proptest! {
    #[test]
    fn what_is_compiled_is_what_was_said(
        tags in prop::array::uniform4(some_tags()),
        rules in prop::option::weighted(0.95, prop::collection::vec(any_rule(), 0..6)),
        probes in prop::collection::vec(traffic(), 20),
    ) {
        let view = view(&tags, rules);
        for (from, to) in IDS.iter().flat_map(|from| IDS.iter().map(move |to| (from, to))) {
            if from == to {
                continue;
            }
            let (from, to) = (&view.members[from], &view.members[to]);
            let inbound = inbound(&view, from, to.id);
            for probe in &probes {
                let said = naive(&view, from, to, *probe);
                prop_assert_eq!(inbound.permits(*probe), said, "{:?} from {} to {}", probe, from.id, to.id);
                prop_assert_eq!(Verdict::on(&view, from, to, *probe).allows(), said);
            }
        }
    }
}

#[test]
fn without_a_policy_nobody_asks_who_began_what_and_under_any_somebody_does() {
    let tags = [const { Vec::new() }; 4];
    let open = view(&tags, None);
    assert_eq!(inbound(&open, &open.members[&IDS[1]], IDS[0]), Inbound::Everything);
    let everything = rule(&[Selector::Any], &[Selector::Any], Protocol::Any, &[]);
    let lifted = view(&tags, Some(vec![everything]));
    let inbound_of = |view: &ClusterView| inbound(view, &view.members[&IDS[1]], IDS[0]);
    assert!(matches!(inbound_of(&lifted), Inbound::Only(_)));
    assert!(inbound_of(&lifted).permits(Traffic::Other));
    let view = view(&tags, Some(Vec::new()));
    assert!(!inbound_of(&view).permits(Traffic::Icmp), "a policy without rules denies");
}

#[test]
fn what_is_banned_is_denied_whatever_the_policy_says() {
    let everything = rule(&[Selector::Any], &[Selector::Any], Protocol::Any, &[]);
    for rules in [None, Some(vec![everything])] {
        let mut view = view(&[const { Vec::new() }; 4], rules);
        let [here, there, out, _] = IDS.map(|id| view.members[&id].clone());
        let until_ms = Some(9);
        let member = view.members.remove(&out.id).expect("a member");
        let banned = BannedView { member, since_ms: 1, until_ms, reason: None, exclusion: None };
        view.banned.insert(out.id, banned.clone());
        for (from, to) in [(&here, &out), (&out, &here)] {
            assert_eq!(Verdict::on(&view, from, to, Traffic::Icmp), Verdict::Banned(&banned));
        }
        assert!(!Verdict::Banned(&banned).allows());
        assert!(Verdict::on(&view, &here, &there, Traffic::Icmp).allows());
        assert!(!plan(&view, here.id, &BTreeMap::new()).peers.contains_key(&out.tunnel));
    }
}

#[test]
fn peers_under_the_same_rules_share_them() {
    let tags = [vec![], vec!["web"], vec!["web"], vec!["db"]];
    let web = rule(&[tagged("web")], &[Selector::Any], Protocol::Tcp, &["80"]);
    let elsewhere = rule(&[tagged("db")], &[Selector::Member(IDS[3])], Protocol::Tcp, &["5432"]);
    let view = view(&tags, Some(vec![web, elsewhere]));
    let openings = |id: MemberId| match inbound(&view, &view.members[&id], IDS[0]) {
        Inbound::Only(openings) => openings,
        Inbound::Everything => panic!("{id} is held to nothing"),
    };
    assert_eq!(openings(IDS[1]), openings(IDS[2]));
    let plan = plan(&view, IDS[0], &BTreeMap::new());
    let shared = |id: MemberId| match &plan.peers[&view.members[&id].tunnel].inbound {
        Inbound::Only(openings) => Arc::as_ptr(openings),
        Inbound::Everything => panic!("{id} is held to nothing"),
    };
    assert_eq!(shared(IDS[1]), shared(IDS[2]));
    assert_ne!(shared(IDS[1]), shared(IDS[3]));
}

#[test]
fn a_member_that_is_gone_matches_nobody() {
    let tags = [const { Vec::new() }; 4];
    let named = rule(&[Selector::Member(IDS[2])], &[Selector::Any], Protocol::Tcp, &["22"]);
    let mut view = view(&tags, Some(vec![named]));
    let ssh = Traffic::Tcp(22);
    assert!(inbound(&view, &view.members[&IDS[2]], IDS[0]).permits(ssh));
    view.members.remove(&IDS[2]);
    for id in [IDS[1], IDS[3]] {
        assert!(!inbound(&view, &view.members[&id], IDS[0]).permits(ssh));
    }
}
