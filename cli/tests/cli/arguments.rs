//! Arguments that make no sense, and help.

use std::path::Path;

use crate::run::mesh;

const NOWHERE: &str = "/nonexistent/meshd.sock";

#[test]
fn slips_are_usage_errors_that_name_the_argument() {
    let slips: [(&[&str], &str); 33] = [
        (&["nonsense"], "nonsense"),
        (&["statsu"], "status"),
        (&["status", "--format", "xml"], "--format"),
        (&["ping"], "<TARGET>"),
        (&["ping", "n2", "-c", "0"], "--count"),
        (&["ping", "n2", "-i", "0"], "between 10ms and 1h"),
        (&["ping", "n2", "-W", "NaN"], "--timeout"),
        (&["ping", "n2", "-4", "-6"], "--ipv6"),
        (&["wait"], "--for"),
        (&["wait", "--for", "applied=x"], "`applied=N`"),
        (&["wait", "--for", "ready", "--timeout", "5"], "a unit"),
        (&["invite", "--lifetime", "31d"], "between 1s and 30d"),
        (&["invite", "--lifetime", "soon"], "such as 500ms"),
        (&["invite", "--uses", "0"], "--uses"),
        (&["invite", "--uses", "1001"], "1..=1000"),
        (&["invite", "--endpoint", "0.0.0.0:1"], "no host can be reached there"),
        (&["init", "--name", "No_Name"], "cannot be a name"),
        (&["init", "--ipv4-prefix", "10.0.0.1/16"], "did you mean 10.0.0.0/16"),
        (&["completion", "cmd.exe"], "cmd.exe"),
        (&["audit", "--since", "yesterday"], "such as 2026-11-21T22:00:00Z"),
        (&["audit", "--kind", "joined"], "invite_added, admitted, departed"),
        (&["audit", "--limit", "few"], "--limit"),
        (&["audit", "--since", "1h", "verify"], "verify"),
        (&["audit", "verify", "--head", "beef"], "64 hexadecimal digits"),
        (&["voters", "target", "4"], "[possible values: auto, 1, 3, 5, 7]"),
        (&["voters", "set", "n2"], "<WISH>"),
        (&["report", "n2"], "--kind <KIND>"),
        (&["report", "n2", "--kind", "rude"], "[possible values: forges, floods, diverges, other]"),
        (&["report", "n2", "--kind", "other", "--reason", "two\nlines"], "a reason is one line"),
        (&["supervisor", "transfer"], "<NODE>"),
        (&["sync", "from"], "<PEER>"),
        (&["sync", "from", "--any", "n2"], "--any"),
        (&["sync", "resync", "--from-index", "-1"], "-1"),
    ];
    for (args, part) in slips {
        let ran = mesh(Path::new(NOWHERE), args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn programs_get_usage_errors_as_documents() {
    for args in [
        &["ping", "--format", "json"][..],
        &["--format=json", "wait", "--for", "x"],
        &["completion", "bash", "--format", "json"],
    ] {
        let ran = mesh(Path::new(NOWHERE), args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert_eq!(ran.error()["code"], "usage", "{args:?}");
    }
}

#[test]
fn help_goes_to_standard_output_and_names_examples() {
    for verb in [
        "init",
        "invite",
        "invites",
        "join",
        "leave",
        "status",
        "ban",
        "unban",
        "bans",
        "remove",
        "report",
        "reports",
        "keys",
        "ping",
        "audit",
        "sync",
        "wait",
        "completion",
    ] {
        let ran = mesh(Path::new(NOWHERE), &[verb, "--help"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{verb}");
        assert!(ran.stdout.contains("Usage: mesh"), "{verb}");
    }
    let ran = mesh(Path::new(NOWHERE), &["--help"]);
    assert!(ran.stdout.contains("Exit codes:"), "{ran:?}");
}

#[test]
fn the_environment_names_the_socket_unless_an_argument_does() {
    let run = |args: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_mesh"))
            .args(args)
            .env("MESH_SOCKET", "/from/env.sock")
            .output()
            .map(crate::run::ended)
            .expect("runs")
    };
    assert!(run(&["status"]).stderr.contains("/from/env.sock"));
    let ran = run(&["status", "--socket", "/from/arg.sock"]);
    assert!(ran.stderr.contains("/from/arg.sock"), "{ran:?}");
}
