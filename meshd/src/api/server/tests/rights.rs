//! Who may do what, by the kernel's word for who is calling.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use mesh_model::api::v1::route;

use super::fake::Fake;
use super::{error_of, get, parse, post, served_as};
use crate::api::caller::Caller;
use crate::api::router::router;

/// Set for the child of [`a_stranger_on_a_real_socket_may_only_look`].
const CHILD_SOCKET: &str = "MESHD_TEST_SOCKET";

/// The user id of `nobody`.
const NOBODY: u32 = 65534;

/// A way to ask for something: method, route and body.
type Asked = (&'static str, &'static str, &'static str);

/// What everybody may ask for.
const OPEN: &[Asked] = &[
    ("GET", route::PEERS, ""),
    ("GET", route::STATUS, ""),
    ("GET", route::TUNNELS, ""),
    ("GET", route::SUPERVISOR, ""),
    ("GET", route::SUPERVISOR_HISTORY, ""),
    ("GET", route::SYNC, ""),
    ("GET", route::VOTERS, ""),
    ("GET", route::AUDIT, ""),
    ("GET", route::VERSION, ""),
    ("GET", route::BANS, ""),
    ("GET", route::REPORTS, ""),
    ("GET", route::INVITES, ""),
    ("GET", route::SNAPSHOTS, ""),
    ("GET", route::BACKUPS, ""),
    ("GET", route::TAGS, ""),
    ("GET", route::ADMINS, ""),
    ("GET", route::POLICY, ""),
    ("GET", route::POLICY_HISTORY, ""),
    ("GET", route::KEYS, ""),
    ("POST", route::POLICY_PREVIEW, r#"{"rules":[]}"#),
    ("POST", route::POLICY_TEST, r#"{"from":"n1","to":"n2","protocol":"icmp"}"#),
    ("POST", route::PING, r#"{"target":"n1","timeout_ms":1}"#),
    ("POST", route::WAIT, r#"{"for":"leader","timeout_ms":1}"#),
];

/// What only the trusted may ask for.
const CLOSED: &[Asked] = &[
    ("POST", route::INIT, "{}"),
    ("POST", route::INVITES, "{}"),
    ("POST", route::JOIN, r#"{"token":"t"}"#),
    ("POST", route::LEAVE, "{}"),
    ("POST", route::INVITES_REVOKE, r#"{"invite":"abcd"}"#),
    ("POST", route::BANS, r#"{"member":"n9"}"#),
    ("POST", route::UNBAN, r#"{"member":"n9"}"#),
    ("POST", route::REMOVE, r#"{"member":"n9"}"#),
    ("POST", route::REPORTS, r#"{"member":"n9","kind":"floods"}"#),
    ("POST", route::SUPERVISOR_TRANSFER, "{}"),
    ("POST", route::SYNC_RESYNC, r#"{"from_index":7}"#),
    ("POST", route::SYNC_FAST, ""),
    ("POST", route::SYNC_FROM, r#"{"members":["n9"]}"#),
    ("POST", route::VOTERS_TARGET, "{}"),
    ("POST", route::VOTERS_WISH, r#"{"member":"n1","wish":"never"}"#),
    ("POST", route::SNAPSHOTS, ""),
    ("POST", route::BACKUPS, "{}"),
    ("POST", route::KEYS_ROTATE, "{}"),
    ("POST", route::SNAPSHOTS_DOWNLOAD, r#"{"index":7}"#),
    ("POST", route::INVITES_TOKEN, r#"{"invite":"05050505050505050505050505050505"}"#),
    ("POST", route::TAGS, r#"{"member":"n9"}"#),
    ("POST", route::POLICY, r#"{"rules":[]}"#),
    ("POST", route::REQUESTS, r#"{"wanted":{"what":"unban","member":"n9"},"sign":true}"#),
    ("POST", route::REQUESTS_SUBMIT, r#"{"request":""}"#),
];

/// Every route, for callers with and without rights.
#[tokio::test]
async fn only_the_trusted_change_things() {
    let own = 1000;
    let ask = async |caller: Option<Caller>, &(method, route, body): &Asked| {
        let fake = Arc::new(Fake::default());
        fake.go_on.notify_one();
        let mut router = router(fake);
        if let Some(caller) = caller {
            router = router.layer(Extension(caller));
        }
        let request =
            Request::builder().method(method).uri(route).body(Body::from(body)).expect("a request");
        let Ok(answer) = TowerToHyperService::new(router).call(request).await;
        answer.status()
    };
    for (uid, trusted) in [(0, true), (own, true), (1001, false), (NOBODY, false)] {
        let caller = Some(Caller::new(uid, None, own));
        for request in OPEN {
            assert_ne!(ask(caller, request).await, StatusCode::FORBIDDEN, "{uid} {request:?}");
        }
        for request in CLOSED {
            let refused = ask(caller, request).await == StatusCode::FORBIDDEN;
            assert_eq!(refused, !trusted, "{uid} {request:?}");
        }
    }
    for request in CLOSED {
        assert_eq!(ask(None, request).await, StatusCode::FORBIDDEN, "without credentials");
    }
}

/// The part of the next test that runs as another user.
#[test]
fn asks_where_it_is_told() {
    use std::io::{Read as _, Write as _};
    let Some(path) = std::env::var_os(CHILD_SOCKET) else {
        return;
    };
    let ask = |request: &[u8]| {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("connected");
        stream.write_all(request).expect("sent");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        parse(&bytes)
    };
    assert_eq!(ask(&get(route::PEERS)).0, 200);
    let (status, answer) = ask(&post(route::INIT, b"{}"));
    assert_eq!((status, error_of(&answer).0), (403, "not_permitted"));
}

/// The kernel's word for who is calling reaches the handlers. As root another user is tried for real;
/// otherwise the daemon pretends to be another one than we are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_on_a_real_socket_may_only_look() {
    let me = nix::unistd::geteuid();
    let served = served_as(if me.is_root() { 0 } else { u32::MAX });
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", "api::server::tests::rights::asks_where_it_is_told"]);
    child.env(CHILD_SOCKET, &served.path);
    if me.is_root() {
        child.uid(NOBODY).gid(NOBODY);
    }
    let done = tokio::task::spawn_blocking(move || child.output()).await.expect("ran");
    let done = done.expect("another user can run this program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(served.fake.calls(), [""; 0]);
}
