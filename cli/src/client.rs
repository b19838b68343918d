//! Talks to the daemon: one HTTP request, one connection, one answer with a name and a bound.
//!
//! Blocking on the outside: a verb is a sequence of questions. Inside, every wait races Ctrl-C. The
//! signal is taken over when the client is made, so whatever asks the person something (a token, a
//! confirmation) comes before that and can be interrupted the ordinary way.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use mesh_model::api::v1::{ErrorCode, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::render::unit;

/// The longest answer that is read, in bytes: the status of 10,000 members takes about 7 MB.
const MAX_ANSWER: usize = 32 << 20;

/// How long a question that the daemon answers from memory may take.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// What is added to a wait the daemon itself keeps, so that its answer about it comes first.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens.
    #[error("no meshd answers at {}: {reason}", socket.display())]
    Unreachable {
        /// The socket tried.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The socket is not for this user.
    #[error("this user may not talk to meshd at {}", socket.display())]
    Forbidden {
        /// The socket tried.
        socket: PathBuf,
    },
    /// The connection ended before the answer did.
    #[error("meshd at {} hung up before it answered: {reason}", socket.display())]
    HungUp {
        /// The socket in use.
        socket: PathBuf,
        /// What was seen of it.
        reason: String,
    },
    /// No answer in time.
    #[error("meshd at {} did not answer within {}", socket.display(), unit::duration(*patience))]
    Silent {
        /// The socket in use.
        socket: PathBuf,
        /// How long we waited.
        patience: Duration,
    },
    /// An answer that is none of the API's.
    #[error("cannot use the answer from {}: {reason}", socket.display())]
    Garbled {
        /// The socket in use.
        socket: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// This process could not set itself up.
    #[error("cannot start: {0}")]
    Setup(io::Error),
}

/// The daemon's own error document, read leniently: a newer daemon may have codes unknown here.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The code, if this build knows it.
    pub(crate) code: Option<ErrorCode>,
    /// The code as it came.
    pub(crate) code_name: String,
    /// What happened and what it means.
    message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A document from the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    /// What it says.
    pub(crate) body: T,
    /// Its text as it came, on one line.
    pub(crate) text: String,
}

/// The way to one daemon.
pub(crate) struct Client {
    socket: PathBuf,
    runtime: Runtime,
    interrupt: Signal,
}

impl Client {
    /// A client for the daemon at `socket`. Takes over Ctrl-C; connects only when asked something.
    pub(crate) fn new(socket: &Path) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::Setup)?;
        let entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(ClientError::Setup)?;
        drop(entered);
        Ok(Self { socket: socket.to_owned(), runtime, interrupt })
    }

    /// Reads the document at `route`.
    pub(crate) fn get<T>(&mut self, route: &str) -> Result<Answer<T>, ClientError>
    where
        T: Schema + DeserializeOwned,
    {
        self.ask(Method::GET, route, Bytes::new(), READ_PATIENCE)
    }

    /// Sends `question` to `route` and gives the daemon up to `patience` to answer.
    pub(crate) fn post<Q, T>(
        &mut self,
        route: &str,
        question: &Q,
        patience: Duration,
    ) -> Result<Answer<T>, ClientError>
    where
        Q: Serialize,
        T: Schema + DeserializeOwned,
    {
        let body =
            serde_json::to_vec(question).map_err(|error| ClientError::Setup(error.into()))?;
        self.ask(Method::POST, route, body.into(), patience)
    }

    /// Does nothing for `pause`, unless interrupted.
    pub(crate) fn sleep(&mut self, pause: Duration) -> Result<(), ClientError> {
        self.drive(async {
            tokio::time::sleep(pause).await;
            Ok(())
        })
    }

    fn ask<T>(
        &mut self,
        method: Method,
        route: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer<T>, ClientError>
    where
        T: Schema + DeserializeOwned,
    {
        let exchange = Exchange { socket: self.socket.clone() };
        let (status, text) = self.drive(async {
            tokio::time::timeout(patience, exchange.run(method, route, body)).await.unwrap_or_else(
                |_| Err(ClientError::Silent { socket: exchange.socket.clone(), patience }),
            )
        })?;
        if status.is_success() {
            read_document(&text).map_err(|reason| exchange.garbled(reason))
        } else {
            Err(read_refusal(status, &text)
                .map_or_else(|reason| exchange.garbled(reason), ClientError::Refused))
        }
    }

    /// Runs `work` to its end or to Ctrl-C, also one pressed since the last time.
    fn drive<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let interrupt = &mut self.interrupt;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = interrupt.recv() => Err(ClientError::Interrupted),
                done = work => done,
            }
        })
    }
}

/// One request and its answer's bytes.
struct Exchange {
    socket: PathBuf,
}

impl Exchange {
    async fn run(
        &self,
        method: Method,
        route: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| self.no_connection(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // Its errors reach us through the request as well.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(route)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.garbled(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| self.broken_body(error.as_ref()))?;
        Ok((status, body.to_bytes()))
    }

    fn no_connection(&self, error: &io::Error) -> ClientError {
        let socket = self.socket.clone();
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied => return ClientError::Forbidden { socket },
            io::ErrorKind::NotFound => "the socket does not exist".to_owned(),
            io::ErrorKind::ConnectionRefused => "nobody listens on the socket".to_owned(),
            _ => error.to_string(),
        };
        ClientError::Unreachable { socket, reason }
    }

    fn broken(&self, error: &hyper::Error) -> ClientError {
        if error.is_parse() {
            return self.garbled(format!("not HTTP: {error}"));
        }
        ClientError::HungUp { socket: self.socket.clone(), reason: error.to_string() }
    }

    fn broken_body(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> ClientError {
        if error.is::<LengthLimitError>() {
            return self.garbled(format!("longer than {}", unit::bytes(MAX_ANSWER as u64)));
        }
        match error.downcast_ref::<hyper::Error>() {
            Some(error) => self.broken(error),
            None => self.garbled(error.to_string()),
        }
    }

    fn garbled(&self, reason: String) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), reason }
    }
}

/// The `T` in `text`, under the right name.
fn read_document<T: Schema + DeserializeOwned>(text: &[u8]) -> Result<Answer<T>, String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let text = std::str::from_utf8(text).map_err(|_| "not JSON: not even UTF-8".to_owned())?;
    let head: Head = serde_json::from_str(text)
        .map_err(|error| format!("not a document of meshd's API: {error}"))?;
    if head.schema != T::SCHEMA {
        return Err(format!(
            "it is `{}`, this mesh understands `{}`",
            head.schema.escape_debug(),
            T::SCHEMA
        ));
    }
    let body = serde_json::from_str(text)
        .map_err(|error| format!("not a `{}` document: {error}", T::SCHEMA))?;
    // Line breaks outside of strings mean nothing in JSON, and inside they cannot occur.
    let text = text.trim().replace(['\n', '\r'], " ");
    Ok(Answer { body, text })
}

/// The refusal in `text`.
fn read_refusal(status: StatusCode, text: &[u8]) -> Result<Refusal, String> {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: String,
        message: String,
        #[serde(default)]
        hint: String,
    }
    let Outer { error } = serde_json::from_slice(text)
        .map_err(|_| format!("HTTP status {status} without an explanation"))?;
    Ok(Refusal {
        code: serde_json::from_value(error.code.clone().into()).ok(),
        code_name: error.code,
        message: error.message,
        hint: error.hint,
    })
}

#[cfg(test)]
mod tests {
    use mesh_model::api::v1::VersionReply;

    use super::*;

    #[test]
    fn a_document_keeps_fields_this_build_does_not_know() {
        let text = "{\"schema\":\"mesh.version/v1\",\n \"version\":\"9\",\"new\":1}\n";
        let answer = read_document::<VersionReply>(text.as_bytes()).expect("a document");
        assert_eq!(answer.body.version, "9");
        assert_eq!(answer.text, "{\"schema\":\"mesh.version/v1\",  \"version\":\"9\",\"new\":1}");
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let text = br#"{"schema":"mesh.version/v2","version":"9"}"#;
        let reason = read_document::<VersionReply>(text).expect_err("another version");
        assert_eq!(reason, "it is `mesh.version/v2`, this mesh understands `mesh.version/v1`");
    }

    #[test]
    fn a_code_of_the_future_is_passed_on() {
        let text = br#"{"error":{"code":"moon_phase","message":"wait"}}"#;
        let refusal = read_refusal(StatusCode::CONFLICT, text).expect("a refusal");
        assert_eq!((refusal.code, refusal.code_name.as_str()), (None, "moon_phase"));
    }
}
