//! Tags, policies and revocations that are signed with an admin's key.

use mesh_model::access::{Protocol, Rule, Selector};
use mesh_model::api::v1::{InviteInfo, InviteState, Invites, MemberName, PolicyPreview};
use mesh_model::trust::{
    AccessPolicy, Request, Revocation, Ruling, Tagging, Verdict, VoterPolicy, VoterTarget, Wish,
};
use mesh_model::{Cosigned, InviteId, MemberId};
use serde_json::json;

use crate::alice::{Alice, agreed, draft, refused, root};
use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::mesh;

/// A draft in which `member` has exactly these tags.
pub(crate) fn tagging(member: u64, tags: &[&str]) -> Request {
    let (mesh, identity) = (root().mesh, root().key);
    let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
    let member = MemberId(member);
    Request::Tag(Cosigned::new(&Tagging { mesh, member, identity, serial: 3, tags }))
}

#[test]
fn tags_are_given_with_an_admins_key_and_only_those_wanted() {
    let alice = Alice::new();
    let words = ["tag", "m7", "--add", "db", "--remove", "web"];
    let daemon = |made: &Request| {
        Daemon::with(&[
            ("POST /v1/requests", draft(made)),
            ("POST /v1/requests/submit", agreed(12)),
        ])
    };
    let good = daemon(&tagging(7, &["db", "eu"]));
    let ran = alice.says(&good, &words);
    let identity = root().key;
    assert_eq!(
        ran.stdout,
        format!(
            "agreed at index 12: member m7, whose identity is {identity}, has the tags tag:db tag:eu\n"
        )
    );
    let wanted = json!({"what": "tag", "member": "m7", "add": ["tag:db"], "remove": ["tag:web"]});
    assert_eq!(good.asked()[0].body, json!({"wanted": wanted, "sign": false}));
    for bad in [tagging(7, &["eu"]), tagging(7, &["db", "web"]), tagging(8, &["db"])] {
        refused(&daemon(&bad), &words, 0);
    }
}

#[test]
fn what_nobody_is_asked_about_is_told_before_it_is_signed() {
    let alice = Alice::new();
    // Which wishes stand besides, only the daemon knows: it may say anything.
    let wishes = [(MemberId(3), Wish::Always), (MemberId(7), Wish::Never)].into();
    let target = VoterTarget::of(5);
    let policy = VoterPolicy { mesh: root().mesh, serial: 2, target, wishes };
    let request = Request::SetVoters(Cosigned::new(&policy));
    // Nobody answers that it was agreed; it was signed all the same.
    let daemon = Daemon::with(&[("POST /v1/requests", draft(&request))]);
    let words = ["voters", "target", "5"];
    let ran = alice.says(&daemon, &words);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let mesh = root().mesh;
    let told = format!("For mesh {mesh}: 5 members vote, m3 before others, m7 never\nerror: ");
    assert!(ran.stderr.starts_with(&told), "{ran:?}");
    let ran = alice.says(&daemon, &[&words[..], &["--format", "json"]].concat());
    assert_eq!(ran.error()["code"], "bad_answer", "a program finds the error alone");
}

const POLICY: &str = r#"
[[allow]]
from = ["any"]
to = ["tag:web", "db1"]
protocol = "tcp"
ports = [443, "8000-8999"]

[[allow]]
from = ["m7"]
to = ["any"]
protocol = "icmp"
"#;

/// The rules of [`POLICY`].
fn rules() -> Vec<Rule> {
    let ports = ["443", "8000-8999"].map(|text| text.parse().expect("ports")).to_vec();
    let web = Selector::Tag("web".parse().expect("a tag"));
    let [db, seven] = [3, 7].map(|id| Selector::Member(MemberId(id)));
    let (any, tcp, icmp) = (vec![Selector::Any], Protocol::Tcp, Protocol::Icmp);
    vec![
        Rule { from: any.clone(), to: vec![web, db], protocol: tcp, ports },
        Rule { from: vec![seven], to: any, protocol: icmp, ports: vec![] },
    ]
}

/// A daemon that makes `rules` of a policy.
fn setter(rules: Vec<Rule>) -> Daemon {
    let policy = AccessPolicy { mesh: root().mesh, serial: 4, rules };
    let preview = PolicyPreview { pairs: 6, before: 6, after: 6, lost: 0 };
    Daemon::with(&[
        ("POST /v1/policy/preview", Reply::document(preview)),
        ("POST /v1/requests", draft(&Request::SetAccess(Cosigned::new(&policy)))),
        ("POST /v1/requests/submit", agreed(12)),
    ])
}

#[test]
fn a_policy_is_set_with_an_admins_key_rule_by_rule_as_it_stands_in_the_file() {
    let alice = Alice::new();
    let file = alice.path("policy.toml");
    std::fs::write(&file, POLICY).expect("written");
    let daemon = setter(rules());
    let ran = alice.says(&daemon, &["policy", "set", &file]);
    assert_eq!(
        ran.stdout,
        "agreed at index 12: policy 4: this is allowed, and nothing else\n  \
         from any to tag:web m3, tcp 443 8000-8999\n  from m7 to any, icmp\n"
    );
    assert_eq!(daemon.asked()[1].body["wanted"]["what"], "policy");

    let changes: [fn(&mut Vec<Rule>); 9] = [
        |rules| drop(rules.pop()),
        |rules| rules.push(rules[1].clone()),
        |rules| rules.swap(0, 1),
        |rules| rules[0].from = vec![Selector::Member(MemberId(9))],
        |rules| rules[0].to[0] = Selector::Any,
        |rules| rules[0].to[1] = Selector::Any,
        |rules| rules[0].ports.clear(),
        |rules| rules[1].protocol = Protocol::Any,
        |rules| rules[1].from = vec![Selector::Member(MemberId(8))],
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = rules();
        change(&mut changed);
        refused(&setter(changed), &["policy", "set", &file], number);
    }
}

#[test]
fn an_invite_is_taken_back_with_whom_it_brought_in() {
    let alice = Alice::new();
    let id = InviteId([5; 16]);
    let (of, identity) = (root().mesh, root().key);
    let revocation = Request::Revoke(Cosigned::new(&Revocation { mesh: of, invite: id }));
    let verdict = |member| {
        let reason = format!("came in by invite {id}, which was revoked").parse().ok();
        let ruling = Ruling::Banned { until_ms: None, reason };
        let verdict = Verdict { mesh: of, member: MemberId(member), identity, serial: 1, ruling };
        draft(&Request::Judge(Cosigned::new(&verdict)))
    };
    let name = |number: u64| format!("n{number}").parse().expect("a name");
    let member = |number| MemberName { member: MemberId(number), name: name(number) };
    let info = InviteInfo {
        invite: id,
        state: InviteState::Revoked,
        uses: 1,
        used: 1,
        created_ms: 0,
        expires_ms: 1,
        range: None,
        voter: false,
        // The host that is asked, one that is banned for a time, one for good, one that is excluded, and one that is not.
        members: [1, 2, 3, 4, 7].map(member).into(),
        tags: Default::default(),
    };
    let daemon = Daemon::with(&[
        ("POST /v1/requests", draft(&revocation)),
        ("POST /v1/requests", verdict(2)),
        ("POST /v1/requests", verdict(4)),
        ("POST /v1/requests", verdict(7)),
        ("POST /v1/requests/submit", agreed(12)),
        ("GET /v1/invites", Reply::document(Invites { invites: vec![info], applied: 12 })),
        ("GET /v1/bans", Reply::document(documents::bans())),
        ("GET /v1/status", Reply::document(documents::status())),
    ]);
    let ran = alice.says(&daemon, &["invites", "revoke", "0505", "--with-members"]);
    let told = format!(
        "revoked invite {id}; agreed at index 12\nbanned n2 (m2)\nbanned n4 (m4)\nbanned n7 (m7)\n\
         left out n1 (m1): it came in by it too, but is the host that was asked; `mesh leave` takes it out\n"
    );
    assert_eq!((ran.code, ran.stdout), (Some(0), told));
    let wanted =
        daemon.asked().into_iter().filter_map(|asked| asked.body["wanted"].get("member").cloned());
    assert_eq!(wanted.collect::<Vec<_>>(), ["m2", "m4", "m7"]);
    // Each statement would need a file of its own.
    let words = ["invites", "revoke", "0505", "--with-members", "--out", "/nonexistent/x"];
    assert_eq!(mesh(daemon.socket(), &words).code, Some(2));

    let daemon = Daemon::with(&[
        ("POST /v1/requests", draft(&revocation)),
        ("POST /v1/requests/submit", agreed(12)),
    ]);
    let ran = alice.says(&daemon, &["invites", "revoke", "0505"]);
    assert_eq!(ran.stdout, format!("agreed at index 12: invite {id} admits nobody any more\n"));
}
