//! The joiner's side.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::codec::{self, CodecError, Message as _};
use mesh_model::trust::{Admission, Bootstrap};
use mesh_model::wire::join::{ALPN, JoinRefusal, JoinReply, JoinRequest, Welcome};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::sync::mpsc;

use super::{DONE, REPLY_LIMIT};
use crate::io::agreement::EndpointError;
use crate::io::frame::{self, FrameError};
use crate::io::quic;
use crate::io::quic_socket::{Inbound, VirtualSocket};
use crate::io::tls::{SERVER_NAME, TlsError, TlsIdentity};
use crate::io::udp::{LentPort, UdpPort};

/// How long a door gets before the next one is tried beside it: most answer within a tenth.
const NEXT_DOOR: Duration = Duration::from_millis(500);

/// How long a door may take to answer at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long the joiner's farewell may take to leave this host. A lost one costs the member that
/// answered a few seconds of waiting, nothing else.
const FAREWELL: Duration = Duration::from_millis(20);

/// Datagrams that may wait on either side of the joiner's endpoint: a window of the snapshot.
const CLIENT_QUEUE: usize = 1024;

/// Why one door did not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// This host cannot even try.
    #[error("cannot ask: {0}")]
    Local(String),
    /// Nobody answered.
    #[error("no answer within {} seconds", CONNECT_LIMIT.as_secs())]
    Silent,
    /// Somebody answered who is not the member the token names, or speaks another protocol.
    #[error("no secure connection: {0}")]
    Handshake(String),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// The member did not come to an answer.
    #[error("connected, but no reply within {} seconds", REPLY_LIMIT.as_secs())]
    NoReply,
    /// The reply is not understood.
    #[error("the reply is not understood: {0}")]
    Codec(#[from] CodecError),
    /// The member has no supervisor to ask.
    #[error("connected, but the mesh has no supervisor at the moment")]
    Unavailable,
}

impl DoorError {
    /// Whether the member behind it answered in a version that this build does not know.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, Self::Codec(unread) if unread.is_newer())
    }
}

/// What came of asking at every door.
#[derive(Debug)]
pub(crate) enum JoinError {
    /// The mesh said no; asking again will not help.
    Refused(JoinRefusal),
    /// No door opened; each with its reason.
    NoDoor(Vec<(SocketAddr, DoorError)>),
    /// This host's port cannot be used for asking.
    Endpoint(EndpointError),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Endpoint(error) => write!(f, "{error}"),
            Self::NoDoor(doors) => {
                f.write_str("no member the token names could be asked")?;
                for (endpoint, error) in doors {
                    write!(f, "; {endpoint}: {error}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for JoinError {}

/// Asks at `doors`, in order and overlapping, for `admission`; the first answer counts. Asking
/// several members at once is harmless: an identity is admitted once.
///
/// When this returns, nothing reads from `port` any more.
pub(crate) async fn ask(
    port: &UdpPort,
    tls: &TlsIdentity,
    doors: &[Bootstrap],
    admission: Admission,
) -> Result<Welcome, JoinError> {
    let unusable = |error: io::Error| JoinError::Endpoint(error.into());
    let lent = port.lend().map_err(unusable)?;
    let (arrived, inbound) = mpsc::channel(CLIENT_QUEUE);
    let (outbound, leaving) = mpsc::channel(CLIENT_QUEUE);
    let wrap = |to, payload: &[u8]| Some((to, payload.to_vec()));
    let socket = VirtualSocket::new(port.local(), inbound, outbound, Box::new(wrap));
    let endpoint = Endpoint::new_with_abstract_socket(
        quic::endpoint(EndpointConfig::default(), quic::UNDERLAY_PAYLOAD),
        None,
        socket,
        Arc::new(TokioRuntime),
    )
    .map_err(unusable)?;
    let request = Bytes::from(codec::encode(&JoinRequest { admission }));
    let conversation = async {
        let outcome = knock(&endpoint, tls, doors, &request).await;
        endpoint.close(DONE, b"done");
        // QUIC lingers for late packets; ours only has to get its farewell out.
        let _ = tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await;
        outcome
    };
    tokio::select! {
        outcome = conversation => outcome,
        error = ferry(lent, arrived, leaving) => Err(unusable(error)),
    }
}

/// Carries datagrams between the port and the endpoint's queues, until the port fails or the future
/// is dropped.
async fn ferry(
    port: LentPort,
    arrived: mpsc::Sender<Inbound>,
    mut leaving: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
) -> io::Error {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        tokio::select! {
            received = port.receive(&mut buffer) => match received {
                // A full queue is a lost datagram, which QUIC repairs.
                Ok((from, len)) => {
                    drop(arrived.try_send(Inbound { from, payload: buffer[..len].to_vec() }));
                }
                Err(error) => return error,
            },
            Some((to, payload)) = leaving.recv() => {
                // One unreachable door must not keep the others shut.
                if let Err(error) = port.send(to, &payload).await {
                    tracing::debug!(%to, %error, "cannot send to a door");
                }
            }
        }
    }
}

async fn knock(
    endpoint: &Endpoint,
    tls: &TlsIdentity,
    doors: &[Bootstrap],
    request: &Bytes,
) -> Result<Welcome, JoinError> {
    let mut waiting = doors.iter();
    let mut asked = FuturesUnordered::new();
    let mut failed = Vec::new();
    let attempt = |door: Bootstrap| async move {
        (door.endpoint, ask_one(endpoint, tls, door, request.clone()).await)
    };
    asked.extend(waiting.next().map(|door| attempt(*door)));
    loop {
        let next = tokio::select! {
            answer = asked.next() => match answer {
                Some((_, Ok(JoinReply::Welcome(welcome)))) => return Ok(*welcome),
                Some((_, Ok(JoinReply::Refused(refusal)))) => return Err(JoinError::Refused(refusal)),
                Some((at, Ok(JoinReply::Unavailable))) => {
                    failed.push((at, DoorError::Unavailable));
                    waiting.next()
                }
                Some((at, Err(error))) => {
                    tracing::debug!(%at, %error, "a door stays closed");
                    failed.push((at, error));
                    waiting.next()
                }
                None => return Err(JoinError::NoDoor(failed)),
            },
            () = tokio::time::sleep(NEXT_DOOR), if waiting.len() > 0 => waiting.next(),
        };
        asked.extend(next.map(|door| attempt(*door)));
    }
}

async fn ask_one(
    endpoint: &Endpoint,
    tls: &TlsIdentity,
    door: Bootstrap,
    request: Bytes,
) -> Result<JoinReply, DoorError> {
    let local = |error: TlsError| DoorError::Local(error.to_string());
    let crypto = tls.client(door.identity, ALPN).map_err(local)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(quic::transport(quic::UNDERLAY_PAYLOAD, 0));
    let connecting = endpoint
        .connect_with(config, door.endpoint, SERVER_NAME)
        .map_err(|error| DoorError::Local(error.to_string()))?;
    let connection = tokio::time::timeout(CONNECT_LIMIT, connecting)
        .await
        .map_err(|_| DoorError::Silent)?
        .map_err(|error| match error {
            quinn::ConnectionError::TimedOut => DoorError::Silent,
            error => DoorError::Handshake(error.to_string()),
        })?;
    let exchange = async {
        let (mut send, mut recv) =
            connection.open_bi().await.map_err(|error| DoorError::Handshake(error.to_string()))?;
        frame::write(&mut send, request).await?;
        let reply = frame::read(&mut recv, JoinReply::LIMIT).await?;
        Ok(codec::decode(&reply)?)
    };
    let reply =
        tokio::time::timeout(REPLY_LIMIT, exchange).await.map_err(|_| DoorError::NoReply)?;
    connection.close(DONE, b"done");
    reply
}
