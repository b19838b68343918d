//! Agreement's link: one QUIC stream per question, between members, on the overlay.
//!
//! ```text
//! caller                                      answerer
//!   dial (once, shared by all callers) ─────>   who is it? TLS identity -> member
//!   open stream, frame(request), finish ────>   handler(member, request)
//!   <──────────────── frame(reply), finish    or: reset
//! ```
//!
//! Connections are kept per member and made when first needed. Dialling goes on when its first
//! caller gives up: heartbeats have less patience than a handshake over a long line takes. A broken
//! connection is noticed by QUIC (nothing heard for four seconds while something was said, or a reset
//! from a member that was restarted) and replaced by the next call.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use mesh_control::ports::{Transport, TransportError};
use mesh_model::addr::port;
use mesh_model::codec::MAX_MESSAGE;
use mesh_model::{IdentityKey, MemberId};
use quinn::{AsyncUdpSocket, Connection, Endpoint, TokioRuntime, VarInt};

use super::directory::Directory;
use super::tls::{self, Clients, SERVER_NAME, TlsError, TlsIdentity};
use super::{frame, quic, reset};

/// The ALPN protocol name (RFC 7301) of agreement.
const ALPN: &[u8] = b"meshd-agreement/1";

/// The longest request or reply, in bytes: a snapshot sent whole is the longest.
const MAX_RPC: usize = MAX_MESSAGE;

/// Questions one member may have open at once: openraft keeps one append and one vote under way per
/// peer; forwarded proposals make up the rest. With the connection's window it bounds memory.
const MAX_STREAMS: u32 = 32;

/// Connections served at once: every member of a mesh with seven voters and a hundred forwarding
/// followers. A follower that finds no room tries again.
const MAX_CONNECTIONS: usize = 256;

/// How long one attempt to dial may take. QUIC repeats itself ever more slowly; a fresh attempt
/// starts fast again, so a member that comes up is reached within a second or two. Three round trips
/// of 600 ms, the longest line there is (a geostationary satellite), fit.
const DIAL_LIMIT: Duration = Duration::from_secs(2);

/// How long a handshake with a caller may take before its place is free again.
const ACCEPT_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer may take to make: a proposal waits for a majority. The caller's own limit is
/// shorter; this one frees what a vanished caller left behind.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The stream was refused: the handler said no, or the message was too long.
const REFUSED: VarInt = VarInt::from_u32(1);
/// The connection was refused: the identity is no member's.
const NOT_A_MEMBER: VarInt = VarInt::from_u32(2);
/// The daemon is ending.
const GOING_AWAY: VarInt = VarInt::from_u32(3);

/// Answers members' questions.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Why there is no answer; goes to the log, not over the wire.
    type Error: Display + Send;

    /// The answer to `request` from `from`, who is that member beyond doubt.
    fn answer(
        &self,
        from: MemberId,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;
}

/// The agreement endpoint. Cheap to clone; [`Transport`] for callers, [`Agreement::serve`] for
/// answers.
#[derive(Clone)]
pub(crate) struct Agreement(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    tls: TlsIdentity,
    directory: Directory,
    links: Mutex<BTreeMap<MemberId, Link>>,
}

/// A connection, or the attempt to get one, with the identity it was made for.
struct Link {
    identity: IdentityKey,
    dial: Dial,
}

/// One attempt, shared by everyone who waits for it.
type Dial = Shared<BoxFuture<'static, Option<Connection>>>;

/// The agreement endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The identity does not fit TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// QUIC refused its socket.
    #[error("cannot start QUIC: {0}")]
    Quic(#[from] std::io::Error),
}

impl Agreement {
    /// An endpoint over `socket`, for the members in `directory`. Needs a tokio runtime.
    pub(crate) fn open(
        socket: Arc<dyn AsyncUdpSocket>,
        tls: TlsIdentity,
        directory: Directory,
    ) -> Result<Self, EndpointError> {
        let crypto = Arc::new(tls.server(Clients::Identified, ALPN)?);
        let mut server = quinn::ServerConfig::with_crypto(crypto);
        server
            .transport_config(quic::transport(quic::OVERLAY_PAYLOAD, MAX_STREAMS))
            .migration(false)
            .max_incoming(MAX_CONNECTIONS);
        let endpoint = Endpoint::new_with_abstract_socket(
            quic::endpoint(reset::config(tls.reset_key()), quic::OVERLAY_PAYLOAD),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )?;
        Ok(Self(Arc::new(Inner { endpoint, tls, directory, links: Mutex::default() })))
    }

    /// Answers members until the endpoint is closed.
    pub(crate) async fn serve(&self, answer: impl Answer) {
        while let Some(incoming) = self.0.endpoint.accept().await {
            if self.0.endpoint.open_connections() >= MAX_CONNECTIONS {
                incoming.refuse();
                continue;
            }
            tokio::spawn(serve_connection(incoming, self.0.directory.clone(), answer.clone()));
        }
    }

    /// Closes every connection and stops [`Agreement::serve`].
    pub(crate) fn close(&self) {
        self.0.endpoint.close(GOING_AWAY, b"going away");
    }

    /// `member` has just shown a sign of life, such as a new tunnel session: an attempt to dial that
    /// waits for a late answer is given up, so that the next call starts a fresh one.
    pub(crate) fn nudge(&self, member: MemberId) {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.get(&member).is_some_and(|link| link.dial.peek().is_none()) {
            links.remove(&member);
        }
    }

    /// The connection to `member`, or the attempt to get one.
    fn link(&self, member: MemberId) -> Option<Dial> {
        let inner = &self.0;
        let (address, identity) = inner.directory.locate(member)?;
        let mut links = inner.links.lock().unwrap_or_else(PoisonError::into_inner);
        // Departed members' connections go with the next call to anyone.
        links.retain(|member, link| inner.directory.confirms(*member, &link.identity));
        if let Some(link) = links.get(&member)
            && link.is_usable()
        {
            return Some(link.dial.clone());
        }
        let target = SocketAddr::from((address, port::AGREEMENT));
        let dial = dial(inner.endpoint.clone(), &inner.tls, target, identity);
        tokio::spawn(dial.clone());
        let link = Link { identity, dial: dial.clone() };
        links.insert(member, link);
        Some(dial)
    }

    async fn exchange(&self, to: MemberId, request: &[u8]) -> Result<Bytes, TransportError> {
        let connection = match self.link(to) {
            Some(dial) => dial.await,
            None => None,
        };
        let connection = connection.ok_or(TransportError::Unreachable(to))?;
        converse(&connection, request).await.map_err(|error| {
            // Why the connection is gone says more than that the stream is.
            let reason = connection.close_reason().map_or(error, |reason| reason.to_string());
            TransportError::Broken { member: to, reason }
        })
    }
}

/// One question and its answer.
async fn converse(connection: &Connection, request: &[u8]) -> Result<Bytes, String> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(|error| error.to_string())?;
    frame::write(&mut send, request).await.map_err(|error| error.to_string())?;
    frame::read(&mut recv, MAX_RPC).await.map_err(|error| error.to_string())
}

impl Transport for Agreement {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        tokio::time::timeout(limit, self.exchange(to, &request))
            .await
            .unwrap_or(Err(TransportError::Timeout(to)))
    }
}

impl Link {
    /// Under way or up; not failed, not broken.
    fn is_usable(&self) -> bool {
        match self.dial.peek() {
            None => true,
            Some(Some(connection)) => connection.close_reason().is_none(),
            Some(None) => false,
        }
    }
}

/// Dials `target`, where `identity` must answer.
fn dial(endpoint: Endpoint, tls: &TlsIdentity, target: SocketAddr, identity: IdentityKey) -> Dial {
    let config = tls.client(identity, ALPN).map(|crypto| {
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        // Nobody asks questions on a connection it did not dial.
        config.transport_config(quic::transport(quic::OVERLAY_PAYLOAD, 0));
        config
    });
    async move {
        let attempt = async {
            let config = config.map_err(|error| error.to_string())?;
            let connecting = endpoint
                .connect_with(config, target, SERVER_NAME)
                .map_err(|error| error.to_string())?;
            connecting.await.map_err(|error| error.to_string())
        };
        match tokio::time::timeout(DIAL_LIMIT, attempt).await {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(reason)) => {
                tracing::debug!(%target, reason, "no agreement connection");
                None
            }
            Err(_) => {
                tracing::debug!(%target, "no agreement connection: no answer");
                None
            }
        }
    }
    .boxed()
    .shared()
}

async fn serve_connection(incoming: quinn::Incoming, directory: Directory, answer: impl Answer) {
    let connection = match tokio::time::timeout(ACCEPT_LIMIT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "an agreement handshake failed"),
        Err(_) => return tracing::debug!("an agreement handshake took too long"),
    };
    let Some(identity) = tls::peer_identity(&connection) else {
        return connection.close(NOT_A_MEMBER, b"no identity");
    };
    let Some(member) = directory.resolve(&identity) else {
        // Usual for a moment: the caller was admitted, and we have not applied that yet.
        tracing::debug!(%identity, "agreement refused: no member has this identity");
        return connection.close(NOT_A_MEMBER, b"not a member");
    };
    // QUIC itself holds the caller to MAX_STREAMS open questions.
    while let Ok((send, recv)) = connection.accept_bi().await {
        if !directory.confirms(member, &identity) {
            return connection.close(NOT_A_MEMBER, b"no longer a member");
        }
        tokio::spawn(serve_stream(send, recv, member, answer.clone()));
    }
}

async fn serve_stream(
    mut send: quinn::SendStream,
    mut recv: quinn::RecvStream,
    from: MemberId,
    answer: impl Answer,
) {
    let work = async {
        let request = frame::read(&mut recv, MAX_RPC).await.map_err(|error| error.to_string())?;
        let reply = answer.answer(from, request).await.map_err(|error| error.to_string())?;
        frame::write(&mut send, &reply).await.map_err(|error| error.to_string())
    };
    let outcome = tokio::time::timeout(ANSWER_LIMIT, work)
        .await
        .unwrap_or_else(|_| Err("took too long".to_owned()));
    if let Err(reason) = outcome {
        tracing::debug!(%from, reason, "a question was not answered");
        // Already gone when the connection broke.
        let _ = send.reset(REFUSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::fixture::{addrs, identity, tls, view, wire};

    const LIMIT: Duration = Duration::from_secs(20);

    /// Answers with the asker's id and the request reversed; refuses an empty request.
    #[derive(Clone)]
    struct Mirror;

    impl Answer for Mirror {
        type Error = &'static str;

        async fn answer(&self, from: MemberId, request: Bytes) -> Result<Bytes, &'static str> {
            if request.is_empty() {
                return Err("nothing asked");
            }
            Ok([from.to_string().as_bytes(), b":"]
                .into_iter()
                .flatten()
                .chain(request.iter().rev())
                .copied()
                .collect())
        }
    }

    /// Members 1 and 2 on one wire; each sees the members it is given.
    fn pair(seen_by_one: &[u8], seen_by_two: &[u8]) -> [(Agreement, Directory); 2] {
        let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
        let (near, far) = wire(at(1), at(2), 256);
        [(1, near, seen_by_one), (2, far, seen_by_two)].map(|(id, socket, seen)| {
            let directory = Directory::new(view(seen));
            let agreement = Agreement::open(socket, tls(id), directory.clone()).expect("opened");
            let serving = agreement.clone();
            tokio::spawn(async move { serving.serve(Mirror).await });
            (agreement, directory)
        })
    }

    async fn ask(from: &Agreement, request: &'static [u8]) -> Result<Bytes, TransportError> {
        from.call(MemberId(2), Bytes::from_static(request), LIMIT).await
    }

    #[tokio::test]
    async fn a_question_is_answered_by_who_it_was_meant_for() {
        let [(one, _), (two, _)] = pair(&[1, 2], &[1, 2]);
        assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
        let back = two.call(MemberId(1), Bytes::from_static(b"x"), LIMIT).await;
        assert_eq!(back.expect("answered"), "m2:x");
    }

    #[tokio::test]
    async fn a_megabyte_passes_whole_in_both_directions() {
        let [(one, _), _two] = pair(&[1, 2], &[1, 2]);
        let request: Bytes = (0..3u32 << 20).map(|at| at as u8).collect();
        let reply = one.call(MemberId(2), request.clone(), LIMIT).await.expect("answered");
        assert!(reply[3..].iter().eq(request.iter().rev()));
    }

    #[tokio::test]
    async fn a_refusal_is_told_and_spoils_nothing() {
        let [(one, _), _two] = pair(&[1, 2], &[1, 2]);
        let refused = ask(&one, b"").await.expect_err("refused");
        assert!(matches!(refused, TransportError::Broken { .. }), "{refused}");
        assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    }

    #[tokio::test]
    async fn whoever_is_no_member_is_neither_called_nor_answered() {
        let [(one, _), (_, of_two)] = pair(&[1, 2], &[2]);
        let unknown = one.call(MemberId(9), Bytes::from_static(b"x"), LIMIT).await;
        assert_eq!(unknown, Err(TransportError::Unreachable(MemberId(9))));
        let stranger = ask(&one, b"abc").await.expect_err("answered a stranger");
        assert!(matches!(stranger, TransportError::Broken { .. }), "{stranger}");

        // Once the other side has applied the admission, the next call succeeds: the link that broke
        // is not used again.
        of_two.store(view(&[1, 2]));
        assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    }

    #[tokio::test]
    async fn a_member_that_left_loses_its_open_connection() {
        let [(one, _), (_, of_two)] = pair(&[1, 2], &[1, 2]);
        ask(&one, b"abc").await.expect("answered");
        of_two.store(view(&[2]));
        ask(&one, b"abc").await.expect_err("answered after leaving");
    }

    #[tokio::test]
    async fn a_member_that_crashed_and_came_back_says_so() {
        let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
        let (near, far) = wire(at(1), at(2), 256);
        let run_two = || {
            let far = Arc::clone(&far);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.spawn(async move {
                let directory = Directory::new(view(&[1, 2]));
                let two = Agreement::open(far, tls(2), directory).expect("opened");
                two.serve(Mirror).await;
            });
            runtime
        };
        let one = Agreement::open(near, tls(1), Directory::new(view(&[1, 2]))).expect("opened");
        let first_run = run_two();
        assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
        // Its tasks end where they stand: nothing is closed, nobody is told.
        first_run.shutdown_background();
        let second_run = run_two();
        let error = ask(&one, b"abc").await.expect_err("the old connection");
        assert!(error.to_string().contains("reset by peer"), "{error}");
        assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
        second_run.shutdown_background();
    }

    #[tokio::test]
    async fn an_impostor_at_the_right_address_is_not_spoken_to() {
        let [(one, of_one), _two] = pair(&[1, 2], &[1, 2]);
        let mut mistaken = (*view(&[1, 2])).clone();
        let two = mistaken.members.get_mut(&MemberId(2)).expect("member 2");
        two.identity = identity(7).public();
        of_one.store(Arc::new(mistaken));
        let impostor = ask(&one, b"abc").await.expect_err("spoke to an impostor");
        assert_eq!(impostor, TransportError::Unreachable(MemberId(2)));
    }
}
