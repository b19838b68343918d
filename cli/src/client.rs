//! Talks to the daemon: one HTTP request, one connection, one answer with a name and a bound.
//!
//! Blocking on the outside: a verb is a sequence of questions. Inside, every wait races Ctrl-C. The
//! signal is taken over when the client is made, so whatever asks the person something (a token, a
//! confirmation) comes before that and can be interrupted the ordinary way.

mod answer;
mod error;
mod record;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use mesh_model::api::v1::{CONSISTENT, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::render::unit;

pub(crate) use answer::{Answer, Refusal, read_document, read_refusal};
pub(crate) use error::ClientError;
pub(crate) use record::Record;

/// The longest answer that is read, in bytes: the status of 10,000 members takes about 7 MB.
pub(crate) const MAX_ANSWER: usize = 32 << 20;

/// How long a question that the daemon answers from memory may take.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// How long the daemon may take to have something agreed, with an election in between at worst.
pub(crate) const AGREEMENT_PATIENCE: Duration = Duration::from_secs(30);

/// What is added to a wait the daemon itself keeps, so that its answer about it comes first.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The way to one daemon.
pub(crate) struct Client {
    socket: PathBuf,
    /// Reads ask for what is agreed now.
    consistent: bool,
    runtime: Runtime,
    interrupt: Signal,
}

impl Client {
    /// A client for the daemon at `socket`. Takes over Ctrl-C; connects only when asked something.
    pub(crate) fn new(socket: &Path, consistent: bool) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::Setup)?;
        let entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(ClientError::Setup)?;
        drop(entered);
        Ok(Self { socket: socket.to_owned(), consistent, runtime, interrupt })
    }

    /// Reads the document at `route`.
    pub(crate) fn get<T>(&mut self, route: &str) -> Result<Answer<T>, ClientError>
    where
        T: Schema + DeserializeOwned,
    {
        self.ask(Method::GET, &self.asked(route), Bytes::new(), READ_PATIENCE)
    }

    /// The route, with how new the answer has to be. What changes something is decided by the mesh anyway, and takes no notice.
    fn asked(&self, route: &str) -> String {
        match self.consistent {
            true => format!("{route}?{CONSISTENT}"),
            false => route.to_owned(),
        }
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
        self.ask(Method::POST, &self.asked(route), body.into(), patience)
    }

    /// Does nothing for `pause`, unless interrupted.
    pub(crate) fn sleep(&mut self, pause: Duration) -> Result<(), ClientError> {
        self.drive(async {
            tokio::time::sleep(pause).await;
            Ok(())
        })
    }

    /// Runs `work`, which waits for a person, on a thread of its own, unless interrupted; then nobody waits for it.
    pub(crate) fn beside<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ClientError> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || drop(done.send(work())));
        self.drive(async { outcome.await.map_err(|_| ClientError::Interrupted) })
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
        let text = self.exchange(method, route, body, patience, MAX_ANSWER)?;
        let exchange = Exchange { socket: self.socket.clone() };
        read_document(&text).map_err(|reason| exchange.garbled(reason))
    }

    /// The bytes, at most `limit` of them, that `route` answers to `question`.
    pub(crate) fn fetch<Q: Serialize>(
        &mut self,
        route: &str,
        question: &Q,
        patience: Duration,
        limit: usize,
    ) -> Result<Bytes, ClientError> {
        let body =
            serde_json::to_vec(question).map_err(|error| ClientError::Setup(error.into()))?;
        self.exchange(Method::POST, route, body.into(), patience, limit)
    }

    /// What the daemon says, unless that is no.
    fn exchange(
        &mut self,
        method: Method,
        route: &str,
        body: Bytes,
        patience: Duration,
        limit: usize,
    ) -> Result<Bytes, ClientError> {
        let exchange = Exchange { socket: self.socket.clone() };
        let (status, text) = self.drive(async {
            let run = exchange.run(method, route, body, limit);
            tokio::time::timeout(patience, run).await.unwrap_or_else(|_| {
                Err(ClientError::Silent { socket: exchange.socket.clone(), patience })
            })
        })?;
        if status.is_success() {
            return Ok(text);
        }
        let refusal = read_refusal(&format!("HTTP status {status}"), &text);
        Err(refusal.map_or_else(|reason| exchange.garbled(reason), ClientError::Refused))
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
        limit: usize,
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
        let body = Limited::new(answer.into_body(), limit)
            .collect()
            .await
            .map_err(|error| self.broken_body(error.as_ref(), limit))?;
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

    fn broken_body(
        &self,
        error: &(dyn std::error::Error + Send + Sync + 'static),
        limit: usize,
    ) -> ClientError {
        if error.is::<LengthLimitError>() {
            return self.garbled(format!("longer than {}", unit::bytes(limit as u64)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Exit, Failure};

    #[test]
    fn a_socket_of_others_is_forbidden_not_absent() {
        let exchange = Exchange { socket: "/run/meshd/meshd.sock".into() };
        let error = exchange.no_connection(&io::ErrorKind::PermissionDenied.into());
        let Failure::Told(told) = Failure::from(error) else {
            panic!("it is told");
        };
        assert_eq!(told.exit, Exit::NotPermitted);
        assert_eq!(told.message, "this user may not talk to meshd at /run/meshd/meshd.sock");
    }
}
