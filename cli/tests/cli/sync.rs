//! `mesh sync`: where a host has what is agreed from.

use mesh_model::MemberId;
use mesh_model::api::v1::{Divergence, DivergentState, SyncReply, SyncState, SyncStatus};
use mesh_model::view::StateHash;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, mesh};

fn status(sync: SyncStatus) -> String {
    let daemon = Daemon::with(&[("GET /v1/sync", Reply::document(sync))]);
    let ran = mesh(daemon.socket(), &["sync"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran.stdout
}

/// Runs `args` against a daemon that answers `route` with `reply`; how it ended and what was asked.
fn steer(route: &str, reply: SyncReply, args: &[&str]) -> (Ran, Value) {
    let daemon = Daemon::with(&[(route, Reply::document(reply))]);
    let ran = mesh(daemon.socket(), args);
    let asked = daemon.asked();
    assert_eq!(asked.len(), 1);
    (ran, asked[0].body.clone())
}

#[test]
fn programs_get_the_daemons_document() {
    let daemon = Daemon::with(&[("GET /v1/sync", Reply::document(documents::sync()))]);
    for args in [&["sync"][..], &["sync", "status"]] {
        let ran = mesh(daemon.socket(), &[args, &["--format", "json"]].concat());
        let document = ran.document();
        assert_eq!(document["schema"], "mesh.sync/v1");
        assert_eq!((&document["state"], &document["behind"]), (&json!("follows"), &json!(244)));
        assert_eq!(document["source"], json!({"member": 2, "name": "n2"}));
        assert_eq!(document["sources"][1]["rtt_us"], 12_300);
    }
}

#[test]
fn each_state_is_said_in_words() {
    for (state, words) in [
        (SyncState::Leads, "leads"),
        (SyncState::Fed, "fed by the supervisor"),
        (SyncState::Follows, "follows n2 (m2)"),
        (SyncState::Seeking, "seeking a source"),
        (SyncState::Diverged, "diverged, follows n2 (m2)"),
        (SyncState::Outdated, "outdated: upgrade meshd on this host"),
        (SyncState::Stopped, "stopped: `mesh status` says why"),
    ] {
        let page = status(SyncStatus { state, ..documents::sync() });
        let line = page.lines().next().expect("a line");
        assert_eq!(line, format!("state        {words}"));
    }
}

#[test]
fn what_is_level_has_nothing_to_wait_for_and_what_differs_comes_first() {
    let level = SyncStatus { behind: 0, target: 800, left_ms: None, ..documents::sync() };
    let page = status(level.clone());
    assert!(page.contains("log          800 of 800\nrate         24.4 entries/s\n"), "{page}");
    let party = |member, byte| DivergentState {
        member: MemberId(member),
        state_hash: StateHash([byte; 32]),
    };
    let divergences = vec![Divergence { index: 44, parties: vec![party(1, 0xaa), party(3, 0xbb)] }];
    let page = status(SyncStatus { divergences, depth: None, ..level });
    assert!(page.starts_with("diverged     at index 44 members hold different states"), "{page}");
    assert!(page.contains("\ndepth        -\n"), "{page}");
}

#[test]
fn whom_to_prefer_is_passed_on_and_nobody_is_an_empty_list() {
    let (ran, asked) =
        steer("POST /v1/sync/from", documents::steered(), &["sync", "from", "n2,m7"]);
    assert_eq!(asked, json!({"members": ["n2", "m7"]}));
    assert_eq!(ran.stdout, "this host asks n2 (m2) first, until meshd is restarted\n");
    let nobody = SyncReply { preferred: Vec::new(), ..documents::steered() };
    let (ran, asked) = steer("POST /v1/sync/from", nobody, &["sync", "from", "--any"]);
    assert_eq!(asked, json!({"members": []}));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "this host asks whoever serves best\n"));
}

#[test]
fn a_host_that_does_not_ask_says_when_it_takes_effect() {
    for (state, why) in
        [(SyncState::Leads, "it leads"), (SyncState::Fed, "the supervisor sends it")]
    {
        let reply = SyncReply { state, asks: false, ..documents::steered() };
        let (ran, asked) = steer("POST /v1/sync/fast", reply, &["sync", "fast"]);
        assert_eq!(asked, json!({}));
        assert!(ran.stdout.starts_with("this host asks for the whole state\n"), "{ran:?}");
        assert!(ran.stdout.contains(why) && ran.stdout.contains("once it has to ask"), "{ran:?}");
    }
}

#[test]
fn a_log_that_differs_is_told_and_fails() {
    let line = "POST /v1/sync/resync";
    let (ran, asked) = steer(line, documents::steered(), &["sync", "resync"]);
    assert_eq!(asked, json!({"from_index": null}));
    assert_eq!(ran.stdout, "this host looks for a source anew\n");
    let words = ["sync", "resync", "--from-index", "40"];
    let (ran, asked) = steer(line, documents::compared(None), &words);
    assert_eq!((ran.code, asked), (Some(0), json!({"from_index": 40})));
    assert!(ran.stdout.ends_with("from index 40 to 1044 its log is that of n2 (m2)\n"), "{ran:?}");
    for (upheld, verdict) in [(true, "look at n2 (m2)"), (false, "is not known")] {
        let differs = documents::compared(Some(documents::log_difference(upheld)));
        let (ran, _) = steer(line, differs.clone(), &words);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
        for part in ["at 207", "here a5a5a5a5a5a5 of term 3", "there 5a5a5a5a5a5a", verdict] {
            assert!(ran.stdout.contains(part), "{part}: {ran:?}");
        }
        let (ran, _) = steer(line, differs, &[&words[..], &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.document()["comparison"]["difference"]["upheld"], upheld);
    }
}
