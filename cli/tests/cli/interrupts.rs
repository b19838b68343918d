//! Ctrl-C, and output that goes on until it.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use mesh_model::api::v1::Status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, command, ended};

fn interrupt(child: Child) -> Ran {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("sends");
    ended(child.wait_with_output().expect("ends"))
}

#[test]
fn ping_sums_up_when_interrupted() {
    let daemon = Daemon::with(&[("POST /v1/ping", Reply::document(documents::pong(500)))]);
    let args = ["ping", "n2", "-c", "9", "-i", "3600"];
    let mut child = command(daemon.socket(), &args).spawn().expect("starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("a line");
    assert!(first.contains("seq=1"), "{first}");
    assert_eq!(interrupt(child).code, Some(130));
    let rest: Vec<String> = stdout.lines().map(|line| line.expect("text")).collect();
    assert_eq!(rest[..2], ["--- n2 ---", "1 sent, 1 received, 0% lost"]);
}

#[test]
fn a_watched_status_is_one_document_per_line_until_interrupted() {
    let daemon = Daemon::with(&[("GET /v1/status", Reply::document(documents::status()))]);
    let args = ["status", "--watch", "--format", "json"];
    let mut child = command(daemon.socket(), &args).spawn().expect("starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    for _ in 0..2 {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let status: Status = serde_json::from_str(&line).expect("a document");
        assert_eq!(status, documents::status());
    }
    let ran = interrupt(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
}

#[test]
fn a_daemon_that_stays_silent_can_be_left() {
    let daemon = Daemon::with(&[("POST /v1/wait", Reply::Silence)]);
    let args = ["wait", "--for", "ready", "--timeout", "1h"];
    let child = command(daemon.socket(), &args).spawn().expect("starts");
    daemon.next_asked();
    let ran = interrupt(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
}
