//! Serving: connections counted, callers identified, requests handed to the router.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mesh_model::api::v1::ErrorCode;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::caller::Caller;
use super::operations::Operations;
use super::problem::Problem;
use super::router::router;
use super::socket::Socket;

/// The most connections of callers that may only look. Each holds a task and a 16 KiB buffer, so this
/// is a few megabytes at worst; a dashboard for every core of a large host fits.
const MAX_READERS: usize = 96;

/// The most connections of callers that may change things. Their own number, so that a crowd of
/// readers cannot lock the administrator out; large enough for whoever works on a rack of hosts at once.
const MAX_TRUSTED: usize = 128;

/// The most connections that are told there is no room; more than that are closed without a word.
const MAX_TURNED_AWAY: usize = 16;

/// How long a caller may take to send its request's head, and how long a connection may be idle
/// between requests.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a request's head, and of what is buffered.
const MAX_BUFFER: usize = 16 * 1024;

/// How long requests under way may go on after the daemon was asked to stop: longer than any answer
/// from memory takes, shorter than anybody's patience. A `wait` is cut off by it.
const GRACE: Duration = Duration::from_secs(2);

/// How long to pause when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The API being served.
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `operations` on `socket`. Inside a tokio runtime.
    pub(crate) fn start<O: Operations>(socket: Socket, operations: Arc<O>) -> io::Result<Self> {
        let own_uid = nix::unistd::geteuid().as_raw();
        Self::start_as(socket, operations, own_uid)
    }

    /// The same for a daemon that runs as `own_uid`.
    fn start_as<O: Operations>(
        socket: Socket,
        operations: Arc<O>,
        own_uid: u32,
    ) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener()?)?;
        let (stop, stopped) = watch::channel(false);
        let doors = Doors {
            own_uid,
            router: router(operations),
            readers: Arc::new(Semaphore::new(MAX_READERS)),
            trusted: Arc::new(Semaphore::new(MAX_TRUSTED)),
            turned_away: Arc::new(Semaphore::new(MAX_TURNED_AWAY)),
        };
        let task = tokio::spawn(async move {
            serve(listener, doors, stopped).await;
            // The name goes away only when nobody is served any more.
            drop(socket);
        });
        Ok(Self { stop, task })
    }

    /// Takes no more requests, lets those under way end, and removes the socket. Returns when all
    /// that is done, at the latest after the grace time.
    pub(crate) async fn stop(self) {
        // No receiver is left when the task has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// What every connection gets.
struct Doors {
    own_uid: u32,
    router: Router,
    readers: Arc<Semaphore>,
    trusted: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

async fn serve(listener: UnixListener, doors: Doors, stopped: watch::Receiver<bool>) {
    let mut until = stopped.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = asked(&mut until) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(connection) = doors.admit(stream, stopped.clone()) {
                        connections.spawn(connection);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::debug!("requests under way were cut off");
    }
}

/// Returns when the server was asked to stop, or dropped.
async fn asked(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Doors {
    /// The connection's task; `None` when it is not worth one.
    fn admit(
        &self,
        stream: UnixStream,
        stopped: watch::Receiver<bool>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let credentials = match stream.peer_cred() {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::debug!(%error, "a caller without credentials");
                return None;
            }
        };
        let caller = Caller::new(credentials.uid(), credentials.pid(), self.own_uid);
        let places = if caller.may_change { &self.trusted } else { &self.readers };
        let (router, permit) = match Arc::clone(places).try_acquire_owned() {
            Ok(permit) => (self.router.clone(), permit),
            Err(_) => {
                tracing::debug!(%caller, "too many connections");
                (
                    Router::new().fallback(busy),
                    Arc::clone(&self.turned_away).try_acquire_owned().ok()?,
                )
            }
        };
        Some(connection(stream, caller, router.layer(Extension(caller)), permit, stopped))
    }
}

/// Reads requests and answers them until the caller goes away or the daemon stops.
async fn connection(
    stream: UnixStream,
    caller: Caller,
    router: Router,
    _permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = asked(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%caller, %error, "connection ended early");
    }
}

/// The answer to one connection too many; it is also the last on that connection.
async fn busy() -> impl IntoResponse {
    let problem = Problem::new(
        ErrorCode::Unreachable,
        "the daemon serves as many callers as it can",
        "try again in a moment; somebody keeps many connections open",
    );
    ([(CONNECTION, "close")], problem)
}

#[cfg(test)]
mod tests;
