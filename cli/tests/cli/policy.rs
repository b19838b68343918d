//! `mesh policy`, `mesh tag` and `mesh tags`: what is sent, shown and exited with.

use std::path::PathBuf;

use mesh_model::MemberId;
use mesh_model::access::Protocol;
use mesh_model::api::v1::{
    Ban, BanKind, Document, ErrorCode, MemberName, MemberTags, Policy, PolicyHistory,
    PolicyPreview, PolicyReply, PolicyRule, PolicyTest, TagReply, Tags,
};
use mesh_model::trust::Name;
use serde_json::json;

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, mesh, mesh_with_input};

const FILE: &str = r#"
[[allow]]
from = ["any"]
to = ["tag:web", "db1"]
protocol = "tcp"
ports = [443, "8000-8999"]

[[allow]]
from = ["any"]
to = ["any"]
protocol = "icmp"
"#;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn rules() -> Vec<PolicyRule> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let rule = |to: &[&str], protocol, ports: &[&str]| PolicyRule {
        from: words(&["any"]),
        to: words(to),
        protocol,
        ports: words(ports),
    };
    vec![
        rule(&["tag:web", "db1"], Protocol::Tcp, &["443", "8000-8999"]),
        rule(&["any"], Protocol::Icmp, &[]),
    ]
}

fn policy() -> Policy {
    Policy { serial: 3, since_ms: Some(1_767_225_600_000), rules: rules(), applied: 45 }
}

fn preview(lost: u64) -> Reply {
    Reply::document(PolicyPreview { pairs: 6, before: 6, after: 6 - lost, lost })
}

fn agreed() -> Reply {
    Reply::document(PolicyReply { serial: 4, rules: 2, index: 46, applied_by: None })
}

/// A daemon that sets policies, of which one loses `lost` pairs.
fn setter(lost: u64) -> Daemon {
    Daemon::with(&[("POST /v1/policy/preview", preview(lost)), ("POST /v1/policy", agreed())])
}

fn run(daemon: &Daemon, args: &[&str]) -> Ran {
    mesh(daemon.socket(), args)
}

/// A file with `text`, which goes with the folder it is in.
fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

#[test]
fn show_is_a_table_of_rules() {
    let daemon = Daemon::with(&[("GET /v1/policy", Reply::document(policy()))]);
    let ran = run(&daemon, &["policy", "show"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let (facts, table) = ran.stdout.split_once("\n\n").expect("facts and a table");
    assert!(facts.starts_with("policy  3\nsince "), "{facts}");
    assert_eq!(
        table,
        "RULE  FROM  TO           PROTOCOL  PORTS\n   \
         1  any   tag:web db1  tcp       443 8000-8999\n   \
         2  any   any          icmp      -\n"
    );
    let shown = run(&daemon, &["policy", "show", "--format", "json"]).document();
    assert_eq!(shown, serde_json::to_value(Document::from(policy())).expect("plain data"));

    let none = Policy { serial: 0, since_ms: None, rules: vec![], applied: 45 };
    let daemon = Daemon::with(&[("GET /v1/policy", Reply::document(none))]);
    let ran = run(&daemon, &["policy", "show"]);
    assert_eq!(ran.stdout, "there is no policy: everybody may reach everybody\n");
}

#[test]
fn history_shows_each_policy_since_when() {
    let denying = Policy { serial: 2, since_ms: Some(0), rules: vec![], ..policy() };
    let history = PolicyHistory { policies: vec![denying, policy()] };
    let daemon = Daemon::with(&[("GET /v1/policy/history", Reply::document(history))]);
    let ran = run(&daemon, &["policy", "history"]);
    let begins = "policy 2 since 1970-01-01T00:00:00Z: 0 rules\nnothing is allowed\n\npolicy 3 since 2026-01-01T00:00:00Z: 2 rules\n";
    assert!(ran.stdout.starts_with(begins), "{ran:?}");
}

#[test]
fn set_sends_the_file_rule_by_rule() {
    let (_folder, path) = file(FILE.as_bytes());
    let daemon = setter(0);
    let ran = run(&daemon, &["policy", "set", path.to_str().expect("text")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, "policy 4 set: 2 rules; agreed at index 46\n");
    let asked = daemon.asked();
    let rules = serde_json::to_value(rules()).expect("plain data");
    assert_eq!(asked[0].body, json!({"rules": rules}));
    assert_eq!(asked[1].body, json!({"rules": rules, "wait_ms": null}));

    // From standard input there is nobody to ask, whatever is lost.
    let daemon = setter(4);
    let ran = mesh_with_input(daemon.socket(), &["policy", "set", "-"], FILE.as_bytes());
    assert_eq!((ran.code, daemon.asked().len()), (Some(0), 2), "{ran:?}");
}

#[test]
fn a_file_that_is_no_policy_is_told_before_the_daemon_is_bothered() {
    let long = vec![b'#'; 300 << 10];
    for (bytes, told) in [
        (&b"[[allow]"[..], "line 1"),
        (b"", "allows nothing at all"),
        (b"\xff\xfe", "not UTF-8"),
        (&long, "longer than"),
        (b"[[allow]]\nfrom = ['any']\nto = ['any']\nprotocol = 'sctp'\n", "sctp"),
    ] {
        let (_folder, path) = file(bytes);
        let daemon = setter(0);
        let ran =
            run(&daemon, &["policy", "set", path.to_str().expect("text"), "--format", "json"]);
        let error = ran.error();
        assert_eq!((ran.code, error["code"].as_str()), (Some(2), Some("policy_file")));
        assert!(error["message"].as_str().is_some_and(|text| text.contains(told)), "{error}");
        assert_eq!(daemon.asked(), []);
    }
    let daemon = setter(0);
    let ran = run(&daemon, &["policy", "set", "/nonexistent/policy.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("cannot read the policy /nonexistent/policy.toml"), "{ran:?}");
}

#[test]
fn what_the_daemon_does_not_understand_is_not_set() {
    let (_folder, path) = file(FILE.as_bytes());
    let told = Reply::error(400, ErrorCode::BadRequest, "rule 1: there is no member `db1`", "");
    let daemon = Daemon::with(&[("POST /v1/policy/preview", told), ("POST /v1/policy", agreed())]);
    let ran = run(&daemon, &["policy", "set", path.to_str().expect("text")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("there is no member `db1`"), "{ran:?}");
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn test_says_by_which_rule_and_exits_by_the_verdict() {
    let verdict = |allowed, rule: Option<usize>, serial| PolicyTest {
        from: MemberName { member: MemberId(2), name: name("n2") },
        to: MemberName { member: MemberId(7), name: name("db1") },
        allowed,
        serial,
        rule,
        because: rule.map(|_| rules().remove(0)),
        ban: None,
    };
    let banned = |kind| {
        let held = documents::bans().bans.into_iter().find(|ban| ban.kind == kind);
        let held = held.expect("one of each kind");
        let ban = Ban { member: MemberId(7), name: name("db1"), ..held };
        PolicyTest { ban: Some(ban), ..verdict(false, None, 3) }
    };
    for (verdict, code, shown) in [
        (
            verdict(true, Some(1), 3),
            0,
            "allowed: n2 (m2) to db1 (m7), tcp 443\nby rule 1: from any to tag:web db1, tcp 443 8000-8999\n",
        ),
        (verdict(true, None, 0), 0, "allowed: n2 (m2) to db1 (m7), tcp 443\nthere is no policy\n"),
        (
            verdict(false, None, 3),
            1,
            "denied: n2 (m2) to db1 (m7), tcp 443\nby no rule of policy 3\n",
        ),
        (banned(BanKind::Ban), 1, "denied: n2 (m2) to db1 (m7), tcp 443\ndb1 (m7) is banned\n"),
        (
            banned(BanKind::Exclusion),
            1,
            "denied: n2 (m2) to db1 (m7), tcp 443\ndb1 (m7) is excluded\n",
        ),
    ] {
        let daemon = Daemon::with(&[("POST /v1/policy/test", Reply::document(verdict))]);
        let ran = run(&daemon, &["policy", "test", "n2", "db1", "tcp", "443"]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(code), shown, ""));
        let asked = json!({"from": "n2", "to": "db1", "protocol": "tcp", "port": 443});
        assert_eq!(daemon.asked()[0].body, asked);
    }
    let daemon = Daemon::with(&[]);
    for args in [&["n2", "db1", "gre"][..], &["n2", "db1", "tcp", "0"], &["n2", "db1"]] {
        let ran = run(&daemon, &[&["policy", "test"], args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}");
    }
}

#[test]
fn tags_are_given_taken_and_shown() {
    let tags = |tags: &[&str]| tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
    let reply = TagReply {
        member: MemberId(2),
        name: name("n2"),
        tags: tags(&["web", "eu"]),
        index: 46,
        applied_by: None,
    };
    let daemon = Daemon::with(&[("POST /v1/tags", Reply::document(reply))]);
    let ran = run(&daemon, &["tag", "n2", "--add", "web,tag:eu", "--remove", "db"]);
    assert_eq!(ran.stdout, "tagged n2 (m2): tag:eu tag:web; agreed at index 46\n", "{ran:?}");
    let asked = json!({"member": "n2", "add": ["tag:eu", "tag:web"], "remove": ["tag:db"], "wait_ms": null});
    assert_eq!(daemon.asked()[0].body, asked);
    for args in [&["tag", "n2"][..], &["tag", "n2", "--add", "No"], &["tag", "--add", "web"]] {
        assert_eq!(run(&daemon, args).code, Some(2), "{args:?}");
    }

    let member =
        |id, text: &str, of| MemberTags { member: MemberId(id), name: name(text), tags: of };
    let members = vec![member(1, "n1", tags(&[])), member(2, "n2", tags(&["web", "eu"]))];
    let daemon = Daemon::with(&[("GET /v1/tags", Reply::document(Tags { members, applied: 45 }))]);
    let ran = run(&daemon, &["tags"]);
    assert_eq!(ran.stdout, "NAME  ID  TAGS\nn1    m1  -\nn2    m2  tag:eu tag:web\n", "{ran:?}");
}
