//! The API as its callers meet it: through a real socket, and for rights also through the router.

mod answers;
mod bodies;
mod connections;
mod fake;
mod rights;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::fake::Fake;
use super::*;

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
