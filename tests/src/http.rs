//! The local API spoken by hand, for requests `mesh` would never make.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mesh_model::api::v1::Document;
use serde::de::DeserializeOwned;

use crate::error::{Context as _, Error, Result};

/// How long the daemon may take to answer or to hang up.
const LIMIT: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Everything after the head.
    pub body: String,
}

/// Makes one request on a fresh connection.
pub fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: mesh\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let raw = exchange(socket, &[head.as_bytes(), body].concat(), false)?;
    parse(&raw).ok_or_else(|| {
        let text = String::from_utf8_lossy(&raw);
        Error::Failed(format!("{method} {path}: not an HTTP answer: {text}"))
    })
}

/// The document at `path`: what `mesh` would show, without the time a process takes to start.
pub fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T> {
    let reply = request(socket, "GET", path, b"")?;
    serde_json::from_str(&reply.body)
        .map(|document: Document<T>| document.body)
        .map_err(|error| Error::Failed(format!("GET {path}: {error}: {}", reply.body)))
}

/// Sends any bytes, says that there are no more, and reads until the daemon hangs up.
pub fn raw(socket: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    exchange(socket, bytes, true)
}

fn exchange(socket: &Path, bytes: &[u8], hang_up: bool) -> Result<Vec<u8>> {
    let mut stream =
        UnixStream::connect(socket).context(format!("connect to {}", socket.display()))?;
    stream
        .set_read_timeout(Some(LIMIT))
        .and_then(|()| stream.set_write_timeout(Some(LIMIT)))
        .context("set a timeout")?;
    // A daemon that refuses early hangs up while we still write; its answer is read all the same.
    let _ = stream.write_all(bytes);
    if hang_up {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() && error.kind() != std::io::ErrorKind::ConnectionReset => {
            Err(error).context("read the answer")
        }
        _ => Ok(answer),
    }
}

fn parse(raw: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(raw);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Reply { status, body: body.to_owned() })
}
