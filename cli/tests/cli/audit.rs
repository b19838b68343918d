//! `mesh audit`: what is shown of a trail, and what is found in one that was tampered with.

use std::path::Path;

use mesh_model::access::Protocol;
use mesh_model::api::v1::{
    AdminName, Audit, AuditContent, AuditSaid, Document, MemberName, MemberWish, PolicyRule,
    VoterWish,
};
use mesh_model::audit::{Actor, AuditHash, Event, MAX_ENTRIES};
use mesh_model::{AdminId, MemberId};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, mesh, mesh_with_input};

/// No entry.
const NONE: [u64; 0] = [];

const NOWHERE: &str = "/nonexistent/meshd.sock";

/// Runs `mesh audit` with `args` against a daemon with the sample's trail.
fn audit(args: &[&str]) -> Ran {
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(documents::audit()))]);
    mesh(daemon.socket(), &[&["audit"], args].concat())
}

/// The indices of the entries that are picked out for a program.
fn picked(args: &[&str]) -> Vec<u64> {
    let ran = audit(&[args, &["--format", "json"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let document = ran.document();
    assert_eq!(document["schema"], "mesh.audit_extract/v1");
    assert_eq!(document["mesh"], documents::audit().mesh.to_string());
    let entries = document["entries"].as_array().expect("entries").clone();
    let whole = exported(&documents::audit());
    for entry in &entries {
        assert!(whole["entries"].as_array().expect("entries").contains(entry), "{entry}");
    }
    entries.iter().map(|entry| entry["index"].as_u64().expect("an index")).collect()
}

/// What `mesh audit --format json` prints.
fn exported(audit: &Audit) -> Value {
    serde_json::to_value(Document::from(audit.clone())).expect("serialises")
}

/// Verifies `document` as a file, without a daemon.
fn verify(document: &Value, args: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("trail.json");
    std::fs::write(&file, document.to_string()).expect("written");
    let words = ["audit", "verify", file.to_str().expect("a path")];
    mesh(Path::new(NOWHERE), &[&words, args].concat())
}

/// The sample's trail does not hold after `damage`, and the message has `part`.
#[track_caller]
fn assert_found(damage: impl FnOnce(&mut Value), code: &str, part: &str) {
    let mut document = exported(&documents::audit());
    damage(&mut document);
    let ran = verify(&document, &["--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let error = ran.error();
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().expect("a message").contains(part), "{error}");
    assert_ne!(error["hint"], "");
}

#[test]
fn the_trail_reads_like_a_log_newest_last() {
    let ran = audit(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(
        ran.stdout,
        "\
INDEX  TIME                  BY               KIND          WHAT
    2  2026-01-01T01:00:00Z  root             invite_added  invite 05050505: 3 uses until 2026-01-02T00:00:00Z, with the right to vote, tagged tag:db
    3  2026-01-01T02:00:00Z  invite 05050505  admitted      n2 (m3)
   13  2026-01-01T03:00:00Z  invite 05050505  admitted      database-3 (m13)
   44  2026-01-01T04:00:00Z  n2 (m3)          departed      n2 (m3)
"
    );
}

#[test]
fn what_an_entry_only_refers_to_is_shown_as_far_as_it_is_known() {
    let rule = |to: &str, ports: &[&str]| PolicyRule {
        from: vec!["any".to_owned()],
        to: vec![to.to_owned()],
        protocol: Protocol::Tcp,
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
    };
    let rules = vec![
        rule("tag:web", &["80", "443"]),
        rule("n2", &["22"]),
        rule("m7", &[]),
        rule("m8", &[]),
    ];
    let wishes = [(3, VoterWish::Always), (13, VoterWish::Never)]
        .map(|(member, wish)| MemberWish { member: MemberId(member), wish })
        .into();
    let said = |index, said| AuditContent { index, said };
    let decisions = [
        (3, Event::Admitted { member: MemberId(3), name: documents::name("n2") }),
        (5, Event::VotersSet { serial: 1 }),
        (6, Event::VotersSet { serial: 2 }),
        (7, Event::AccessSet { serial: 1, rules: 4 }),
        (8, Event::AccessSet { serial: 2, rules: 0 }),
    ];
    let trail = documents::audit_of(decisions.map(|(index, event)| (index, (Actor::Root, event))));
    let contents = vec![
        said(6, AuditSaid::Voters { target: Some(5), wishes }),
        said(7, AuditSaid::Access { rules }),
        said(8, AuditSaid::Access { rules: Vec::new() }),
    ];
    let trail = Audit { contents, ..trail };
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(trail))]);
    let shown = mesh(daemon.socket(), &["audit"]).stdout;
    let lines: Vec<&str> =
        shown.lines().skip(2).filter_map(|line| Some(line.split_once("_set")?.1.trim())).collect();
    assert_eq!(
        lines,
        [
            "policy 1 on who votes",
            "policy 2 on who votes: 5 vote, n2 (m3) always, m13 never",
            "policy 1 on who may reach whom: 4 rules: from any to tag:web, tcp 80 443; \
             from any to n2, tcp 22; from any to m7, tcp; and 1 more",
            "policy 2 on who may reach whom: 0 rules, nobody may reach anybody",
        ]
    );
    // A part has what belongs to its entries.
    let part = mesh(daemon.socket(), &["audit", "--kind", "voters_set", "--format", "json"]);
    let contents = part.document()["contents"].as_array().expect("a list").clone();
    let places: Vec<_> = contents.iter().map(|said| said["index"].as_u64()).collect();
    assert_eq!(places, [Some(6)]);
}

#[test]
fn a_trail_without_entries_and_one_that_dropped_some_say_so() {
    let shown = |audit: Audit| {
        let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(audit))]);
        mesh(daemon.socket(), &["audit"]).stdout
    };
    assert!(shown(documents::audit_of([])).ends_with("nothing was decided yet\n"));
    let dropped = Audit { before_hash: AuditHash([7; 32]), ..documents::audit() };
    assert!(shown(dropped).ends_with("older decisions have made room for these\n"));
}

#[test]
fn programs_get_the_whole_document_as_it_came() {
    let ran = audit(&["--format", "json"]);
    assert_eq!(ran.document(), exported(&documents::audit()));
}

#[test]
fn entries_are_picked_by_time_author_kind_and_number() {
    assert_eq!(picked(&["--since", "2026-01-01T03:00:00Z"]), [13, 44]);
    assert_eq!(picked(&["--since", "2026-01-01T04:30:00+01:30"]), [13, 44]);
    assert_eq!(picked(&["--until", "2026-01-01T03:00:00Z"]), [2, 3, 13]);
    assert_eq!(
        picked(&["--since", "2026-01-01T01:30:00Z", "--until", "2026-01-01T02:30:00Z"]),
        [3]
    );
    assert_eq!(picked(&["--by", "root"]), [2]);
    // By name, by id, by the invite it came under: a host's own admission is its own deed too.
    assert_eq!(picked(&["--by", "n2"]), [3, 44]);
    assert_eq!(picked(&["--by", "m13"]), [13]);
    assert_eq!(picked(&["--by", "05050505"]), [3, 13]);
    assert_eq!(picked(&["--by", &"05".repeat(16)]), [3, 13]);
    assert_eq!(picked(&["--by", "06060606"]), NONE);
    assert_eq!(picked(&["--by", "root", "--by", "m13"]), [2, 13]);
    assert_eq!(picked(&["--kind", "admitted"]), [3, 13]);
    assert_eq!(picked(&["--kind", "admitted", "--kind", "departed"]), [3, 13, 44]);
    assert_eq!(picked(&["--limit", "2"]), [13, 44]);
    assert_eq!(picked(&["-n", "1", "--kind", "admitted"]), [13]);
    assert_eq!(picked(&["-n", "0"]), NONE);
}

/// A trail that has dropped its oldest entries, among them admissions, of a mesh with several admins: what they are called is told beside it.
fn of_several_admins() -> Audit {
    let by = |admins: &[u64]| Actor::admins(admins.iter().copied().map(AdminId).collect());
    let admin = |admin, text| AdminName { admin: AdminId(admin), name: documents::name(text) };
    let member =
        |member, text| MemberName { member: MemberId(member), name: documents::name(text) };
    let (said, seven) = (|threshold| Event::AdminThreshold { threshold }, MemberId(7));
    let mut trail = documents::audit_of([
        (6, (by(&[0]), said(1))),
        (7, (by(&[0]), said(2))),
        (8, (by(&[0, 1]), said(3))),
        (9, (by(&[1, 2]), said(2))),
        (10, (by(&[2]), Event::Pardoned { member: seven })),
        (11, (Actor::Member { member: seven }, Event::Departed { member: seven })),
        (12, (Actor::Time, Event::BanLapsed { member: seven })),
    ]);
    trail.before_hash = trail.entries.remove(0).hash;
    trail.members = vec![member(1, "n1"), member(7, "web1")];
    // The name of one that was removed may be given again.
    trail.admins = vec![admin(0, "root"), admin(1, "alice"), admin(2, "bob"), admin(3, "alice")];
    trail
}

#[test]
fn whoever_signed_with_others_is_found_by_name_and_by_id() {
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(of_several_admins()))]);
    for (who, expected) in [
        (&["root"][..], &[7, 8][..]),
        (&["a0"], &[7, 8]),
        (&["a1"], &[8, 9]),
        (&["alice"], &[8, 9]),
        (&["bob"], &[9, 10]),
        (&["web1"], &[11]),
        (&["m7"], &[11]),
        (&["time"], &[12]),
        (&["root", "bob"], &[7, 8, 9, 10]),
        (&["a3"], &[]),
        (&["n1"], &[]),
    ] {
        let by = who.iter().flat_map(|who| ["--by", who]);
        let words: Vec<&str> = ["audit", "--format", "json"].into_iter().chain(by).collect();
        let part = mesh(daemon.socket(), &words).document();
        let entries = part["entries"].as_array().expect("entries");
        let found: Vec<_> = entries.iter().filter_map(|entry| entry["index"].as_u64()).collect();
        assert_eq!(found, expected, "{who:?}");
    }
    let page = mesh(daemon.socket(), &["audit"]).stdout;
    assert!(page.contains("web1 (m7)  departed"), "{page}");
}

#[test]
fn a_word_that_names_nobody_is_no_empty_answer() {
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(of_several_admins()))]);
    for word in ["carol", "web", "0505", "a0+a1", ""] {
        let words = ["audit", "--by", "root", "--by", word];
        let ran = mesh(daemon.socket(), &[&words[..], &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(1), "{word}: {ran:?}");
        let error = ran.error();
        assert_eq!(error["code"], "unknown_member", "{word}");
        let message = format!("there is no member or admin `{word}`");
        assert_eq!(error["message"], message.as_str());
        assert_ne!(error["hint"], "");
    }
    // An id is somebody's, whether anything is kept of it or not.
    for word in ["m99", "a9", "0606abcd", &"06".repeat(16)] {
        let ran = mesh(daemon.socket(), &["audit", "--by", word]);
        assert_eq!(ran.code, Some(0), "{word}: {ran:?}");
        assert_eq!(ran.stdout, "no decision that is kept is one of those\n");
    }
}

#[test]
fn a_time_may_be_told_by_how_long_ago_it_was() {
    // The sample's decisions are of January 2026, and no clock that runs this shows less.
    assert_eq!(picked(&["--since", "1h"]), NONE);
    assert_eq!(picked(&["--until", "1h"]), [2, 3, 13, 44]);
    assert_eq!(picked(&["--since", "36500d"]), [2, 3, 13, 44]);
}

#[test]
fn a_person_who_finds_nothing_is_told_so() {
    let ran = audit(&["--by", "m99"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, "no decision that is kept is one of those\n");
    let ran = audit(&["--kind", "departed"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
}

#[test]
fn kinds_of_a_newer_daemon_are_listed_and_not_taken_for_damage() {
    let mut document = exported(&documents::audit());
    document["entries"][1]["kind"] = json!("enthroned");
    let body = document.to_string().into_bytes();
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::Http(200, body))]);
    let ran = mesh(daemon.socket(), &["audit"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("enthroned     more than this mesh can read"), "{}", ran.stdout);
    let ran = mesh(daemon.socket(), &["audit", "verify"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("index 3 cannot be checked"), "{ran:?}");
    assert!(ran.stderr.contains("update mesh"), "{ran:?}");
}

#[test]
fn an_exported_trail_verifies_without_a_daemon() {
    let audit = documents::audit();
    let document = exported(&audit);
    let expected = json!({
        "schema": "mesh.audit_verdict/v1", "mesh": audit.mesh.to_string(), "mesh_name": "home",
        "entries": 4, "first": 2, "last": 44, "complete": true,
        "head_hash": audit.head_hash.to_string(), "uncovered": 1,
    });
    let ran = verify(&document, &["--format", "json"]);
    assert_eq!((ran.code, ran.document()), (Some(0), expected.clone()), "{ran:?}");
    let args = ["audit", "verify", "-", "--format", "json"];
    let ran = mesh_with_input(Path::new(NOWHERE), &args, document.to_string().as_bytes());
    assert_eq!((ran.code, ran.document()), (Some(0), expected.clone()), "{ran:?}");
    let daemon = Daemon::with(&[("GET /v1/audit", Reply::document(audit))]);
    let ran = mesh(daemon.socket(), &["--format", "json", "audit", "verify"]);
    assert_eq!((ran.code, ran.document()), (Some(0), expected), "{ran:?}");

    let ran = verify(&exported(&documents::audit_of([])), &[]);
    assert!(ran.stdout.contains("entries  none yet\n"), "{ran:?}");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn whatever_is_changed_in_a_file_is_found_with_its_place() {
    for at in 0..4 {
        let document = exported(&documents::audit());
        let entry = document["entries"][at].as_object().expect("an entry").clone();
        let index = entry["index"].as_u64().expect("an index");
        for (field, value) in entry {
            let damage = |document: &mut Value| {
                let field = &mut document["entries"][at][&field];
                *field = match value {
                    Value::Number(number) => json!(number.as_u64().expect("whole") + 1),
                    Value::String(text) => json!(text.replace(['0', '1', '2', 'a'], "3")),
                    _ => json!({"who": "member", "member": 99}),
                };
            };
            let mut damaged = document.clone();
            damage(&mut damaged);
            if damaged == document {
                continue;
            }
            let ran = verify(&damaged, &[]);
            assert_eq!(ran.code, Some(1), "{field}: {ran:?}");
            let place = if field == "index" { index + 1 } else { index };
            assert!(ran.stderr.contains(&format!("index {place} ")), "{field}: {ran:?}");
        }
    }
}

#[test]
fn entries_removed_moved_repeated_or_added_are_found_with_their_place() {
    fn entries(document: &mut Value) -> &mut Vec<Value> {
        document["entries"].as_array_mut().expect("entries")
    }
    let broken = "audit_broken";
    assert_found(|document| drop(entries(document).remove(1)), broken, "index 13 does not fit");
    assert_found(|document| entries(document).swap(1, 2), broken, "index 13 does not fit");
    let twice = |document: &mut Value| {
        let again = entries(document)[1].clone();
        entries(document).insert(2, again);
    };
    assert_found(twice, broken, "index 3 does not fit");
    assert_found(|document| drop(entries(document).pop()), broken, "ends at index 13");
    let beheaded = |document: &mut Value| {
        let first = entries(document).remove(0);
        document["before_hash"] = first["hash"].clone();
    };
    assert_found(beheaded, broken, "does not begin where the mesh did");
    let annotated = |document: &mut Value| document["entries"][2]["note"] = json!("all is well");
    assert_found(annotated, broken, "index 13 does not fit: it says more than its hash covers");
    let annotated = |document: &mut Value| document["entries"][0]["by"]["member"] = json!(3);
    assert_found(annotated, broken, "index 2 does not fit: it says more");
}

#[test]
fn a_document_around_a_sound_chain_is_checked_as_well() {
    let broken = "audit_broken";
    let elsewhere = |document: &mut Value| document["mesh"] = json!("fe".repeat(16));
    assert_found(elsewhere, broken, "not that of the root key");
    let head = |document: &mut Value| document["head_hash"] = json!("ab".repeat(32));
    assert_found(head, broken, "its head is the hash of another");
    let before = |document: &mut Value| document["before_hash"] = json!("ab".repeat(32));
    assert_found(before, broken, "does not begin where the mesh did");
}

#[test]
fn what_is_no_whole_trail_is_refused_with_the_way_to_get_one() {
    let part = audit(&["--by", "root", "--format", "json"]).document();
    let ran = verify(&part, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("a part of a chain proves nothing"), "{ran:?}");
    assert!(ran.stderr.contains("`mesh audit --format json > FILE`, without"), "{ran:?}");
    for other in [json!({"schema": "mesh.status/v1"}), json!([]), json!({"entries": []})] {
        let ran = verify(&other, &["--format", "json"]);
        assert_eq!((ran.code, &ran.error()["code"]), (Some(1), &json!("bad_document")));
    }
    let ran = mesh(Path::new(NOWHERE), &["audit", "verify", "/nonexistent", "--format", "json"]);
    assert_eq!((ran.code, &ran.error()["code"]), (Some(1), &json!("input")));
}

#[test]
fn a_trail_written_anew_fits_in_itself_and_is_found_by_a_known_head() {
    let known = documents::audit();
    let (head, earlier) = (known.head_hash.to_string(), known.entries[1].hash.to_string());
    for passed in [&head, &earlier, &known.before_hash.to_string()] {
        let ran = verify(&exported(&known), &["--head", passed]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let decisions = known.entries.into_iter().map(|entry| (entry.index, (entry.by, entry.event)));
    let rewritten = documents::audit_of(decisions.map(|(index, (by, event))| match event {
        Event::Admitted { member, .. } if index == 3 => {
            (index, (by, Event::Admitted { member, name: documents::name("mallory") }))
        }
        event => (index, (by, event)),
    }));
    let document = exported(&rewritten);
    assert_eq!(verify(&document, &[]).code, Some(0));
    for missed in [head, earlier] {
        let ran = verify(&document, &["--head", &missed]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains("never had the head"), "{ran:?}");
    }
}

#[test]
fn a_full_trail_that_dropped_its_oldest_entries_verifies_and_says_so() {
    let member = MemberId(3);
    let decision = |index| (index, (Actor::Member { member }, Event::Departed { member }));
    let mut full = documents::audit_of((2..MAX_ENTRIES as u64 + 3).map(decision));
    full.before_hash = full.entries.remove(0).hash;
    assert_eq!(full.entries.len(), MAX_ENTRIES);
    let ran = verify(&exported(&full), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("1024, index 3 to 1026, older ones have made room"), "{ran:?}");
    full.entries[700].at_ms += 1;
    let ran = verify(&exported(&full), &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("index 703 does not fit"), "{ran:?}");
}
