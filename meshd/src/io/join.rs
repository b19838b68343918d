//! Joining, carried out: a stranger asks, a member answers, over QUIC on the underlay.
//!
//! The joiner asks through the daemon's own UDP port, before the packet thread takes that over: NAT
//! mapping and source address are then those the tunnels will use, and the member that answers
//! already knows where its new peer is. It tries the token's doors one after another without
//! waiting for each to fail, and believes only the identity the token names for a door.
//!
//! The member does no work for a source address that did not prove it receives (QUIC's Retry, RFC
//! 9000 section 8.1), serves few joiners at once and gives each a bounded time.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::codec::{self, CodecError, Message as _};
use mesh_model::trust::{Admission, Bootstrap};
use mesh_model::wire::join::{ALPN, JoinRefusal, JoinReply, JoinRequest, Welcome};
use quinn::{AsyncUdpSocket, Endpoint, TokioRuntime, VarInt};
use tokio::sync::Semaphore;

use super::agreement::EndpointError;
use super::frame::{self, FrameError};
use super::quic;
use super::tls::{Clients, SERVER_NAME, TlsError, TlsIdentity};
use super::udp::UdpPort;

/// How long a door gets before the next one is tried beside it: most answer within a tenth.
const NEXT_DOOR: Duration = Duration::from_millis(500);

/// How long a door may take to answer at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a door may take to have the request agreed: it may be in the midst of electing a
/// supervisor.
const REPLY_LIMIT: Duration = Duration::from_secs(15);

/// Joiners served at once: each costs the mesh one agreed command, and those are serial anyway.
const MAX_JOINERS: usize = 16;

/// Handshakes that may wait for one of those places.
const MAX_INCOMING: usize = 32;

/// Bytes a waiting handshake may have sent ahead: its first flight, with a post-quantum key share.
const INCOMING_BUFFER: u64 = 4096;

/// The member will not serve this joiner now.
const REFUSED: VarInt = VarInt::from_u32(1);
/// All was said.
const DONE: VarInt = VarInt::from_u32(0);

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
pub(crate) async fn ask(
    port: &UdpPort,
    tls: &TlsIdentity,
    doors: &[Bootstrap],
    admission: Admission,
) -> Result<Welcome, JoinError> {
    let endpoint = client_endpoint(port).map_err(JoinError::Endpoint)?;
    let request = codec::encode(&JoinRequest { admission });
    let outcome = knock(&endpoint, tls, doors, &request).await;
    // The packet thread takes the port over: nothing of this endpoint may still read from it.
    endpoint.close(DONE, b"done");
    endpoint.wait_idle().await;
    outcome
}

fn client_endpoint(port: &UdpPort) -> Result<Endpoint, EndpointError> {
    let config = quic::endpoint(quic::UNDERLAY_PAYLOAD);
    Ok(Endpoint::new(config, None, port.share()?, Arc::new(TokioRuntime))?)
}

async fn knock(
    endpoint: &Endpoint,
    tls: &TlsIdentity,
    doors: &[Bootstrap],
    request: &[u8],
) -> Result<Welcome, JoinError> {
    let mut waiting = doors.iter();
    let mut asked = FuturesUnordered::new();
    let mut failed = Vec::new();
    let attempt = |door: Bootstrap| async move {
        (door.endpoint, ask_one(endpoint, tls, door, request).await)
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
    request: &[u8],
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

/// Decides about joiners.
pub(crate) trait Doorkeeper: Clone + Send + Sync + 'static {
    /// The reply to `request`, which came from underlay address `from`.
    fn admit(
        &self,
        from: SocketAddr,
        request: JoinRequest,
    ) -> impl Future<Output = JoinReply> + Send;
}

/// The member's side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct JoinServer {
    endpoint: Endpoint,
}

impl JoinServer {
    /// A server over `socket`, proving `tls`. Needs a tokio runtime.
    pub(crate) fn open(
        socket: Arc<dyn AsyncUdpSocket>,
        tls: &TlsIdentity,
    ) -> Result<Self, EndpointError> {
        let crypto = Arc::new(tls.server(Clients::Strangers, ALPN)?);
        let mut server = quinn::ServerConfig::with_crypto(crypto);
        server
            .transport_config(quic::transport(quic::UNDERLAY_PAYLOAD, 1))
            .migration(false)
            .max_incoming(MAX_INCOMING)
            .incoming_buffer_size(INCOMING_BUFFER)
            .incoming_buffer_size_total(INCOMING_BUFFER * MAX_INCOMING as u64);
        let endpoint = Endpoint::new_with_abstract_socket(
            quic::endpoint(quic::UNDERLAY_PAYLOAD),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )?;
        Ok(Self { endpoint })
    }

    /// Answers joiners until the endpoint is closed.
    pub(crate) async fn serve(&self, doorkeeper: impl Doorkeeper) {
        let places = Arc::new(Semaphore::new(MAX_JOINERS));
        while let Some(incoming) = self.endpoint.accept().await {
            if !incoming.remote_address_validated() {
                // Fails only for an address already validated.
                let _ = incoming.retry();
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(from = %incoming.remote_address(), "too many joiners at once");
                incoming.refuse();
                continue;
            };
            let doorkeeper = doorkeeper.clone();
            tokio::spawn(async move {
                let from = incoming.remote_address();
                if let Err(error) = serve_one(incoming, doorkeeper).await {
                    tracing::debug!(%from, %error, "a joiner got no answer");
                }
                drop(place);
            });
        }
    }

    /// Closes every connection and stops [`JoinServer::serve`].
    pub(crate) fn close(&self) {
        self.endpoint.close(REFUSED, b"going away");
    }
}

async fn serve_one(
    incoming: quinn::Incoming,
    doorkeeper: impl Doorkeeper,
) -> Result<(), DoorError> {
    let connection = tokio::time::timeout(CONNECT_LIMIT, incoming)
        .await
        .map_err(|_| DoorError::Silent)?
        .map_err(|error| DoorError::Handshake(error.to_string()))?;
    let from = connection.remote_address();
    let exchange = async {
        let (mut send, mut recv) = connection
            .accept_bi()
            .await
            .map_err(|error| DoorError::Handshake(error.to_string()))?;
        let request = frame::read(&mut recv, JoinRequest::LIMIT).await?;
        let request = codec::decode(&request)?;
        let reply = codec::encode(&doorkeeper.admit(from, request).await);
        frame::write(&mut send, &reply).await?;
        // The joiner closes once it has read everything.
        connection.closed().await;
        Ok(())
    };
    let outcome =
        tokio::time::timeout(REPLY_LIMIT, exchange).await.map_err(|_| DoorError::NoReply)?;
    if outcome.is_err() {
        connection.close(REFUSED, b"not understood");
    }
    outcome
}
