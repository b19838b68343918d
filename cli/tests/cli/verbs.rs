//! Each verb as it goes well, for people and for programs.

use mesh_model::MemberId;
use mesh_model::api::v1::{
    Divergence, DivergentState, Document, ErrorCode, FarStamp, KeyStage, KeyStatus, ReportReply,
    VersionReply,
};
use mesh_model::view::StateHash;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Reply};
use crate::documents;
use crate::run::{mesh, mesh_with_input};

/// Runs `args` against a daemon that answers `line` with `reply`, as a table.
fn table(line: &str, reply: Reply, args: &[&str]) -> String {
    let daemon = Daemon::with(&[(line, reply)]);
    let ran = mesh(daemon.socket(), args);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran.stdout
}

/// The document that `args` print is the daemon's, field for field; returns what was asked.
#[track_caller]
fn passes_on<T>(line: &str, body: T, args: &[&str]) -> Value
where
    T: mesh_model::api::v1::Schema + serde::Serialize + Clone,
{
    let daemon = Daemon::with(&[(line, Reply::document(body.clone()))]);
    let mut args = args.to_vec();
    args.extend(["--format", "json"]);
    let ran = mesh(daemon.socket(), &args);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let expected = serde_json::to_value(Document::from(body)).expect("serialises");
    assert_eq!(ran.document(), expected);
    let asked = daemon.asked();
    assert_eq!(asked.len(), 1);
    asked[0].body.clone()
}

#[test]
fn status_shows_everything_at_one_glance() {
    let reply = Reply::document(documents::status());
    assert_eq!(
        table("GET /v1/status", reply, &["status"]),
        "\
mesh        home (fefefefefefefefefefefefefefefefe)
this host   n1 (m1), supervisor
addresses   100.88.0.1 fdfe:fefe:fefe::1
device      mesh0, udp port 51820
supervisor  n1 (m1), this host, term 3
log         committed 43, applied 42
state hash  3f3f3f3f3f3f
members     3, 1 dead
meshd       0.1.0, up 3m12s

NAME        ID   ADDRESS      ROLE     STATE  PATH    ENDPOINT         HANDSHAKE    RTT         RX       TX
n2          m2   100.88.0.2   voter    alive  direct  192.0.2.2:51820    12s ago  0.4ms  100.0 MiB  1.5 KiB
database-3  m13  100.88.0.13  learner  dead   none    -                    never      -        0 B    148 B
"
    );
}

#[test]
fn keys_show_whose_they_are_and_whom_the_one_before_is_kept_for() {
    let page = table("GET /v1/keys", Reply::document(documents::keys()), &["keys", "show"]);
    assert!(page.contains("answered for n3 (m3); ends in 29d21h at the latest\n"), "{page}");
    let mut keys = documents::keys();
    (keys.before, keys.own.serial) = (None, 0);
    keys.next = Some(mesh_model::TunnelKey([8; 32]));
    let page = table("GET /v1/keys", Reply::document(keys), &["keys"]);
    assert!(page.contains("changed    never: it is the one the host joined with\n"), "{page}");
    assert!(page.contains("not agreed yet"), "{page}");
}

#[test]
fn keys_rotate_asks_for_what_was_said() {
    let rotated = documents::rotated;
    let reply = Reply::document(rotated(None));
    assert_eq!(
        table("POST /v1/keys/rotate", reply, &["keys", "rotate"]),
        "\
n1 (m1) has the key AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= now; agreed at index 48
the key before is answered until every member knows of it
"
    );
    let asked = passes_on("POST /v1/keys/rotate", rotated(None), &["keys", "rotate"]);
    assert_eq!(asked, json!({"force": false, "wait_ms": null}));
    let words = ["keys", "rotate", "--force", "--wait", "--timeout", "5s"];
    let asked = passes_on("POST /v1/keys/rotate", rotated(Some(documents::applied_by())), &words);
    assert_eq!(asked, json!({"force": true, "wait_ms": 5000}));
    passes_on("GET /v1/keys", documents::keys(), &["keys"]);
}

#[test]
fn detailed_status_adds_agreement_gossip_and_counters() {
    let reply = Reply::document(documents::status());
    let page = table("GET /v1/status", reply, &["status", "--detailed"]);
    let whole_hash = format!("state hash  {}\n", "3f".repeat(32));
    assert!(page.contains(&whole_hash), "{page}");
    let (_, details) = page.split_once("\nraft\n").expect("a section");
    assert_eq!(
        details,
        "  role      leader
  voters    m1 m2
  learners  m13
  edition   1, this host reads 2

gossip
  NAME        ID   STATE  INCARNATION
  n1          m1   alive            0
  n2          m2   alive            4
  database-3  m13  dead             1

drops
  source_not_allowed  7

packet path
  workers  2

offloads
  udp_gso  on
"
    );
}

#[test]
fn status_before_joining_says_what_to_do() {
    let reply = Reply::document(documents::not_joined());
    let page = table("GET /v1/status", reply, &["status"]);
    assert!(page.starts_with("meshd 0.1.0 is running and belongs to no mesh yet.\n"), "{page}");
    assert!(page.contains("mesh init") && page.contains("mesh join"), "{page}");
    passes_on("GET /v1/status", documents::not_joined(), &["status"]);
}

#[test]
fn status_of_a_host_whose_disk_failed_says_so_first() {
    let reply = Reply::document(documents::degraded());
    let page = table("GET /v1/status", reply, &["status"]);
    let lines: Vec<&str> = page.lines().take(4).collect();
    assert_eq!(
        lines,
        [
            "degraded    the disk failed; this host takes no part in agreement any more",
            "what to do  mend the disk, then restart meshd",
            "mesh        home (fefefefefefefefefefefefefefefefe)",
            "this host   n1 (m1), no part in agreement",
        ],
        "{page}"
    );
    assert!(page.contains("supervisor  none, term 3"), "{page}");
}

#[test]
fn status_of_a_mesh_whose_members_differ_names_them_first() {
    let mut status = documents::status();
    let party = |member, byte| DivergentState {
        member: MemberId(member),
        state_hash: StateHash([byte; 32]),
    };
    status.divergences =
        vec![Divergence { index: 44, parties: vec![party(1, 0xaa), party(3, 0xbb)] }];
    let page = table("GET /v1/status", Reply::document(status), &["status"]);
    let lines: Vec<&str> = page.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            "diverged    at index 44 members hold different states (m1 has aaaaaaaaaaaa, m3 has bbbbbbbbbbbb); \
             nobody comes in here and no vote changes hands",
            "what to do  compare `mesh status` on them, and ban the one that is wrong with `mesh ban`: that ends it",
        ],
        "{page}"
    );
}

#[test]
fn status_where_the_supervisors_clock_is_wrong_names_it_first() {
    let mut status = documents::status();
    let at_ms = 4_102_444_800_000;
    status.far_stamp = Some(FarStamp { index: 44, at_ms, by: Some(MemberId(2)) });
    let page = table("GET /v1/status", Reply::document(status), &["status"]);
    assert!(page.starts_with("clock       index 44 was stamped by "), "{page}");
    assert!(page.contains("(m2) with a time that comes in "), "{page}");
    assert!(page.contains("\nwhat to do  set the clock that is wrong"), "{page}");
}

#[test]
fn status_says_of_the_key_what_somebody_should_know() {
    let page = |stage, is_old| {
        let mut status = documents::status();
        status.key = Some(KeyStatus { serial: 2, since_ms: 1_700_000_000_000, stage, is_old });
        table("GET /v1/status", Reply::document(status), &["status"])
    };
    assert!(!page(KeyStage::Settled, false).contains("\nkey "));
    for (stage, is_old, told) in [
        (KeyStage::Prepared, false, "a new one is not agreed yet; `mesh keys rotate` tries again"),
        (
            KeyStage::Agreed,
            true,
            "ago; the one before is answered still, `mesh keys` says for whom",
        ),
        (KeyStage::Settled, true, "more than a year old; `mesh keys rotate` changes it"),
    ] {
        let page = page(stage, is_old);
        let line = page.lines().find(|line| line.starts_with("key ")).expect("a line");
        assert!(line.ends_with(told), "{line}");
    }
}

#[test]
fn status_without_a_supervisor_and_without_peers() {
    let mut status = documents::status();
    status.peers.clear();
    status.gossip.clear();
    status.interface = None;
    status.members = 1;
    status.raft.as_mut().expect("a member").leader = None;
    let page = table("GET /v1/status", Reply::document(status), &["status"]);
    for part in [
        "supervisor  none, term 3\n",
        "device      no interface, udp port 51820\n",
        "members     1\n",
        "no other members yet",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn status_passes_the_document_on() {
    passes_on("GET /v1/status", documents::status(), &["status"]);
}

#[test]
fn fields_of_a_newer_daemon_are_passed_on() {
    let mut document =
        serde_json::to_value(Document::from(documents::waited())).expect("serialises");
    document["phase_of_the_moon"] = json!("full");
    let reply = Reply::Http(200, document.to_string().into_bytes());
    let daemon = Daemon::with(&[("POST /v1/wait", reply)]);
    let args = ["wait", "--for", "ready", "--format", "json"];
    assert_eq!(mesh(daemon.socket(), &args).document(), document);
}

#[test]
fn another_members_words_cannot_steer_the_terminal() {
    let mut peers = documents::peers();
    peers.peers[0].version = Some("\u{1b}[2J0.1".to_owned());
    let page = table("GET /v1/peers", Reply::document(peers), &["peers"]);
    assert!(page.contains("?[2J0.1") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn peers_shows_who_they_are() {
    let reply = Reply::document(documents::peers());
    assert_eq!(
        table("GET /v1/peers", reply, &["peers"]),
        "\
NAME        ID   IPV4         IPV6               ROLE     STATE  PATH    ENDPOINT           RTT   SEEN  APPLIED  VERSION
n2          m2   100.88.0.2   fdfe:fefe:fefe::2  voter    alive  direct  192.0.2.2:51820  0.4ms    now       42  0.1.0
database-3  m13  100.88.0.13  fdfe:fefe:fefe::d  learner  dead   none    -                    -  never        -  -
"
    );
    passes_on("GET /v1/peers", documents::peers(), &["peers"]);
}

#[test]
fn a_session_with_the_pairs_key_is_told_wherever_the_way_is() {
    let mut peers = documents::peers();
    peers.peers[0].post_quantum = true;
    let page = table("GET /v1/peers", Reply::document(peers), &["peers"]);
    assert!(page.contains("alive  direct, pq  192.0.2.2:51820"), "{page}");
    assert!(page.contains("dead   none  "), "{page}");
    let mut tunnels = documents::tunnels();
    tunnels.tunnels[0].post_quantum = true;
    let page = table("GET /v1/tunnels", Reply::document(tunnels), &["tunnels"]);
    assert!(page.contains("up, pq") && page.contains("down  "), "{page}");
}

#[test]
fn tunnels_reads_like_wg_show() {
    let reply = Reply::document(documents::tunnels());
    assert_eq!(
        table("GET /v1/tunnels", reply, &["tunnels"]),
        "\
public key      AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
listening port  51820

PEER        ID   PUBLIC KEY                                    ENDPOINT         ALLOWED IPS                           SESSION  HANDSHAKE         RX       TX  KEEPALIVE
n2          m2   AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=  192.0.2.2:51820  100.88.0.2/32,fdfe:fefe:fefe::2/128   up         12s ago  100.0 MiB  1.5 KiB        25s
database-3  m13  AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=  -                100.88.0.13/32,fdfe:fefe:fefe::d/128  down         never        0 B    148 B        off
"
    );
    passes_on("GET /v1/tunnels", documents::tunnels(), &["tunnels"]);
}

#[test]
fn supervisor_says_who_leads_or_why_nobody_does() {
    let reply = Reply::document(documents::supervisor(Some(1)));
    assert_eq!(
        table("GET /v1/supervisor", reply, &["supervisor"]),
        "supervisor  n1 (m1), this host\nterm        3\nvoters      m1 m2\n"
    );
    let reply = Reply::document(documents::supervisor(None));
    let page = table("GET /v1/supervisor", reply, &["supervisor"]);
    assert!(page.starts_with("supervisor  none: an election"), "{page}");
    passes_on("GET /v1/supervisor", documents::supervisor(None), &["supervisor"]);
}

#[test]
fn supervisor_status_adds_since_when_and_why() {
    let reply = Reply::document(documents::supervisor(Some(1)));
    let page = table("GET /v1/supervisor", reply, &["supervisor", "status"]);
    assert!(
        page.contains("since              2026-01-01T00:03:03Z, m2 handed over on request\n"),
        "{page}"
    );
    passes_on("GET /v1/supervisor", documents::supervisor(None), &["supervisor", "status"]);
    let words = ["supervisor", "history"];
    passes_on("GET /v1/supervisor/history", documents::history(), &words);
}

#[test]
fn supervisor_transfer_names_whom_it_means_and_step_down_nobody() {
    let line = "POST /v1/supervisor/transfer";
    let asked = passes_on(line, documents::transferred(), &["supervisor", "transfer", "n2"]);
    assert_eq!(asked, json!({"to": "n2"}));
    let asked = passes_on(line, documents::transferred(), &["supervisor", "step-down"]);
    assert_eq!(asked, json!({"to": null}));
}

#[test]
fn voters_says_who_votes_and_passes_wishes_on() {
    passes_on("GET /v1/voters", documents::voters(), &["voters", "list"]);
    let words = ["voters", "set", "n2", "never"];
    let asked = passes_on("POST /v1/voters/wish", documents::voters(), &words);
    assert_eq!(asked, json!({"member": "n2", "wish": "never"}));
    for (word, target) in [("auto", Value::Null), ("5", json!(5))] {
        let words = ["voters", "target", word];
        let asked = passes_on("POST /v1/voters/target", documents::voters(), &words);
        assert_eq!(asked, json!({"target": target}));
    }
}

#[test]
fn init_sends_what_was_said_and_shows_who_we_are() {
    let reply = Reply::document(documents::joined());
    assert_eq!(
        table("POST /v1/init", reply, &["init"]),
        "started mesh `home` as n2 (m2)\n\
         addresses     100.88.0.2 fdfe:fefe:fefe::2\n\
         mesh invite   makes a token for the next host\n"
    );
    let args = ["init", "--mesh-name", "home", "--name", "n2", "--ipv4-prefix", "10.77.0.0/16"];
    let asked = passes_on("POST /v1/init", documents::joined(), &args);
    let expected = json!({"mesh_name": "home", "name": "n2", "ipv4_prefix": "10.77.0.0/16"});
    assert_eq!(asked, expected);
}

#[test]
fn invite_prints_the_token_alone() {
    let daemon = Daemon::with(&[("POST /v1/invites", Reply::document(documents::invite(20)))]);
    let args = [
        "invite",
        "--uses",
        "20",
        "--lifetime",
        "2h",
        "--endpoint",
        "192.0.2.1:51820",
        "--endpoint",
        "[2001:db8::1]:51820",
        "--range",
        "100.88.7.5/24",
        "--voter",
    ];
    let ran = mesh(daemon.socket(), &args);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{}\n", documents::token())));
    assert_eq!(
        ran.stderr,
        "This token admits 20 hosts and is valid for 2h. It is a secret.\n\
         On the other host, run `mesh join` and paste it.\n"
    );
    let expected = json!({
        "uses": 20,
        "lifetime_s": 7200,
        "range": "100.88.7.0/24",
        "voter": true,
        "endpoints": ["192.0.2.1:51820", "[2001:db8::1]:51820"],
        "tags": [],
    });
    assert_eq!(daemon.asked()[0].body, expected);
    let words = ["invite", "--tags", "web,tag:eu"];
    let asked = passes_on("POST /v1/invites", documents::invite(1), &words);
    let tags = ["tag:eu", "tag:web"];
    assert_eq!(
        asked,
        json!({
            "uses": 1, "lifetime_s": 600, "range": null, "voter": false, "endpoints": [], "tags": tags
        })
    );
}

#[test]
fn join_takes_the_token_from_standard_input() {
    let text = documents::token();
    for args in [&["join"][..], &["join", "-"], &["join", "--name", "n2", "-"]] {
        let daemon = Daemon::with(&[("POST /v1/join", Reply::document(documents::joined()))]);
        let ran = mesh_with_input(daemon.socket(), args, format!("\n  {text} \r\n").as_bytes());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert_eq!(
            ran.stdout,
            "joined mesh `home` as n2 (m2)\n\
             addresses     100.88.0.2 fdfe:fefe:fefe::2\n\
             mesh status   shows the other members\n"
        );
        assert_eq!(daemon.asked()[0].body["token"], text.as_str());
    }
}

#[test]
fn join_takes_the_token_as_an_argument() {
    let text = documents::token();
    let args = ["join", &text, "--name", "n2"];
    let asked = passes_on("POST /v1/join", documents::joined(), &args);
    assert_eq!(asked, json!({"token": text, "name": "n2"}));
}

#[test]
fn leave_says_what_was_left() {
    let reply = Reply::document(documents::left(Some(44)));
    assert_eq!(
        table("POST /v1/leave", reply, &["leave", "--yes"]),
        "left mesh fefefefefefefefefefefefefefefefe, was m2; agreed at index 44\n"
    );
    // Standard input is no terminal here, so nothing is asked without --yes either.
    let reply = Reply::document(documents::left(None));
    let page = table("POST /v1/leave", reply, &["leave", "--force"]);
    assert!(page.contains("by force"), "{page}");
    let asked = passes_on("POST /v1/leave", documents::left(None), &["leave", "--force"]);
    assert_eq!(asked, json!({"force": true}));
}

#[test]
fn revoking_passes_on_what_was_asked() {
    let words = ["invites", "revoke", "0606", "--with-members", "--wait", "--timeout", "2s"];
    let asked = passes_on("POST /v1/invites/revoke", documents::revoked(), &words);
    assert_eq!(asked, json!({"invite": "0606", "with_members": true, "wait_ms": 2000}));
    let asked = passes_on("POST /v1/invites/revoke", documents::revoked(), &words[..3]);
    assert_eq!(asked, json!({"invite": "0606", "with_members": false, "wait_ms": null}));
}

#[test]
fn ban_passes_on_what_was_asked_and_says_who_applied_it() {
    let words = ["ban", "n2", "--for", "1h30m", "--reason", "floods", "--wait", "--timeout", "2s"];
    let asked = passes_on("POST /v1/bans", documents::banned(None), &words);
    let expected = json!({"member": "n2", "for_s": 5400, "reason": "floods", "wait_ms": 2000});
    assert_eq!(asked, expected);
    let asked = passes_on("POST /v1/bans", documents::banned(None), &["ban", "m2"]);
    assert_eq!(asked, json!({"member": "m2", "for_s": null, "reason": null, "wait_ms": null}));

    let reply = Reply::document(documents::banned(Some(documents::applied_by())));
    assert_eq!(
        table("POST /v1/bans", reply, &["ban", "n2", "--wait"]),
        "banned n2 (m2) until it is unbanned; agreed at index 45\n\
         applied by 3 of 3 members after 420ms\n"
    );
    for verb in ["unban", "remove"] {
        let path = format!("POST /v1/{verb}");
        let asked = match verb {
            "unban" => passes_on(&path, documents::unbanned(), &[verb, "n2"]),
            _ => passes_on(&path, documents::removed(), &[verb, "n2", "--wait"]),
        };
        assert_eq!(asked["member"], "n2");
        assert_eq!(asked["wait_ms"], if verb == "unban" { json!(null) } else { json!(30_000) });
    }
}

#[test]
fn a_ban_that_cannot_be_is_refused_before_the_daemon_is_asked() {
    for words in [
        &["ban", "n2", "--for", "0s"][..],
        &["ban", "n2", "--for", "soon"],
        &["ban", "n2", "--reason", "two\nlines"],
        &["ban", "n2", "--timeout", "1s"],
        &["ban"],
    ] {
        assert_eq!(mesh(std::path::Path::new("/nonexistent"), words).code, Some(2), "{words:?}");
    }
}

#[test]
fn ping_tells_each_echo_and_sums_up() {
    let daemon = Daemon::with(&[
        ("POST /v1/ping", Reply::document(documents::pong(421))),
        ("POST /v1/ping", Reply::error(504, ErrorCode::TimedOut, "no echo within 100ms", "")),
        ("POST /v1/ping", Reply::document(documents::pong(12_003))),
    ]);
    let args = ["ping", "n2", "-4", "-c", "3", "-i", "0.01", "-W", "0.1"];
    let ran = mesh(daemon.socket(), &args);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ran.stdout,
        "\
reply from n2 (fdfe:fefe:fefe::2): seq=1 time=0.421 ms, direct via 192.0.2.2:51820
seq=2 no answer: no echo within 100ms
reply from n2 (fdfe:fefe:fefe::2): seq=3 time=12.003 ms, direct via 192.0.2.2:51820
--- n2 ---
3 sent, 2 received, 33% lost
round trip min/avg/max = 0.421/6.212/12.003 ms
"
    );
    let expected = json!({"target": "n2", "family": "v4", "timeout_ms": 100});
    assert!(daemon.asked().iter().all(|asked| asked.body == expected));
}

#[test]
fn ping_as_json_is_one_document_of_one_shape() {
    let lost = Reply::error(504, ErrorCode::TimedOut, "no echo", "");
    let daemon = Daemon::with(&[
        ("POST /v1/ping", Reply::document(documents::pong(421))),
        ("POST /v1/ping", lost),
    ]);
    let args = ["ping", "n2", "-c", "2", "-i", "0.01", "--format", "json"];
    let ran = mesh(daemon.socket(), &args);
    assert_eq!(ran.code, Some(0));
    let expected = json!({
        "schema": "mesh.pings/v1",
        "target": "n2",
        "member": 2,
        "name": "n2",
        "addr": "fdfe:fefe:fefe::2",
        "sent": 2,
        "received": 1,
        "rtt_us": {"min": 421, "avg": 421, "max": 421},
        "replies": [{
            "seq": 1,
            "member": 2,
            "name": "n2",
            "addr": "fdfe:fefe:fefe::2",
            "rtt_us": 421,
            "endpoint": "192.0.2.2:51820",
            "path": "direct",
        }],
        "lost": [{"seq": 2, "code": "timed_out", "message": "no echo"}],
    });
    assert_eq!(ran.document(), expected);
}

#[test]
fn ping_that_nobody_answers_fails() {
    let lost = Reply::error(504, ErrorCode::Unreachable, "no session with n2", "");
    let daemon = Daemon::with(&[("POST /v1/ping", lost)]);
    let ran = mesh(daemon.socket(), &["ping", "n2", "-c", "1"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            Some(1),
            "seq=1 no answer: no session with n2\n--- n2 ---\n1 sent, 0 received, 100% lost\n"
        )
    );
    let ran = mesh(daemon.socket(), &["ping", "n2", "-c", "1", "--format", "json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.document()["rtt_us"], Value::Null);
}

#[test]
fn wait_says_what_holds_now() {
    let reply = Reply::document(documents::waited());
    let args = ["wait", "--for", "applied=42"];
    assert_eq!(
        table("POST /v1/wait", reply, &args),
        "index 42 is applied after 1s: supervisor m1, applied 42\n"
    );
    let asked = passes_on("POST /v1/wait", documents::waited(), &args);
    assert_eq!(asked["for"], json!({"applied": 42}));
    let asked = passes_on(
        "POST /v1/wait",
        documents::waited(),
        &["wait", "--for", "ready", "--timeout", "1m"],
    );
    assert_eq!(asked["for"], "ready");
    let timeout = asked["timeout_ms"].as_u64().expect("a number");
    assert!((1..=60_000).contains(&timeout), "{timeout}");
}

#[test]
fn wait_waits_for_the_daemon_to_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("meshd.sock");
    let args = ["wait", "--for", "leader", "--timeout", "1m"];
    let child = crate::run::command(&socket, &args).spawn().expect("starts");
    let daemon = Daemon::at(
        &socket,
        &[
            ("POST /v1/wait", Reply::Raw(Vec::new())),
            ("POST /v1/wait", Reply::document(documents::waited())),
        ],
    );
    let ran = crate::run::ended(child.wait_with_output().expect("runs"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(daemon.asked().len(), 2, "the first answer broke off");
}

#[test]
fn version_shows_both() {
    let version = VersionReply { version: "9.9.9".to_owned() };
    let own = env!("CARGO_PKG_VERSION");
    let reply = Reply::document(version.clone());
    assert_eq!(
        table("GET /v1/version", reply, &["version"]),
        format!("mesh   {own}\nmeshd  9.9.9\n")
    );
    let daemon = Daemon::with(&[("GET /v1/version", Reply::document(version))]);
    let ran = mesh(daemon.socket(), &["version", "--format", "json"]);
    let expected = json!({"schema": "mesh.versions/v1", "client": own, "daemon": "9.9.9"});
    assert_eq!(ran.document(), expected);
}

#[test]
fn version_answers_without_a_daemon() {
    let nowhere = std::path::Path::new("/nonexistent/meshd.sock");
    let ran = mesh(nowhere, &["version", "--format", "json"]);
    assert_eq!((ran.code, ran.document()["daemon"].clone()), (Some(0), Value::Null));
    let ran = mesh(nowhere, &["version"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("unknown: no meshd answers at"), "{ran:?}");
}

#[test]
fn completion_knows_the_verbs() {
    let nowhere = std::path::Path::new("/nonexistent/meshd.sock");
    for shell in ["bash", "zsh", "fish"] {
        let ran = mesh(nowhere, &["completion", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        assert!(ran.stdout.contains("supervisor"), "{shell}");
    }
}

#[test]
fn report_passes_on_what_was_asked_and_says_how_far_the_case_is() {
    let words = ["report", "n3", "--kind", "floods", "--reason", "a gigabit of nothing"];
    let asked = passes_on("POST /v1/reports", documents::reported(), &words);
    let reason = "a gigabit of nothing";
    assert_eq!(asked, json!({"member": "n3", "kind": "floods", "reason": reason}));
    let page = table("POST /v1/reports", Reply::document(documents::reported()), &words[..4]);
    assert_eq!(
        page,
        "reported n3 (m3): floods; that ends in 1h\n\
         m1 has heard 2 lineages of the 3 that are needed; 5 could report it\n"
    );
    let unheard = ReportReply { told: None, tally: None, ..documents::reported() };
    let page = table("POST /v1/reports", Reply::document(unheard), &words[..4]);
    assert!(page.ends_with("\nno supervisor was reached; the next one is told\n"), "{page}");
}

#[test]
fn reports_shows_what_this_host_says_and_what_it_was_told() {
    passes_on("GET /v1/reports", documents::reports(), &["reports"]);
    let mut reports = documents::reports();
    reports.cases = None;
    reports.own[0].tally = None;
    reports.own[0].refused = Some("a clock\u{1b} is wrong".to_owned());
    let page = table("GET /v1/reports", Reply::document(reports.clone()), &["reports"]);
    assert!(page.contains("not counted: a clock? is wrong"), "{page}");
    assert!(!page.contains("the supervisor\n"), "{page}");
    reports.own.clear();
    let page = table("GET /v1/reports", Reply::document(reports.clone()), &["reports"]);
    assert_eq!(page, "this host reports nobody\n");
    reports.cases = Some(Vec::new());
    let page = table("GET /v1/reports", Reply::document(reports), &["reports"]);
    assert_eq!(page, "this host reports nobody\nnobody was reported to it\n");
}
