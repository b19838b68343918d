//! The examples of docs/cli.md are what the program prints.

use mesh_model::api::v1::VersionReply;

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{mesh, mesh_with_input};

/// The fenced blocks that start with `$ mesh`: arguments and expected output.
fn examples(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```console\n").skip(1);
    blocks
        .map(|block| {
            let (block, _) = block.split_once("```").expect("a closed block");
            let (line, output) = block.split_once('\n').expect("a command line");
            let args = line.strip_prefix("$ mesh ").expect("a `$ mesh` line");
            (args, output)
        })
        .collect()
}

#[test]
fn the_manuals_examples_are_true() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    let page = std::fs::read_to_string(manual).expect("the manual");
    let version = VersionReply { version: env!("CARGO_PKG_VERSION").to_owned() };
    let daemon = Daemon::with(&[
        ("GET /v1/status", Reply::document(documents::status())),
        ("GET /v1/peers", Reply::document(documents::peers())),
        ("GET /v1/tunnels", Reply::document(documents::tunnels())),
        ("GET /v1/supervisor", Reply::document(documents::supervisor(Some(1)))),
        ("GET /v1/audit", Reply::document(documents::audit())),
        ("GET /v1/supervisor/history", Reply::document(documents::history())),
        ("POST /v1/supervisor/transfer", Reply::document(documents::transferred())),
        ("GET /v1/sync", Reply::document(documents::sync())),
        ("POST /v1/sync/from", Reply::document(documents::steered())),
        ("POST /v1/sync/resync", Reply::document(documents::compared(None))),
        ("GET /v1/voters", Reply::document(documents::voters())),
        ("GET /v1/version", Reply::document(version)),
        ("POST /v1/init", Reply::document(documents::founded())),
        ("POST /v1/invites", Reply::document(documents::invite(1))),
        ("POST /v1/join", Reply::document(documents::joined())),
        ("POST /v1/leave", Reply::document(documents::left(Some(44)))),
        ("GET /v1/invites", Reply::document(documents::invites())),
        ("POST /v1/invites/revoke", Reply::document(documents::revoked())),
        ("GET /v1/bans", Reply::document(documents::bans())),
        ("POST /v1/bans", Reply::document(documents::banned(Some(documents::applied_by())))),
        ("POST /v1/unban", Reply::document(documents::unbanned())),
        ("POST /v1/remove", Reply::document(documents::removed())),
        ("GET /v1/reports", Reply::document(documents::reports())),
        ("POST /v1/reports", Reply::document(documents::reported())),
        ("GET /v1/keys", Reply::document(documents::keys())),
        (
            "POST /v1/keys/rotate",
            Reply::document(documents::rotated(Some(documents::applied_by()))),
        ),
        ("GET /v1/backups", Reply::document(documents::backups())),
        ("GET /v1/snapshots", Reply::document(documents::snapshots())),
        ("POST /v1/snapshots", Reply::document(documents::snapshot(1044))),
        ("POST /v1/ping", Reply::document(documents::pong(421))),
        ("POST /v1/wait", Reply::document(documents::waited())),
    ]);
    let token = documents::token();
    let examples = examples(&page);
    assert!(examples.len() >= 17, "one for each verb that asks the daemon");
    for (line, expected) in examples {
        let (words, reads_token) = match line.strip_suffix(" < token") {
            Some(words) => (words, true),
            None => (line, false),
        };
        let args: Vec<&str> = words.split(' ').collect();
        let ran = match reads_token {
            true => mesh_with_input(daemon.socket(), &args, token.as_bytes()),
            false => mesh(daemon.socket(), &args),
        };
        let printed = (ran.stdout + &ran.stderr).replace(&token, "mesh1-...");
        assert_eq!(printed, expected, "mesh {line}");
    }
}

/// The codes that `source` tells failures with, each with its exit's name.
fn codes(source: &str) -> impl Iterator<Item = (&str, &str)> {
    source.split("Failure::new(").skip(1).filter_map(|call| {
        let (_, rest) = call.split_once("Exit::")?;
        let (exit, rest) = rest.split_once(',')?;
        let code = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        Some((exit, code))
    })
}

fn sources(dir: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("the sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(std::fs::read_to_string(&path).expect("text")),
        }
    }
}

#[test]
fn the_manual_lists_every_code_a_failure_has() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(package.join("../docs/cli.md")).expect("the manual");
    let mut all = Vec::new();
    sources(&package.join("src"), &mut all);
    let mut seen = 0;
    for (exit, code) in all.iter().flat_map(|source| codes(source)) {
        let number = match exit {
            "Failed" => 1,
            "Usage" => 2,
            "Unreachable" => 3,
            "NotPermitted" => 4,
            "TimedOut" => 6,
            other => panic!("{other} needs its number here"),
        };
        let row = page.lines().find(|line| line.starts_with(&format!("| {number} | ")));
        let listed = row.is_some_and(|row| row.contains(&format!("`{code}`")));
        assert!(listed, "exit {number} lacks `{code}` in docs/cli.md");
        seen += 1;
    }
    assert!(seen > 25, "{seen}: the sources are written otherwise now");
}
