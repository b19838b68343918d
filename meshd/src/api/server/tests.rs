//! The API as its callers meet it: through a real socket, and for rights also through the router.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::service::Service as _;
use mesh_model::MemberId;
use mesh_model::api::v1::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::super::operations::Answer;
use super::*;

/// Set for the child of [`a_stranger_on_a_real_socket_may_only_look`].
const CHILD_SOCKET: &str = "MESHD_TEST_SOCKET";

/// The user id of `nobody`.
const NOBODY: u32 = 65534;

/// A daemon that writes down what it is asked, and refuses all but a few things.
#[derive(Default)]
struct Fake {
    calls: Mutex<Vec<String>>,
    /// `supervisor`, `leave` and `wait` say here that they have begun ...
    begun: Notify,
    /// ... and end when told so here.
    go_on: Notify,
    left: Notify,
}

impl Fake {
    fn note<T>(&self, call: impl Into<String>, code: ErrorCode) -> Answer<T> {
        let call = call.into();
        let error = ErrorBody { code, message: format!("{call} refused"), hint: "a hint".into() };
        self.calls.lock().expect("not poisoned").push(call);
        Err(error)
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("not poisoned").clone()
    }
}

impl Operations for Fake {
    async fn as_of(&self, consistent: bool) -> Answer<Option<AsOf>> {
        if consistent {
            return self.note("as_of", ErrorCode::NoQuorum);
        }
        Ok(Some(AsOf { applied: 7, age_ms: Some(40), consistent }))
    }

    async fn status(&self) -> Answer<Status> {
        self.note("status", ErrorCode::Internal)
    }

    async fn peers(&self) -> Answer<Peers> {
        Ok(Peers { peers: Vec::new() })
    }

    async fn tags(&self) -> Answer<Tags> {
        self.note("tags", ErrorCode::NotJoined)
    }

    async fn tag(&self, _: TagRequest) -> Answer<TagReply> {
        self.note("tag", ErrorCode::NotAdmin)
    }

    async fn policy(&self) -> Answer<Policy> {
        self.note("policy", ErrorCode::NotJoined)
    }

    async fn policy_history(&self) -> Answer<PolicyHistory> {
        self.note("policy_history", ErrorCode::NotJoined)
    }

    async fn set_policy(&self, _: PolicyRequest) -> Answer<PolicyReply> {
        self.note("set_policy", ErrorCode::NotAdmin)
    }

    async fn preview_policy(&self, _: PolicyPreviewRequest) -> Answer<PolicyPreview> {
        self.note("preview_policy", ErrorCode::BadRequest)
    }

    async fn test_policy(&self, _: PolicyTestRequest) -> Answer<PolicyTest> {
        self.note("test_policy", ErrorCode::UnknownMember)
    }

    async fn tunnels(&self) -> Answer<Tunnels> {
        self.note("tunnels", ErrorCode::NotJoined)
    }

    async fn supervisor(&self) -> Answer<Supervisor> {
        self.begun.notify_one();
        self.go_on.notified().await;
        Ok(Supervisor {
            term: 3,
            leader: Some(MemberId(1)),
            name: None,
            is_self: false,
            voters: Vec::new(),
            last: None,
            transfers_refused: 0,
        })
    }

    async fn audit(&self) -> Answer<Audit> {
        self.note("audit", ErrorCode::NotJoined)
    }

    async fn supervisor_history(&self) -> Answer<SupervisorHistory> {
        self.note("supervisor_history", ErrorCode::NotJoined)
    }

    async fn voters(&self) -> Answer<Voters> {
        self.note("voters", ErrorCode::NotJoined)
    }

    async fn set_voter_target(&self, request: VoterTargetRequest) -> Answer<Voters> {
        self.note(format!("voter target {:?}", request.target), ErrorCode::Refused)
    }

    async fn set_voter_wish(&self, request: VoterWishRequest) -> Answer<Voters> {
        self.note(format!("voter wish {}", request.member), ErrorCode::Refused)
    }

    async fn transfer(&self, request: TransferRequest) -> Answer<TransferReply> {
        self.note(format!("transfer {:?}", request.to), ErrorCode::Refused)
    }

    async fn init(&self, request: InitRequest) -> Answer<JoinedReply> {
        self.note(format!("init {:?}", request.name.map(String::from)), ErrorCode::AlreadyJoined)
    }

    async fn invite(&self, request: InviteRequest) -> Answer<InviteReply> {
        self.note(format!("invite {:?}", request.uses), ErrorCode::NoQuorum)
    }

    async fn join(&self, request: JoinRequest) -> Answer<JoinedReply> {
        self.note(format!("join {}", request.token), ErrorCode::Refused)
    }

    async fn leave(&self, request: LeaveRequest) -> Answer<LeaveReply> {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.left.notify_one();
        self.note(format!("leave {}", request.force), ErrorCode::Disk)
    }

    async fn invites(&self) -> Answer<Invites> {
        Ok(Invites { invites: Vec::new(), applied: 7 })
    }

    async fn revoke_invite(&self, request: RevokeRequest) -> Answer<RevokeReply> {
        self.note(format!("revoke {}", request.invite), ErrorCode::Refused)
    }

    async fn bans(&self) -> Answer<Bans> {
        Ok(Bans { bans: Vec::new(), applied: 7 })
    }

    async fn ban(&self, request: BanRequest) -> Answer<BanReply> {
        self.note(format!("ban {} {:?}", request.member, request.for_s), ErrorCode::NoQuorum)
    }

    async fn unban(&self, request: UnbanRequest) -> Answer<UnbanReply> {
        self.note(format!("unban {}", request.member), ErrorCode::Refused)
    }

    async fn remove(&self, request: RemoveRequest) -> Answer<RemoveReply> {
        self.note(format!("remove {}", request.member), ErrorCode::UnknownMember)
    }

    async fn make_snapshot(&self) -> Answer<SnapshotInfo> {
        self.note("make_snapshot", ErrorCode::NotJoined)
    }

    async fn snapshots(&self) -> Answer<Snapshots> {
        Ok(Snapshots { snapshots: Vec::new(), damaged: Vec::new() })
    }

    async fn snapshot_file(&self, request: SnapshotDownload) -> Answer<Vec<u8>> {
        match request.index {
            Some(7) => Ok(vec![0, 0xff, b'\n']),
            _ => self.note("snapshot_file", ErrorCode::Refused),
        }
    }

    async fn make_backup(&self, _: BackupRequest) -> Answer<Vec<u8>> {
        self.note("make_backup", ErrorCode::NotJoined)
    }

    async fn backups(&self) -> Answer<Backups> {
        self.note("backups", ErrorCode::NotJoined)
    }

    async fn admins(&self) -> Answer<Admins> {
        self.note("admins", ErrorCode::NotJoined)
    }

    async fn draft(&self, request: DraftRequest) -> Answer<Draft> {
        self.note(format!("draft {}", request.sign), ErrorCode::Refused)
    }

    async fn submit(&self, request: SubmitRequest) -> Answer<Submitted> {
        self.note(format!("submit {}", request.request), ErrorCode::NotAdmin)
    }

    async fn ping(&self, request: PingRequest) -> Answer<PingReply> {
        self.note(format!("ping {}", request.target), ErrorCode::UnknownMember)
    }

    async fn wait(&self, _: WaitRequest) -> Answer<WaitReply> {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.note("wait", ErrorCode::TimedOut)
    }
}

/// A served socket in a directory everybody may enter.
struct Served {
    fake: Arc<Fake>,
    server: Server,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn served_as(own_uid: u32) -> Served {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let path = dir.path().join("meshd.sock");
    let fake = Arc::new(Fake::default());
    let socket = Socket::bind(&path).expect("bound");
    let server = Server::start_as(socket, Arc::clone(&fake), own_uid).expect("started");
    Served { fake, server, path, _dir: dir }
}

fn served() -> Served {
    served_as(nix::unistd::geteuid().as_raw())
}

/// Sends `request` as it is and reads the answer to the end: its status and its JSON.
async fn exchange(path: &Path, request: &[u8]) -> (u16, Value) {
    let mut stream = UnixStream::connect(path).await.expect("connected");
    stream.write_all(request).await.expect("sent");
    answer(&mut stream).await
}

async fn answer(stream: &mut UnixStream) -> (u16, Value) {
    let mut bytes = Vec::new();
    // A server that closes with our bytes unread resets the connection behind its answer.
    let _ = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text:?}")))
}

fn get(route: &str) -> Vec<u8> {
    format!("GET {route} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\n\r\n").into_bytes()
}

fn post(route: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {route} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn error_of(answer: &Value) -> (&str, &str) {
    let error = &answer["error"];
    (error["code"].as_str().expect("a code"), error["message"].as_str().expect("a message"))
}

#[tokio::test]
async fn answers_are_documents_with_a_schema() {
    let served = served();
    let (status, body) = exchange(&served.path, &get(route::PEERS)).await;
    let as_of = json!({"applied": 7, "age_ms": 40, "consistent": false});
    let peers = json!({"schema": "mesh.peers/v1", "as_of": as_of, "peers": []});
    assert_eq!((status, body), (200, peers));
    let (status, body) = exchange(&served.path, &get(route::VERSION)).await;
    assert_eq!((status, &body["schema"]), (200, &json!("mesh.version/v1")));
}

#[tokio::test]
async fn a_consistent_read_is_made_so_first_or_refused() {
    let served = served();
    for read in
        [route::STATUS, route::PEERS, route::BANS, route::INVITES, route::VOTERS, route::AUDIT]
    {
        let (status, body) = exchange(&served.path, &get(&format!("{read}?consistent"))).await;
        assert_eq!((status, error_of(&body).0), (503, "no_quorum"), "{read}");
    }
    assert_eq!(served.fake.calls(), ["as_of"; 6], "nothing was read");
    let (status, body) = exchange(&served.path, &get("/v1/bans?fresh=1")).await;
    let (code, message) = error_of(&body);
    assert_eq!((status, code), (400, "bad_request"));
    assert!(message.contains("?fresh=1"), "{message}");
}

#[tokio::test]
async fn refusals_keep_their_code_and_get_a_fitting_status() {
    let served = served();
    for (request, status, code) in [
        (get(route::STATUS), 500, "internal"),
        (get(route::TUNNELS), 409, "not_joined"),
        (get(route::AUDIT), 409, "not_joined"),
        (post(route::INIT, b""), 409, "already_joined"),
        (post(route::INVITES, b"{}"), 503, "no_quorum"),
        (post(route::JOIN, br#"{"token":"t"}"#), 409, "refused"),
        (post(route::BANS, br#"{"member":"n9","for_s":60}"#), 503, "no_quorum"),
        (post(route::INVITES_REVOKE, br#"{"invite":"abcd"}"#), 409, "refused"),
        (post(route::UNBAN, br#"{"member":"n9"}"#), 409, "refused"),
        (post(route::REMOVE, br#"{"member":"n9"}"#), 404, "unknown_member"),
        (post(route::PING, br#"{"target":"n9","timeout_ms":1}"#), 404, "unknown_member"),
    ] {
        let (got, body) = exchange(&served.path, &request).await;
        assert_eq!((got, error_of(&body).0), (status, code));
        assert_eq!(body["error"]["hint"], "a hint");
    }
}

#[tokio::test]
async fn bodies_that_are_wrong_are_refused_by_the_name_of_the_field() {
    let served = served();
    for (route, body, message) in [
        (route::INIT, r#"{"name":"Edge One"}"#, "field `name`: `Edge One` cannot be a name"),
        (
            route::INIT,
            r#"{"nam":"n1"}"#,
            "unknown field `nam`, expected one of `mesh_name`, `name`",
        ),
        (route::INIT, r#"{"ipv4_prefix":"10.0.0.0"}"#, "field `ipv4_prefix`"),
        (route::INVITES, r#"{"uses":-1}"#, "field `uses`: invalid value: integer `-1`"),
        (route::INVITES, r#"{"endpoints":["1.2.3.4:5","x"]}"#, "field `endpoints[1]`"),
        (route::BANS, "{}", "missing field `member`"),
        (route::BANS, r#"{"member":"n9","reason":"a\nb"}"#, "field `reason`: a reason is one line"),
        (route::BANS, r#"{"member":"n9","wait_ms":3600001}"#, "field `wait_ms`: 3600001 is longer"),
        (route::REMOVE, r#"{"member":"n9","forse":true}"#, "forse"),
        (route::JOIN, "{}", "missing field `token`"),
        (route::JOIN, "", "missing field `token`"),
        (route::JOIN, r#"{"token":7}"#, "field `token`: invalid type"),
        (
            route::WAIT,
            r#"{"for":"weekend","timeout_ms":1}"#,
            "field `for`: unknown variant `weekend`",
        ),
        (
            route::WAIT,
            r#"{"for":"leader","timeout_ms":3600001}"#,
            "field `timeout_ms`: 3600001 is longer",
        ),
        (route::PING, r#"{"target":"n1","timeout_ms":1e9}"#, "field `timeout_ms`"),
        (route::INIT, "{", "not valid JSON"),
        (route::INIT, "{} {}", "goes on after"),
        (route::INIT, "[]", "not a JSON object"),
        (route::INIT, "\u{0}", "not a JSON object"),
        (route::INIT, "{\"name\":\"\u{0}\"}", "not valid JSON"),
    ] {
        let (status, answer) = exchange(&served.path, &post(route, body.as_bytes())).await;
        let (code, found) = error_of(&answer);
        assert_eq!((status, code), (400, "bad_request"), "{body}");
        assert!(found.contains(message), "{body}: {found}");
    }
    let deep = format!("{{\"name\":{}", "[".repeat(10_000));
    assert_eq!(exchange(&served.path, &post(route::INIT, deep.as_bytes())).await.0, 400);
    assert_eq!(served.fake.calls(), [""; 0], "nothing of this reached the daemon");
}

#[tokio::test]
async fn oversized_bodies_are_refused_announced_or_not() {
    let served = served();
    let long = vec![b' '; MAX_REQUEST + 1];
    let (status, answer) = exchange(&served.path, &post(route::INIT, &long)).await;
    assert_eq!((status, error_of(&answer).0), (413, "bad_request"));
    let mut chunked = format!(
        "POST {} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        route::INIT,
        long.len()
    )
    .into_bytes();
    chunked.extend(&long);
    chunked.extend(b"\r\n0\r\n\r\n");
    let (status, answer) = exchange(&served.path, &chunked).await;
    assert_eq!((status, error_of(&answer).0), (413, "bad_request"));
    let fits = vec![b' '; MAX_REQUEST];
    assert_eq!(exchange(&served.path, &post(route::INIT, &fits)).await.0, 409);
    assert_eq!(served.fake.calls(), ["init None"]);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_errors_too() {
    let served = served();
    let (status, answer) = exchange(&served.path, &get("/v1/stats")).await;
    assert_eq!(
        (status, error_of(&answer)),
        (404, ("bad_request", "there is nothing at `/v1/stats`"))
    );
    let (status, answer) = exchange(&served.path, &get(route::INIT)).await;
    assert_eq!(
        (status, error_of(&answer)),
        (405, ("bad_request", "`/v1/init` does not answer GET"))
    );
    let (status, _) = exchange(&served.path, &post(route::STATUS, b"")).await;
    assert_eq!(status, 405);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_talking_is_let_go() {
    let served = served();
    let mut head = UnixStream::connect(&served.path).await.expect("connected");
    head.write_all(b"GET /v1/sta").await.expect("sent");
    let mut bytes = Vec::new();
    let _ = head.read_to_end(&mut bytes).await;
    assert_eq!(bytes, b"", "closed without an answer");
    let mut body = post(route::INIT, b"{}");
    body.pop();
    let (status, answer) = exchange(&served.path, &body).await;
    assert_eq!(
        (status, error_of(&answer)),
        (408, ("bad_request", "the request's body did not arrive"))
    );
}

/// Every route, for callers with and without rights.
#[tokio::test]
async fn only_the_trusted_change_things() {
    let own = 1000;
    let open = [
        ("GET", route::PEERS, ""),
        ("GET", route::STATUS, ""),
        ("GET", route::TUNNELS, ""),
        ("GET", route::SUPERVISOR, ""),
        ("GET", route::SUPERVISOR_HISTORY, ""),
        ("GET", route::VOTERS, ""),
        ("GET", route::AUDIT, ""),
        ("GET", route::VERSION, ""),
        ("GET", route::BANS, ""),
        ("GET", route::INVITES, ""),
        ("GET", route::SNAPSHOTS, ""),
        ("GET", route::BACKUPS, ""),
        ("POST", route::PING, r#"{"target":"n1","timeout_ms":1}"#),
        ("POST", route::WAIT, r#"{"for":"leader","timeout_ms":1}"#),
    ];
    let closed = [
        ("POST", route::INIT, "{}"),
        ("POST", route::INVITES, "{}"),
        ("POST", route::JOIN, r#"{"token":"t"}"#),
        ("POST", route::LEAVE, "{}"),
        ("POST", route::INVITES_REVOKE, r#"{"invite":"abcd"}"#),
        ("POST", route::BANS, r#"{"member":"n9"}"#),
        ("POST", route::UNBAN, r#"{"member":"n9"}"#),
        ("POST", route::REMOVE, r#"{"member":"n9"}"#),
        ("POST", route::SUPERVISOR_TRANSFER, "{}"),
        ("POST", route::VOTERS_TARGET, "{}"),
        ("POST", route::VOTERS_WISH, r#"{"member":"n1","wish":"never"}"#),
        ("POST", route::SNAPSHOTS, ""),
        ("POST", route::BACKUPS, "{}"),
        ("POST", route::SNAPSHOTS_DOWNLOAD, r#"{"index":7}"#),
    ];
    let ask = async |caller: Option<Caller>, (method, route, body): (&str, &str, &'static str)| {
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
        for request in open {
            assert_ne!(ask(caller, request).await, StatusCode::FORBIDDEN, "{uid} {request:?}");
        }
        for request in closed {
            let refused = ask(caller, request).await == StatusCode::FORBIDDEN;
            assert_eq!(refused, !trusted, "{uid} {request:?}");
        }
    }
    for request in closed {
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
    child.args(["--exact", "api::server::tests::asks_where_it_is_told"]);
    child.env(CHILD_SOCKET, &served.path);
    if me.is_root() {
        child.uid(NOBODY).gid(NOBODY);
    }
    let done = tokio::task::spawn_blocking(move || child.output()).await.expect("ran");
    let done = done.expect("another user can run this program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(served.fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_goes_away() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    stream.write_all(&post(route::LEAVE, b"{}")).await.expect("sent");
    served.fake.begun.notified().await;
    drop(stream);
    // The server has noticed when it answers somebody who came later.
    exchange(&served.path, &get(route::PEERS)).await;
    served.fake.go_on.notify_one();
    served.fake.left.notified().await;
}

#[tokio::test]
async fn one_caller_too_many_is_told_so() {
    let served = served();
    let mut crowd = Vec::new();
    for _ in 0..MAX_TRUSTED {
        crowd.push(UnixStream::connect(&served.path).await.expect("connected"));
    }
    let (status, answer) = exchange(&served.path, &get(route::PEERS)).await;
    assert_eq!((status, error_of(&answer).0), (503, "unreachable"));
    // Served again as soon as there is room; the server hears of it when it hears of it.
    drop(crowd);
    while exchange(&served.path, &get(route::PEERS)).await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_before_the_end() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    stream.write_all(&get(route::SUPERVISOR)).await.expect("sent");
    served.fake.begun.notified().await;
    let stop = tokio::spawn(served.server.stop());
    served.fake.go_on.notify_one();
    assert_eq!(answer(&mut stream).await.0, 200);
    stop.await.expect("stopped");
    assert!(!served.path.exists(), "the socket's name is gone");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_keep_the_daemon_alive() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.expect("connected");
    let body = br#"{"for":"ready","timeout_ms":3600000}"#;
    stream.write_all(&post(route::WAIT, body)).await.expect("sent");
    served.fake.begun.notified().await;
    served.server.stop().await;
    assert!(!served.path.exists());
}
