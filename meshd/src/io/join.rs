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
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::codec::{self, CodecError, Message as _};
use mesh_model::trust::{Admission, Bootstrap};
use mesh_model::wire::join::{ALPN, JoinRefusal, JoinReply, JoinRequest, Welcome};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, TokioRuntime, VarInt};
use tokio::sync::{Semaphore, mpsc};

use super::agreement::EndpointError;
use super::frame::{self, FrameError};
use super::quic;
use super::quic_socket::{Inbound, VirtualSocket};
use super::tls::{Clients, SERVER_NAME, TlsError, TlsIdentity};
use super::udp::{LentPort, UdpPort};

/// How long a door gets before the next one is tried beside it: most answer within a tenth.
const NEXT_DOOR: Duration = Duration::from_millis(500);

/// How long a door may take to answer at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a door may take to have the request agreed: it may be in the midst of electing a
/// supervisor.
const REPLY_LIMIT: Duration = Duration::from_secs(15);

/// How long the joiner's farewell may take to leave this host. A lost one costs the member that
/// answered a few seconds of waiting, nothing else.
const FAREWELL: Duration = Duration::from_millis(20);

/// Datagrams that may wait on either side of the joiner's endpoint: a window of the snapshot.
const CLIENT_QUEUE: usize = 1024;

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
    let request = codec::encode(&JoinRequest { admission });
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
            quic::endpoint(EndpointConfig::default(), quic::UNDERLAY_PAYLOAD),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mesh_model::trust::{Genesis, MemberRecord};
    use mesh_model::{InviteId, MemberId, Signed};
    use quinn::Runtime as _;

    use super::*;
    use crate::io::fixture::{identity, prefixes, root, tls, tunnel};

    type Seen = Arc<Mutex<Vec<(SocketAddr, JoinRequest)>>>;

    /// Gives everyone the same reply and remembers who asked.
    #[derive(Clone)]
    struct Porter {
        reply: JoinReply,
        seen: Seen,
    }

    impl Doorkeeper for Porter {
        async fn admit(&self, from: SocketAddr, request: JoinRequest) -> JoinReply {
            self.seen.lock().expect("no panic").push((from, request));
            self.reply.clone()
        }
    }

    fn record(id: u8) -> MemberRecord {
        MemberRecord {
            mesh: root().mesh,
            name: format!("n{id}").parse().expect("a name"),
            identity: identity(id).public(),
            tunnel: tunnel(id).public(),
        }
    }

    fn admission() -> Admission {
        Admission::sign(&record(9), InviteId([1; 16]), &identity(100), &identity(9))
    }

    /// A welcome whose snapshot takes many datagrams.
    fn welcome() -> JoinReply {
        let genesis = Genesis {
            root: root(),
            name: "test".parse().expect("a name"),
            prefixes: prefixes(),
            founder: record(1),
            created_ms: 0,
        };
        JoinReply::Welcome(Box::new(Welcome {
            member: MemberId(9),
            genesis: Signed::seal(&genesis, &identity(200)),
            snapshot: (0..300_000u32).map(|at| at as u8).collect(),
            peers: Vec::new(),
            answered_by: MemberId(1),
        }))
    }

    /// A door on loopback kept by member `id`.
    fn door(id: u8, reply: JoinReply) -> (Bootstrap, Seen) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let endpoint = socket.local_addr().expect("bound");
        let socket = TokioRuntime.wrap_udp_socket(socket).expect("a socket");
        let server = JoinServer::open(socket, &tls(id)).expect("a server");
        let seen = Seen::default();
        let porter = Porter { reply, seen: Arc::clone(&seen) };
        tokio::spawn(async move { server.serve(porter).await });
        let identity = identity(id).public();
        (Bootstrap { endpoint, identity }, seen)
    }

    fn port() -> UdpPort {
        UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback")
    }

    #[tokio::test]
    async fn a_joiner_is_welcomed_and_seen_at_the_daemons_own_port() {
        let (door, seen) = door(1, welcome());
        let port = port();
        let got = ask(&port, &tls(9), &[door], admission()).await.expect("welcomed");
        assert_eq!(JoinReply::Welcome(Box::new(got)), welcome());
        let seen = seen.lock().expect("no panic");
        assert_eq!(*seen, [(port.local(), JoinRequest { admission: admission() })]);
    }

    #[tokio::test]
    async fn a_dual_stack_port_reaches_an_ipv4_door() {
        let (door, seen) = door(1, welcome());
        let port = UdpPort::bind_any(0).expect("any");
        ask(&port, &tls(9), &[door], admission()).await.expect("welcomed");
        let seen = seen.lock().expect("no panic");
        assert_eq!(seen[0].0.port(), port.local().port());
    }

    #[tokio::test]
    async fn an_impostor_and_an_undecided_member_are_passed_over() {
        let (undecided, _) = door(1, JoinReply::Unavailable);
        let (mut impostor, seen) = door(2, welcome());
        impostor.identity = identity(3).public();
        let (good, _) = door(4, welcome());
        let doors = [undecided, impostor, good];
        ask(&port(), &tls(9), &doors, admission()).await.expect("welcomed");
        assert!(seen.lock().expect("no panic").is_empty(), "an impostor was told something");
    }

    #[tokio::test]
    async fn a_silent_door_is_not_waited_for_and_a_refusal_is_final() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let endpoint = silent.local_addr().expect("bound");
        let silent = Bootstrap { endpoint, identity: identity(1).public() };
        let (no, _) = door(2, JoinReply::Refused(JoinRefusal::Used));
        match ask(&port(), &tls(9), &[silent, no], admission()).await {
            Err(JoinError::Refused(JoinRefusal::Used)) => {}
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn closed_doors_are_named_with_their_reasons() {
        let (undecided, _) = door(1, JoinReply::Unavailable);
        let (mut impostor, _) = door(2, welcome());
        impostor.identity = identity(3).public();
        let error = ask(&port(), &tls(9), &[undecided, impostor], admission())
            .await
            .expect_err("nobody could welcome");
        let text = error.to_string();
        for part in [
            format!("{}: connected, but the mesh has no supervisor", undecided.endpoint),
            format!("{}: no secure connection", impostor.endpoint),
        ] {
            assert!(text.contains(&part), "{text}");
        }
    }
}
