//! A daemon of cardboard: answers each route with bytes prepared beforehand and remembers what it
//! was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use mesh_model::api::v1::{
    AsOf, Document, ErrorBody, ErrorCode, ErrorDocument, MemberName, Schema,
};
use serde::Serialize;
use serde_json::Value;

/// What one request gets.
#[derive(Clone)]
pub(crate) enum Reply {
    /// An HTTP status and a body.
    Http(u16, Vec<u8>),
    /// These bytes, whatever they are, and the end.
    Raw(Vec<u8>),
    /// Nothing, until the client goes away.
    Silence,
    /// What this makes of the request.
    Made(Arc<dyn Fn(&Asked) -> Reply + Send + Sync>),
}

impl Reply {
    /// A document.
    pub(crate) fn document<T: Schema + Serialize>(body: T) -> Self {
        Self::json(200, &Document::from(body))
    }

    /// What `make` makes of each request.
    pub(crate) fn made(make: impl Fn(&Asked) -> Self + Send + Sync + 'static) -> Self {
        Self::Made(Arc::new(make))
    }

    /// A document that says how new it is.
    pub(crate) fn document_as_of<T: Schema + Serialize>(as_of: AsOf, body: T) -> Self {
        Self::json(200, &Document { as_of: Some(as_of), ..Document::from(body) })
    }

    /// An error document.
    pub(crate) fn error(status: u16, code: ErrorCode, message: &str, hint: &str) -> Self {
        Self::error_about(status, code, (message, hint), Vec::new())
    }

    /// One that names members that were waited for in vain.
    pub(crate) fn error_about(
        status: u16,
        code: ErrorCode,
        (message, hint): (&str, &str),
        missing: Vec<MemberName>,
    ) -> Self {
        let (message, hint) = (message.to_owned(), hint.to_owned());
        let error = ErrorBody { code, message, hint, missing };
        Self::json(status, &ErrorDocument { error })
    }

    fn json(status: u16, value: &impl Serialize) -> Self {
        Self::Http(status, serde_json::to_vec(value).expect("serialises"))
    }
}

/// A request it was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Such as `GET /v1/status`.
    pub(crate) line: String,
    /// The body; null when there was none.
    pub(crate) body: Value,
}

/// The daemon. It listens until it is dropped.
pub(crate) struct Daemon {
    socket: PathBuf,
    asked: Receiver<Asked>,
    thread: Option<JoinHandle<()>>,
    _dir: Option<tempfile::TempDir>,
}

/// What makes the thread end.
const STOP: &str = "STOP /";

impl Daemon {
    /// A daemon in a directory of its own. A route named several times gives its replies in order
    /// and then repeats the last.
    pub(crate) fn with(replies: &[(&str, Reply)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut daemon = Self::at(&dir.path().join("meshd.sock"), replies);
        daemon._dir = Some(dir);
        daemon
    }

    /// A daemon at `socket`.
    pub(crate) fn at(socket: &Path, replies: &[(&str, Reply)]) -> Self {
        let listener = UnixListener::bind(socket).expect("binds");
        let mut table: BTreeMap<String, Vec<Reply>> = BTreeMap::new();
        for (line, reply) in replies {
            table.entry((*line).to_owned()).or_default().push(reply.clone());
        }
        let (send, asked) = channel();
        let thread = std::thread::spawn(move || serve(&listener, table, &send));
        Self { socket: socket.to_owned(), asked, thread: Some(thread), _dir: None }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }

    /// Waits for the next request.
    pub(crate) fn next_asked(&self) -> Asked {
        self.asked.recv().expect("the daemon runs")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(mut stream) = UnixStream::connect(&self.socket) {
            let _ = stream.write_all(format!("{STOP} HTTP/1.1\r\n\r\n").as_bytes());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the cardboard daemon does not panic");
            }
        }
    }
}

fn serve(listener: &UnixListener, mut table: BTreeMap<String, Vec<Reply>>, log: &Sender<Asked>) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("accepts");
        // A client killed while it connects sends nothing.
        let Some(asked) = read_request(&stream) else {
            continue;
        };
        if asked.line == STOP {
            return;
        }
        let reply = match table.get_mut(&asked.line) {
            None => Reply::Http(404, Vec::new()),
            Some(replies) if replies.len() > 1 => replies.remove(0),
            Some(replies) => replies[0].clone(),
        };
        let reply = match reply {
            Reply::Made(make) => make(&asked),
            other => other,
        };
        let _ = log.send(asked);
        // The client may be gone: that is its business.
        let _ = match reply {
            Reply::Http(status, body) => write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n",
                body.len()
            )
            .and_then(|()| stream.write_all(&body)),
            Reply::Raw(bytes) => stream.write_all(&bytes),
            Reply::Silence => stream.read_to_end(&mut Vec::new()).map(drop),
            Reply::Made(_) => unreachable!("what it makes is made above"),
        };
    }
}

fn read_request(stream: &UnixStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let line = first.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = match length {
        0 => Value::Null,
        _ => serde_json::from_slice(&body).expect("the client sends JSON"),
    };
    Some(Asked { line, body })
}
