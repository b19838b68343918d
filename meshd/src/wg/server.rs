//! Answering `wg`: connections counted, requests read whole, answers in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mesh_model::uapi::{DeviceChange, DeviceReport, Errno, Request, get_answer, set_answer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::inbox::{Inbox, NoRequest};
use super::socket::Socket;
use crate::io::unix_socket::SocketError;

/// Connections at one time; more than that wait to be accepted. `wg` makes one for each request and is done in
/// milliseconds, so this is room for dozens of clients that say nothing.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may take over one request, its silence before it included, and over taking the answer: long
/// enough for a person who types one, too short to keep a place for good.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to pause when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What stands behind a configuration socket.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The device as it is now.
    fn get(&self) -> impl Future<Output = Result<DeviceReport, Errno>> + Send;

    /// Changes the device, or changes nothing and says why.
    fn set(&self, change: DeviceChange) -> impl Future<Output = Result<(), Errno>> + Send;
}

/// A configuration socket being served. It ends, connections and all, when this is dropped.
pub(crate) struct Server {
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `backend` on `socket`. Inside a tokio runtime.
    pub(crate) fn start(socket: &Socket, backend: impl Backend) -> Result<Self, SocketError> {
        let listener = socket.listener().and_then(UnixListener::from_std);
        let listener = listener.map_err(|source| SocketError::Io {
            action: "serve",
            path: socket.name().path().to_owned(),
            source,
        })?;
        Ok(Self::on(listener, backend))
    }

    /// Serves `backend` on a socket whose name is somebody else's. Inside a tokio runtime.
    pub(crate) fn on(listener: UnixListener, backend: impl Backend) -> Self {
        Self { task: tokio::spawn(serve(listener, Arc::new(backend))) }
    }
}

async fn serve<B: Backend>(listener: UnixListener, backend: Arc<B>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let backend = Arc::clone(&backend);
                connections.spawn(async move {
                    // An error means that the other end has left, or was too slow.
                    let _ = connection(stream, &*backend).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one request after the other until the other end leaves.
async fn connection(mut stream: UnixStream, backend: &impl Backend) -> io::Result<()> {
    let mut inbox = Inbox::new();
    loop {
        let (answer, last) = match timeout(PATIENCE, inbox.next(&mut stream)).await? {
            Ok(request) => (answer(request, backend).await, false),
            Err(NoRequest::TooLong) => (set_answer(Err(Errno::TOO_BIG)), true),
            Err(NoRequest::Closed) => return Ok(()),
        };
        timeout(PATIENCE, stream.write_all(answer.as_bytes())).await??;
        if last {
            return Ok(());
        }
    }
}

async fn answer(request: &[u8], backend: &impl Backend) -> Zeroizing<String> {
    match Request::parse(request) {
        Ok(Request::Get) => get_answer(backend.get().await.as_ref().map_err(|errno| *errno)),
        Ok(Request::Set(change)) => set_answer(backend.set(change).await),
        Err(error) => {
            tracing::info!(%error, "a request cannot be understood; nothing was changed");
            if request.starts_with(b"get") {
                get_answer(Err(error.errno()))
            } else {
                set_answer(Err(error.errno()))
            }
        }
    }
}
