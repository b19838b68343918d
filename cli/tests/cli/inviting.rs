//! Invites that are signed with an admin's key, here or elsewhere: who has their secrets, and what is not signed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_model::api::v1::{ErrorCode, TokenParts};
use mesh_model::trust::{AdminsHead, Bootstrap, Invite, MeshRoot, Request, Token};
use mesh_model::{Cosigned, IdentityKey, IdentitySecret, InviteId};
use serde_json::{Value, json};

use crate::alice::{Alice, NOWHERE, PASSPHRASE, agreed, draft, refused, root};
use crate::daemon::{Asked, Daemon, Reply};
use crate::run::{mesh, mesh_with_input};

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("small")
}

/// The invite that `wanted` asks for.
fn invite(wanted: &Value) -> Invite {
    let key: IdentityKey = wanted["key"].as_str().expect("text").parse().expect("a key");
    let created_ms = now_ms();
    Invite {
        mesh: root().mesh,
        id: InviteId::of_key(&key),
        key,
        uses: wanted["uses"].as_u64().expect("a number").try_into().expect("few"),
        created_ms,
        expires_ms: created_ms + wanted["lifetime_s"].as_u64().expect("a number") * 1000,
        tags: serde_json::from_value(wanted["tags"].clone()).expect("tags"),
        range: serde_json::from_value(wanted["range"].clone()).expect("a range"),
        voter: wanted["voter"].as_bool().expect("yes or no"),
    }
}

/// A daemon that makes of an invite what `change` does, and agrees to what is submitted. It is of the mesh of `root`.
fn inviter(change: fn(&mut Invite), root: MeshRoot) -> Daemon {
    let submitted = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&submitted);
    let put = Reply::made(move |asked: &Asked| {
        let mut invite = invite(&asked.body["wanted"]);
        change(&mut invite);
        draft(&Request::Invite(Cosigned::new(&invite)))
    });
    let submit = Reply::made(move |asked: &Asked| {
        let text = asked.body["request"].as_str().expect("text").to_owned();
        *kept.lock().expect("not poisoned") = Some(text);
        agreed(12)
    });
    let parts = Reply::made(move |_: &Asked| {
        let Some(invite) = submitted.lock().expect("not poisoned").clone() else {
            return Reply::error(409, ErrorCode::Refused, "no such invite", "have it signed");
        };
        let admin = invite.parse::<Request>().expect("a request").signers()[0];
        let bootstraps = vec![Bootstrap {
            endpoint: "192.0.2.1:51820".parse().expect("an address"),
            identity: admin,
        }];
        let admins = AdminsHead([7; 32]);
        Reply::document(TokenParts { root: root.key, admin, admins, invite, bootstraps })
    });
    Daemon::with(&[
        ("POST /v1/requests", put),
        ("POST /v1/requests/submit", submit),
        ("POST /v1/invites/token", parts),
    ])
}

#[test]
fn an_admin_without_the_root_key_makes_a_token_whose_secret_the_daemon_never_sees() {
    let alice = Alice::new();
    let daemon = inviter(|_| {}, root());
    let words = ["invite", "--uses", "20", "--lifetime", "2h", "--tags", "web", "--voter"];
    let ran = alice.says(&daemon, &[&words[..], &["--endpoint", "192.0.2.7:1"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let token: Token = ran.stdout.trim().parse().expect("a token");
    assert_eq!((token.admin, token.root.mesh), (alice.key, root().mesh));
    let terms = token.verified_invite().expect("signed by alice");
    assert_eq!((terms.uses, terms.voter, terms.tags.len()), (20, true, 1));
    let explained = "This token admits 20 hosts and is valid for 2h. It is a secret.\n";
    let told = ran.stderr.starts_with("For mesh ") && ran.stderr.contains(explained);
    assert!(told, "{ran:?}");
    let asked = daemon.asked();
    let wanted = &asked[0].body["wanted"];
    assert_eq!(wanted["key"], json!(token.secret.public()));
    assert_eq!((&wanted["what"], &asked[0].body["sign"]), (&json!("invite"), &json!(false)));
    assert_eq!(asked[2].body["endpoints"], json!(["192.0.2.7:1"]));
    let secret = data_encoding::BASE64.encode(&*token.secret.to_seed());
    for asked in asked {
        assert!(!asked.body.to_string().contains(&secret), "{}", asked.line);
    }

    let ran = alice.says(&inviter(|_| {}, root()), &["invite", "--format", "json"]);
    let reply = ran.document();
    assert_eq!((&reply["schema"], &reply["uses"]), (&json!("mesh.invite/v1"), &json!(1)));
    assert!(reply["token"].as_str().expect("text").parse::<Token>().is_ok());
}

#[test]
fn an_invite_that_is_not_the_one_wanted_is_not_signed() {
    let changes: [fn(&mut Invite); 9] = [
        |invite| invite.uses += 1,
        |invite| invite.expires_ms += 1,
        |invite| {
            invite.created_ms += 3_600_000;
            invite.expires_ms += 3_600_000;
        },
        |invite| invite.key = IdentitySecret::from_seed([6; 32]).public(),
        |invite| {
            invite.key = IdentitySecret::from_seed([6; 32]).public();
            invite.id = InviteId::of_key(&invite.key);
        },
        |invite| invite.voter = true,
        |invite| invite.range = None,
        |invite| drop(invite.tags.pop_first()),
        |invite| assert!(invite.tags.insert("admin".parse().expect("a tag"))),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let daemon = inviter(change, root());
        refused(&daemon, &["invite", "--range", "100.88.7.0/24", "--tags", "web"], number);
    }
    // What is agreed is right, but the token would send joiners to another mesh.
    let other = MeshRoot::of(IdentitySecret::from_seed([2; 32]).public());
    let ran = Alice::new().says(&inviter(|_| {}, other), &["invite", "--format", "json"]);
    assert_eq!(ran.error()["code"], "bad_answer");
}

#[test]
fn an_invite_that_is_signed_elsewhere_leaves_its_secret_here() {
    let alice = Alice::new();
    let daemon = inviter(|_| {}, root());
    let (request, secret) = (alice.path("rack.request"), alice.path("rack.request.secret"));
    let ran = mesh(daemon.socket(), &["invite", "--uses", "3", "--out", &request]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("0 of 1 signatures: invite "), "{ran:?}");
    assert!(ran.stderr.contains(&format!("mesh invites token {secret}")), "{ran:?}");
    let mode = std::fs::metadata(&secret).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(&secret).expect("text");
    let seed = kept.lines().last().and_then(|line| line.strip_prefix("secret: ")).expect("it");
    assert!(!std::fs::read_to_string(&request).expect("text").contains(seed));
    let again = mesh(daemon.socket(), &["invite", "--out", &request, "--format", "json"]);
    assert_eq!(again.error()["code"], "file_exists");
    assert_eq!(std::fs::read_to_string(&secret).expect("text"), kept);

    let early = mesh(daemon.socket(), &["invites", "token", &secret, "--format", "json"]);
    assert_eq!(early.error()["code"], "refused", "nobody has signed it");
    let key = alice.file.to_str().expect("text");
    let sign = ["admin", "sign", "--key", key, "--passphrase-file", "/dev/stdin", &request];
    let signed = mesh_with_input(Path::new(NOWHERE), &sign, PASSPHRASE);
    assert!(signed.stdout.contains(" lets 3 hosts in, until "), "{signed:?}");
    assert_eq!(mesh(daemon.socket(), &["admin", "submit", &request]).code, Some(0));
    let ran = mesh(daemon.socket(), &["invites", "token", &secret]);
    let token: Token = ran.stdout.trim().parse().expect("a token");
    assert_eq!(
        (token.admin, data_encoding::BASE64.encode(&*token.secret.to_seed())),
        (alice.key, seed.to_owned())
    );
    std::fs::write(&secret, "nonsense").expect("written");
    let nonsense = mesh(daemon.socket(), &["invites", "token", &secret, "--format", "json"]);
    assert_eq!(nonsense.error()["code"], "input");
}
