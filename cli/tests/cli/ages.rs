//! How new it is what is shown of the agreed state: asked for, and told.

use std::path::Path;

use mesh_model::MemberId;
use mesh_model::api::v1::{
    Admins, AsOf, MemberName, Policy, PolicyHistory, PolicyTest, Schema, Tags,
};
use mesh_model::trust::AdminsHead;
use serde::Serialize;
use serde_json::json;

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::mesh;

const OLD: AsOf = AsOf { applied: 47, age_ms: Some(132_000), consistent: false };

const REMARK: &str =
    "note: this is what this host knew at index 47; it has heard of no supervisor for 2m12s\n";

fn old<T: Schema + Serialize>(body: T) -> Reply {
    Reply::document_as_of(OLD, body)
}

fn allowed() -> PolicyTest {
    let [from, to] =
        [(2, "n2"), (7, "db1")].map(|(id, name)| (MemberId(id), documents::name(name)));
    let named = |(member, name)| MemberName { member, name };
    let (from, to) = (named(from), named(to));
    PolicyTest { from, to, allowed: true, serial: 0, rule: None, because: None, ban: None }
}

/// A daemon that has heard nothing of a supervisor for long.
fn cut_off() -> Daemon {
    let policy = Policy { serial: 0, since_ms: None, rules: Vec::new(), applied: 47 };
    let (head, admins) = (AdminsHead([0xab; 32]), Vec::new());
    let admins = Admins { threshold: 1, serial: 0, head, admins, applied: 47 };
    Daemon::with(&[
        ("GET /v1/status", old(documents::status())),
        ("GET /v1/peers", old(documents::peers())),
        ("GET /v1/bans", old(documents::bans())),
        ("GET /v1/invites", old(documents::invites())),
        ("GET /v1/keys", old(documents::keys())),
        ("GET /v1/voters", old(documents::voters())),
        ("GET /v1/tags", old(Tags { members: Vec::new(), applied: 47 })),
        ("GET /v1/policy", old(policy.clone())),
        ("GET /v1/policy/history", old(PolicyHistory { policies: vec![policy] })),
        ("POST /v1/policy/test", old(allowed())),
        ("GET /v1/admins", old(admins)),
        ("GET /v1/audit", old(documents::audit())),
        ("GET /v1/supervisor", old(documents::supervisor(Some(1)))),
    ])
}

#[test]
fn whatever_shows_agreed_state_says_how_old_it_is() {
    let daemon = cut_off();
    for line in [
        "status",
        "peers",
        "bans",
        "invites",
        "keys show",
        "voters list",
        "tags",
        "policy show",
        "policy history",
        "policy test n2 db1 tcp 443",
        "admin list",
        "audit",
        "audit --by root",
        "audit --kind banned",
        "audit verify",
        "supervisor",
        "supervisor status",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = mesh(daemon.socket(), &words);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), REMARK), "{line}: {ran:?}");
        // Programs look for themselves.
        let ran = mesh(daemon.socket(), &[&words[..], &["--format", "json"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}: {ran:?}");
        let as_of = json!({"applied": 47, "age_ms": 132_000, "consistent": false});
        assert_eq!(ran.document()["as_of"], as_of, "{line}");
    }
}

#[test]
fn a_trail_in_a_file_was_asked_of_nobody() {
    let daemon = cut_off();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("trail.json");
    let exported = mesh(daemon.socket(), &["audit", "--format", "json"]).stdout;
    std::fs::write(&file, exported).expect("written");
    let words = ["audit", "verify", file.to_str().expect("a path")];
    let nowhere = Path::new("/nonexistent/meshd.sock");
    let ran = mesh(nowhere, &words);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let verdict = mesh(nowhere, &[&words[..], &["--format", "json"]].concat()).document();
    assert_eq!(verdict.get("as_of"), None, "{verdict}");
}

#[test]
fn a_consistent_read_asks_for_what_is_agreed_now() {
    let as_of = AsOf { applied: 47, age_ms: Some(60_000), consistent: true };
    let reply = Reply::document_as_of(as_of, documents::bans());
    let daemon = Daemon::with(&[("GET /v1/bans?consistent", reply)]);
    let ran = mesh(daemon.socket(), &["bans", "--consistent"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let ran = mesh(daemon.socket(), &["--consistent", "--format", "json", "bans"]);
    assert_eq!(ran.document()["as_of"]["consistent"], true);
}
