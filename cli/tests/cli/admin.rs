//! Admins: keys in files, statements signed without a daemon, and what is refused on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mesh_model::api::v1::{Admin, Admins, AppliedBy, Document, Draft, Submitted};
use mesh_model::trust::{AdminChange, AdminStep, AdminsHead, MeshRoot, Request, Verdict};
use mesh_model::trust::{Ruling, VoterPolicy};
use mesh_model::{AdminId, Cosigned, IdentityKey, IdentitySecret, MemberId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::{Daemon, Reply};
use crate::run::{Ran, mesh, mesh_with_input};

/// Nobody listens there: what works with it needs no daemon.
const NOWHERE: &str = "/nonexistent/meshd.sock";

const PASSPHRASE: &[u8] = b"correct horse battery staple\n";

fn root() -> MeshRoot {
    MeshRoot::of(IdentitySecret::from_seed([1; 32]).public())
}

/// Makes a key in `dir`; its file and public half.
fn keygen(dir: &Path, name: &str) -> (PathBuf, IdentityKey) {
    let file = dir.join(name);
    let args = ["admin", "keygen", "--passphrase-file", "/dev/stdin", file.to_str().expect("text")];
    let ran = mesh_with_input(Path::new(NOWHERE), &args, PASSPHRASE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("mesh admin add NAME"), "{ran:?}");
    (file, ran.stdout.trim().parse().expect("a public key"))
}

/// Signs `request` with the key in `key`, without a daemon.
fn sign(key: &Path, request: &Path, passphrase: &[u8]) -> Ran {
    let (key, request) = (key.to_str().expect("text"), request.to_str().expect("text"));
    let args = ["admin", "sign", "--key", key, "--passphrase-file", "/dev/stdin", request];
    mesh_with_input(Path::new(NOWHERE), &args, passphrase)
}

fn draft(request: &Request, needed: u8) -> Draft {
    let (signed_by, text) = (request.signers(), request.to_string());
    Draft { mesh: root().mesh, needed, signed_by, request: text }
}

fn change(step: AdminStep) -> Request {
    let before = AdminsHead::of_root(&root().key);
    let change = AdminChange { mesh: root().mesh, serial: 1, before, step };
    Request::ChangeAdmins(Cosigned::new(&change))
}

fn ban_of_m7() -> Request {
    let ruling = Ruling::Banned { until_ms: None, reason: "why".parse().ok() };
    let identity = root().key;
    let verdict = Verdict { mesh: root().mesh, member: MemberId(7), identity, serial: 1, ruling };
    Request::Judge(Cosigned::new(&verdict))
}

fn written(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("a document")
}

#[test]
fn a_key_is_encrypted_private_and_never_written_over() {
    let dir = TempDir::new().expect("a directory");
    let (file, key) = keygen(dir.path(), "alice.key");
    let mode = std::fs::metadata(&file).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = std::fs::read(&file).expect("readable");
    assert!(bytes.starts_with(b"age-encryption.org/v1\n-> scrypt "), "an age file");
    assert!(!String::from_utf8_lossy(&bytes).contains(&key.to_string()));

    let args = ["admin", "keygen", "--passphrase-file", "/dev/stdin", file.to_str().expect("text")];
    let again = mesh_with_input(Path::new(NOWHERE), &args, PASSPHRASE);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read(&file).expect("readable"), bytes);
    let fresh = dir.path().join("empty.key");
    let args =
        ["admin", "keygen", "--passphrase-file", "/dev/stdin", fresh.to_str().expect("text")];
    let empty = mesh_with_input(Path::new(NOWHERE), &args, b"\n");
    assert!(empty.code == Some(1) && empty.stderr.contains("empty"), "{empty:?}");
    assert!(!fresh.exists());
    let args =
        ["admin", "keygen", "--passphrase-file", "/dev/fd/77", fresh.to_str().expect("text")];
    let closed = mesh(Path::new(NOWHERE), &args);
    assert!(closed.code == Some(1) && closed.stderr.contains("/dev/fd/77"), "{closed:?}");
}

#[test]
fn what_two_have_to_sign_travels_in_a_file_and_is_submitted() {
    let dir = TempDir::new().expect("a directory");
    let ((alice, alice_key), (bob, bob_key)) =
        (keygen(dir.path(), "alice.key"), keygen(dir.path(), "bob.key"));
    let carol = IdentitySecret::from_seed([9; 32]).public();
    let step = AdminStep::Add { name: "carol".parse().expect("a name"), key: carol };
    let wanted = draft(&change(step), 2);
    let daemon = Daemon::with(&[("POST /v1/requests", Reply::document(wanted))]);
    let file = dir.path().join("carol.request");
    let path = file.to_str().expect("text");
    let key = carol.to_string();
    let ran = mesh(daemon.socket(), &["admin", "add", "carol", &key, "--out", path]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.stdout,
        format!("0 of 2 signatures: make carol an admin, with the key {carol}\n")
    );
    assert!(ran.stderr.contains("needs 2 more signatures"), "{ran:?}");
    let asked = &daemon.asked()[0].body;
    let wanted = json!({"what": "add_admin", "name": "carol", "key": key});
    assert_eq!(*asked, json!({"wanted": wanted, "sign": true}));
    assert_eq!(written(&file)["schema"], "mesh.request/v1");

    let early = mesh(daemon.socket(), &["admin", "submit", path]);
    assert_eq!(early.code, Some(1), "nobody answers that: {early:?}");
    let ran = sign(&alice, &file, PASSPHRASE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("1 of 2 signatures: make carol an admin"), "{ran:?}");
    let again = sign(&alice, &file, PASSPHRASE);
    assert!(again.stdout.starts_with("1 of 2 "), "the same one twice is one: {again:?}");
    let ran = sign(&bob, &file, PASSPHRASE);
    assert!(ran.stdout.starts_with("2 of 2 signatures"), "{ran:?}");

    let submitted =
        Submitted { index: 12, applied_by: Some(AppliedBy { members: 3, of: 3, waited_ms: 900 }) };
    let daemon = Daemon::with(&[("POST /v1/requests/submit", Reply::document(submitted))]);
    let ran = mesh(daemon.socket(), &["admin", "submit", path, "--wait"]);
    assert_eq!(
        ran.stdout,
        format!(
            "agreed at index 12: make carol an admin, with the key {carol}\n\
             applied by 3 of 3 members after 900ms\n"
        )
    );
    let asked = &daemon.asked()[0].body;
    let request: Request = asked["request"].as_str().expect("text").parse().expect("a request");
    assert_eq!(request.check(), Ok(()));
    let mut signers = vec![alice_key, bob_key];
    signers.sort();
    assert_eq!(request.signers(), signers);
    assert_eq!(asked["wait_ms"], 30_000);
}

#[test]
fn a_member_without_a_key_is_spoken_for_with_one_in_a_file() {
    let dir = TempDir::new().expect("a directory");
    let (alice, alice_key) = keygen(dir.path(), "alice.key");
    let submitted = Submitted { index: 12, applied_by: None };
    let daemon = Daemon::with(&[
        ("POST /v1/requests", Reply::document(draft(&ban_of_m7(), 1))),
        ("POST /v1/requests/submit", Reply::document(submitted)),
    ]);
    let key = alice.to_str().expect("text");
    let args =
        ["ban", "m7", "--reason", "why", "--admin-key", key, "--passphrase-file", "/dev/stdin"];
    let ran = mesh_with_input(daemon.socket(), &args, PASSPHRASE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let identity = root().key;
    assert_eq!(
        ran.stdout,
        format!(
            "agreed at index 12: member m7, whose identity is {identity}, is banned, because: why\n"
        )
    );
    let asked = daemon.asked();
    let wanted = json!({"what": "ban", "member": "m7", "for_s": null, "reason": "why"});
    assert_eq!(asked[0].body, json!({"wanted": wanted, "sign": false}));
    let text = asked[1].body["request"].as_str().expect("text");
    assert_eq!(text.parse::<Request>().expect("a request").signers(), [alice_key]);

    // Without a key there is nothing to submit.
    let daemon = Daemon::with(&[(
        "POST /v1/requests",
        Reply::document(draft(&change(AdminStep::Threshold(1)), 1)),
    )]);
    let ran = mesh(daemon.socket(), &["admin", "threshold", "1", "--format", "json"]);
    assert_eq!((ran.code, &ran.error()["code"]), (Some(1), &json!("not_admin")));
    assert!(ran.error()["hint"].as_str().expect("text").contains("--admin-key FILE"));
}

#[test]
fn what_cannot_be_told_or_was_tampered_with_is_not_signed() {
    let dir = TempDir::new().expect("a directory");
    let (alice, _) = keygen(dir.path(), "alice.key");
    let file = dir.path().join("request");
    let put = |draft: Draft| {
        let text = serde_json::to_vec(&Document::from(draft)).expect("plain data");
        std::fs::write(&file, text).expect("written");
    };
    let genuine = draft(&change(AdminStep::Threshold(1)), 1);
    put(genuine.clone());
    let wrong = sign(&alice, &file, b"incorrect\n");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("another passphrase"), "{wrong:?}");
    let elsewhere = MeshRoot::of(IdentitySecret::from_seed([2; 32]).public()).mesh;
    put(Draft { mesh: elsewhere, ..genuine.clone() });
    let crossed = sign(&alice, &file, PASSPHRASE);
    assert!(crossed.stderr.contains(&format!("it is for mesh {}", root().mesh)), "{crossed:?}");
    put(Draft { request: genuine.request[4..].to_owned(), ..genuine.clone() });
    assert_eq!(sign(&alice, &file, PASSPHRASE).code, Some(1));
    // A signature of somebody that was made for something else.
    let mut signed = change(AdminStep::Threshold(2));
    signed.sign(&IdentitySecret::from_seed([3; 32]));
    let text = signed.to_string();
    let bytes = data(&text);
    let mut forged = bytes.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    put(Draft { request: encoded(&forged), ..genuine });
    let forged = sign(&alice, &file, PASSPHRASE);
    assert_eq!(forged.code, Some(1));
    assert!(forged.stderr.contains("does not match"), "{forged:?}");
    std::fs::write(&file, "nonsense").expect("written");
    let nonsense = sign(&alice, &file, PASSPHRASE);
    assert!(nonsense.stderr.contains("holds no request"), "{nonsense:?}");
    let none = sign(&dir.path().join("nobody.key"), &file, PASSPHRASE);
    assert_eq!(none.code, Some(1));
}

fn data(text: &str) -> Vec<u8> {
    data_encoding::BASE64.decode(text.as_bytes()).expect("base64")
}

fn encoded(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

#[test]
fn a_policy_is_read_out_whole() {
    let dir = TempDir::new().expect("a directory");
    let (alice, _) = keygen(dir.path(), "alice.key");
    let file = dir.path().join("request");
    let policy = VoterPolicy {
        mesh: root().mesh,
        serial: 2,
        target: mesh_model::trust::VoterTarget::of(5),
        wishes: [(MemberId(3), mesh_model::trust::Wish::Never)].into(),
    };
    let draft = draft(&Request::SetVoters(Cosigned::new(&policy)), 1);
    std::fs::write(&file, serde_json::to_vec(&Document::from(draft)).expect("plain data"))
        .expect("written");
    let ran = sign(&alice, &file, PASSPHRASE);
    assert_eq!(ran.stdout, "1 of 1 signatures: 5 members vote, m3 never\n");
}

#[test]
fn the_list_shows_who_is_and_who_was() {
    let admin = |id, name: &str, seed, until| Admin {
        admin: AdminId(id),
        name: name.parse().expect("a name"),
        key: IdentitySecret::from_seed([seed; 32]).public(),
        since: id * 10,
        until,
        here: id == 0,
    };
    let admins = Admins {
        threshold: 1,
        serial: 2,
        head: AdminsHead([0xab; 32]),
        admins: vec![admin(0, "root", 1, None), admin(1, "alice", 2, Some(20))],
        applied: 42,
    };
    let daemon = Daemon::with(&[("GET /v1/admins", Reply::document(admins))]);
    let ran = mesh(daemon.socket(), &["admin", "list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for part in ["threshold  1", "root   a0  admin", "alice  a1  removed", "abababab"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn what_the_daemon_made_something_else_of_is_neither_signed_nor_sent() {
    let dir = TempDir::new().expect("a directory");
    let (alice, _) = keygen(dir.path(), "alice.key");
    let key = alice.to_str().expect("text");
    let mallory = IdentitySecret::from_seed([6; 32]).public();
    let step = AdminStep::Add { name: "mallory".parse().expect("a name"), key: mallory };
    let verdict = |member, ruling| {
        let (mesh, identity) = (root().mesh, root().key);
        let member = MemberId(member);
        Request::Judge(Cosigned::new(&Verdict { mesh, member, identity, serial: 1, ruling }))
    };
    let banned = |until_ms| Ruling::Banned { until_ms, reason: None };
    for (args, made) in [
        (&["ban", "m7"][..], change(step)),
        (&["ban", "m7"], verdict(8, banned(None))),
        (&["ban", "m7"], verdict(7, banned(Some(1)))),
        (&["ban", "n7"], verdict(7, Ruling::Pardoned)),
        (&["unban", "m7"], verdict(7, Ruling::Removed)),
        (&["admin", "threshold", "2"], change(AdminStep::Threshold(1))),
        (&["voters", "target", "5"], ban_of_m7()),
    ] {
        let daemon = Daemon::with(&[
            ("POST /v1/requests", Reply::document(draft(&made, 1))),
            ("POST /v1/requests/submit", Reply::Silence),
        ]);
        let signing = ["--admin-key", key, "--passphrase-file", "/dev/stdin", "--format", "json"];
        let words: Vec<&str> = args.iter().chain(&signing).copied().collect();
        let ran = mesh_with_input(daemon.socket(), &words, PASSPHRASE);
        assert_eq!((ran.code, &ran.error()["code"]), (Some(1), &json!("bad_answer")), "{words:?}");
        assert_eq!(daemon.asked().len(), 1, "nothing was submitted: {words:?}");
    }
}
