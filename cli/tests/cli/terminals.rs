//! What only happens on a terminal: colours, redrawing, questions.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use mesh_model::api::v1::AsOf;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::alice::{Alice, PASSPHRASE, agreed, draft, root};
use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, command, ended};
use crate::signing::tagging;

/// Both ends of a new terminal: ours and the program's.
fn terminal() -> (File, File) {
    let pty = openpty(None, None).expect("a terminal");
    (pty.master.into(), pty.slave.into())
}

/// What `command` writes to a terminal until it ends.
fn drawn(mut command: Command) -> String {
    let (mut ours, theirs) = terminal();
    let mut child = command.stdout(theirs).spawn().expect("starts");
    // It holds the program's end of the terminal; reading ends when nobody does.
    drop(command);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = ours.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..count]);
    }
    child.wait().expect("ends");
    String::from_utf8(seen).expect("text")
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::document(documents::peers()))]);
    let plain = |command: Command| !drawn(command).contains('\x1b');
    assert!(!plain(command(daemon.socket(), &["peers"])));
    assert!(plain(command(daemon.socket(), &["peers", "--no-color"])));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut command = command(daemon.socket(), &["peers"]);
        command.env(name, value);
        assert!(plain(command), "{name}");
    }
}

#[test]
fn json_is_the_same_on_a_terminal() {
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::document(documents::peers()))]);
    let text = drawn(command(daemon.socket(), &["peers", "--format", "json"]));
    serde_json::from_str::<serde_json::Value>(&text).expect("one document");
}

#[test]
fn a_watched_status_is_redrawn_in_place_and_outlives_the_daemon() {
    let old = AsOf { applied: 47, age_ms: Some(132_000), consistent: false };
    let daemon = Daemon::with(&[
        ("GET /v1/status", Reply::document_as_of(old, documents::status())),
        ("GET /v1/status", Reply::Raw(Vec::new())),
    ]);
    let (mut ours, theirs) = terminal();
    let mut watch = command(daemon.socket(), &["status", "--watch"]);
    let mut child = watch.stdout(theirs).spawn().expect("starts");
    drop(watch);
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    // Until the second frame is complete.
    while seen.matches("\x1b[J").count() < 2 {
        let count = ours.read(&mut buffer).expect("it goes on");
        seen += std::str::from_utf8(&buffer[..count]).expect("ASCII");
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("sends");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let frames: Vec<&str> = seen.split("\x1b[H").collect();
    assert!(frames[1].contains("this host"), "{seen:?}");
    assert!(frames[1].contains("no supervisor for 2m12s"), "{seen:?}");
    assert!(frames[2].contains("hung up before it answered"), "{seen:?}");
}

/// `mesh` with `args` by someone who types `answer`.
fn run_and_type(daemon: &Daemon, args: &[&str], answer: &str) -> Ran {
    let (mut ours, theirs) = terminal();
    ours.write_all(answer.as_bytes()).expect("types");
    let mut mesh = command(daemon.socket(), args);
    ended(mesh.stdin(theirs).output().expect("runs"))
}

#[test]
fn leaving_has_to_be_confirmed() {
    let daemon = Daemon::with(&[("POST /v1/leave", Reply::document(documents::left(Some(44))))]);
    let ran = run_and_type(&daemon, &["leave"], "n\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("[y/N]"), "{ran:?}");
    assert_eq!(daemon.asked(), []);
    let ran = run_and_type(&daemon, &["leave"], "yes\n");
    assert_eq!(ran.code, Some(0));
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn removing_has_to_be_confirmed() {
    let daemon = Daemon::with(&[("POST /v1/remove", Reply::document(documents::removed()))]);
    let ran = run_and_type(&daemon, &["remove", "n2"], "\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("n2 loses its id"), "{ran:?}");
    assert_eq!(daemon.asked(), []);
    let ran = run_and_type(&daemon, &["remove", "n2"], "y\n");
    assert_eq!(ran.code, Some(0));
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn a_signature_has_to_be_confirmed_by_who_has_read_what_it_is_for() {
    let alice = Alice::new();
    let (key, passphrase) = (alice.file.to_str().expect("text"), alice.path("passphrase"));
    std::fs::write(&passphrase, PASSPHRASE).expect("written");
    let daemon = Daemon::with(&[
        ("POST /v1/requests", draft(&tagging(7, &["db"]))),
        ("POST /v1/requests/submit", agreed(12)),
    ]);
    let signing = ["--admin-key", key, "--passphrase-file", &passphrase];
    let words = [&["tag", "m7", "--add", "db"][..], &signing[..]].concat();
    let ran = run_and_type(&daemon, &words, "n\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let read_out = format!("For mesh {}: member m7, whose identity is ", root().mesh);
    assert!(ran.stderr.starts_with(&read_out), "{ran:?}");
    assert!(ran.stderr.contains("has the tags tag:db\nSign this? [y/N]"), "{ran:?}");
    assert_eq!(daemon.asked().len(), 1, "nothing was submitted");
    assert_eq!(run_and_type(&daemon, &words, "y\n").code, Some(0));
    let ran = run_and_type(&daemon, &[&words[..], &["--yes"]].concat(), "n\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = ran.stderr.starts_with(&read_out) && ran.stderr.ends_with("has the tags tag:db\n");
    assert!(told, "it was not to ask: {ran:?}");
}

#[test]
fn join_asks_for_the_token() {
    let (mut ours, theirs) = terminal();
    ours.write_all(b"nonsense\n").expect("types");
    let mut join = command(Path::new("/nonexistent/meshd.sock"), &["join"]);
    let ran = ended(join.stdin(theirs).output().expect("runs"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("Paste the join token and press Enter: "), "{ran:?}");
}
