//! How failures are told: where, in which words, with which exit code.

use std::io::Write as _;
use std::path::Path;

use mesh_model::MemberId;
use mesh_model::api::v1::{ErrorCode, MemberName};
use serde_json::json;

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{Ran, mesh, mesh_with_input};

/// `mesh status` for people and for programs, against a daemon that gives `reply`.
fn status_against(reply: Reply) -> (Ran, Ran) {
    let daemon = Daemon::with(&[("GET /v1/status", reply)]);
    let people = mesh(daemon.socket(), &["status"]);
    let programs = mesh(daemon.socket(), &["status", "--format", "json"]);
    (people, programs)
}

#[test]
fn programs_get_every_member_that_was_waited_for_in_vain() {
    let missing: Vec<MemberName> = (2..14)
        .map(|id| MemberName { member: MemberId(id), name: documents::name(&format!("n{id}")) })
        .collect();
    let named = "missing: n2 (m2) and 11 more";
    let late = Reply::error_about(504, ErrorCode::TimedOut, (named, "wait"), missing.clone());
    let daemon = Daemon::with(&[("POST /v1/bans", late)]);
    let people = mesh(daemon.socket(), &["ban", "n14", "--wait"]);
    assert_eq!(people.code, Some(6));
    assert!(people.stderr.contains(named) && !people.stderr.contains("n13"), "{}", people.stderr);
    let programs = mesh(daemon.socket(), &["ban", "n14", "--wait", "--format", "json"]);
    assert_eq!(programs.error()["missing"], json!(missing));
    let bare = status_against(Reply::error(504, ErrorCode::TimedOut, "late", "")).1;
    assert_eq!(bare.error().get("missing"), None);
}

#[test]
fn every_code_has_its_exit_code_and_its_words() {
    for (code, name, exit) in [
        (ErrorCode::BadRequest, "bad_request", 2),
        (ErrorCode::NotPermitted, "not_permitted", 4),
        (ErrorCode::NotJoined, "not_joined", 1),
        (ErrorCode::AlreadyJoined, "already_joined", 1),
        (ErrorCode::UnknownMember, "unknown_member", 1),
        (ErrorCode::Refused, "refused", 1),
        (ErrorCode::NotAdmin, "not_admin", 1),
        (ErrorCode::NoQuorum, "no_quorum", 5),
        (ErrorCode::TimedOut, "timed_out", 6),
        (ErrorCode::Unreachable, "unreachable", 1),
        (ErrorCode::Disk, "disk", 1),
        (ErrorCode::Internal, "internal", 1),
        (ErrorCode::Outdated, "outdated", 1),
    ] {
        let reply = Reply::error(500, code, "it went wrong", "do better");
        let (people, programs) = status_against(reply);
        assert_eq!(people.code, Some(exit), "{name}");
        assert_eq!(people.stdout, "", "{name}");
        assert_eq!(people.stderr, "error: it went wrong\nhint: do better\n");
        assert_eq!(programs.code, Some(exit), "{name}");
        let expected = json!({"code": name, "message": "it went wrong", "hint": "do better"});
        assert_eq!(programs.error(), expected);
    }
}

#[test]
fn a_code_of_a_newer_daemon_is_a_failure_under_its_own_name() {
    let body = br#"{"error":{"code":"eclipse","message":"too dark"}}"#;
    let (people, programs) = status_against(Reply::Http(500, body.to_vec()));
    assert_eq!((people.code, people.stderr.as_str()), (Some(1), "error: too dark\n"));
    let expected = json!({"code": "eclipse", "message": "too dark", "hint": ""});
    assert_eq!(programs.error(), expected);
}

#[test]
fn words_of_an_error_cannot_steer_the_terminal() {
    let reply = Reply::error(500, ErrorCode::Internal, "a\u{1b}[2Jb\nc", "d\r");
    let (people, _) = status_against(reply);
    assert_eq!(people.stderr, "error: a?[2Jb?c\nhint: d?\n");
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_its_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let absent = dir.path().join("absent.sock");
    let verbs: [&[&str]; 12] = [
        &["init"],
        &["invite"],
        &["leave"],
        &["status"],
        &["status", "--watch"],
        &["peers"],
        &["ping", "n2"],
        &["supervisor"],
        &["bans"],
        &["ban", "n2"],
        &["keys"],
        &["keys", "rotate"],
    ];
    for verb in verbs {
        let ran = mesh(&absent, verb);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{verb:?}");
        let expected = format!(
            "error: no meshd answers at {}: the socket does not exist\n\
             hint: start it with `systemctl start meshd` or `meshd run`, or name its socket with --socket\n",
            absent.display()
        );
        assert_eq!(ran.stderr, expected, "{verb:?}");
    }
    let ran = mesh(&absent, &["peers", "--format", "json"]);
    assert_eq!((ran.code, &ran.error()["code"]), (Some(3), &json!("daemon_unreachable")));
}

#[test]
fn a_socket_nobody_listens_on_is_told_from_one_that_is_absent() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("meshd.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("binds"));
    let ran = mesh(&socket, &["status"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("nobody listens on the socket"), "{ran:?}");
}

#[test]
fn a_path_too_long_for_a_socket_is_no_panic() {
    let long = format!("/tmp/{}", "x".repeat(200));
    assert_eq!(mesh(Path::new(&long), &["status"]).code, Some(3));
}

#[test]
fn wait_gives_up_on_a_daemon_that_never_starts() {
    let absent = Path::new("/nonexistent/meshd.sock");
    let ran = mesh(absent, &["wait", "--for", "ready", "--timeout", "50ms"]);
    assert_eq!(ran.code, Some(3));
}

#[test]
fn wait_passes_on_that_time_is_up() {
    let late = Reply::error(504, ErrorCode::TimedOut, "no supervisor within 30s", "");
    let daemon = Daemon::with(&[("POST /v1/wait", late)]);
    let ran = mesh(daemon.socket(), &["wait", "--for", "leader"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(6), "error: no supervisor within 30s\n"));
}

#[test]
fn a_daemon_that_hangs_up_is_unreachable() {
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::Raw(Vec::new()))]);
    let ran = mesh(daemon.socket(), &["peers"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("hung up before it answered"), "{ran:?}");
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"schema\"".to_vec();
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::Raw(cut))]);
    assert_eq!(mesh(daemon.socket(), &["peers"]).code, Some(3));
}

#[test]
fn answers_that_are_none_of_the_apis_are_told_apart() {
    let version_two = br#"{"schema":"mesh.status/v2","state":"member"}"#.to_vec();
    let half = br#"{"schema":"mesh.status/v1","version":"0.1.0","state":"asleep"}"#.to_vec();
    let deep = [b"{\"schema\":\"mesh.status/v1\",\"x\":".to_vec(), vec![b'['; 100_000]].concat();
    for (reply, part) in [
        (Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "not HTTP"),
        (Reply::Http(200, b"hello".to_vec()), "not a document"),
        (Reply::Http(200, vec![0xff, 0xfe]), "not even UTF-8"),
        (Reply::Http(200, b"{}".to_vec()), "missing field `schema`"),
        (Reply::Http(200, deep), "EOF while parsing a list"),
        (
            Reply::Http(200, version_two),
            "it is `mesh.status/v2`, this mesh understands `mesh.status/v1`",
        ),
        (Reply::Http(200, half), "unknown variant `asleep`"),
        (Reply::Http(404, Vec::new()), "HTTP status 404"),
    ] {
        let (people, programs) = status_against(reply);
        assert_eq!(people.code, Some(1), "{people:?}");
        assert!(people.stderr.contains(part), "{part}: {people:?}");
        assert!(people.stderr.contains("\nhint: "), "{people:?}");
        assert_eq!(programs.error()["code"], "bad_answer", "{programs:?}");
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let mut raw = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    raw.resize(40 << 20, b' ');
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::Raw(raw))]);
    let ran = mesh(daemon.socket(), &["peers"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("longer than 32.0 MiB"), "{ran:?}");
}

#[test]
fn a_garbled_token_is_refused_without_the_daemon() {
    let absent = Path::new("/nonexistent/meshd.sock");
    let token = documents::token();
    let cut = &token[..token.len() - 3];
    let flipped = token.replacen("mesh1-A", "mesh1-B", 1);
    let long = format!("mesh1-{}", "x".repeat(5000));
    for (garbled, part) in [
        ("hello", "not a join token: a token starts with `mesh1-`"),
        (cut, "damaged"),
        (&flipped, "damaged"),
        (&long, "a token has at most 2048"),
        ("mesh1-", "damaged"),
    ] {
        assert_ne!(garbled, token);
        let runs = [
            mesh(absent, &["join", garbled, "--format", "json"]),
            mesh_with_input(absent, &["join", "--format", "json"], garbled.as_bytes()),
        ];
        for ran in runs {
            assert_eq!(ran.code, Some(1), "{ran:?}");
            let error = ran.error();
            assert_eq!(error["code"], "refused");
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn input_that_is_no_text_is_no_token() {
    let absent = Path::new("/nonexistent/meshd.sock");
    let noise = vec![0xff; 1 << 20];
    assert_eq!(mesh_with_input(absent, &["join"], &noise).code, Some(1));
    let ran = mesh_with_input(absent, &["join"], b"\n \n");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("no join token on standard input"), "{ran:?}");
}

#[test]
fn a_refused_token_keeps_the_meshs_reason() {
    let used = Reply::error(409, ErrorCode::Refused, "the invite is used up", "ask for a new one");
    let daemon = Daemon::with(&[("POST /v1/join", used)]);
    let ran = mesh_with_input(daemon.socket(), &["join"], documents::token().as_bytes());
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(1), "error: the invite is used up\nhint: ask for a new one\n")
    );
}

#[test]
fn ping_ends_at_an_error_that_is_no_loss() {
    let unknown = Reply::error(404, ErrorCode::UnknownMember, "no member `n9`", "");
    let daemon = Daemon::with(&[("POST /v1/ping", unknown)]);
    let ran = mesh(daemon.socket(), &["ping", "n9"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(1), "", "error: no member `n9`\n")
    );
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for args in [&["completion", "bash"][..], &["peers"]] {
        let daemon = Daemon::with(&[("GET /v1/peers", Reply::document(documents::peers()))]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output =
            crate::run::command(daemon.socket(), args).stdout(writer).output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let Ok(mut full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        panic!("/dev/full is part of every Linux system");
    };
    assert!(full.write(b"x").is_err());
    let daemon = Daemon::with(&[("GET /v1/peers", Reply::document(documents::peers()))]);
    let output =
        crate::run::command(daemon.socket(), &["peers"]).stdout(full).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.starts_with("error: cannot write to standard output"), "{stderr}");
}
