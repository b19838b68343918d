//! Agreement's link: one QUIC stream per question, between members, on the overlay.
//!
//! ```text
//! caller                                      answerer
//!   dial (once, shared by all callers) ─────>   who is it? TLS identity -> member
//!   open stream, frame(request), finish ────>   handler(member, request)
//!   <──────────────── frame(reply), finish    or: reset
//! ```
//!
//! Besides, pairs of members agree on keys over connections of their own ([`pairing`]).
//!
//! Connections are kept per member and made when first needed. Dialling goes on when its first
//! caller gives up: heartbeats have less patience than a handshake over a long line takes. A broken
//! connection is noticed by QUIC (nothing heard for four seconds while something was said, or a reset
//! from a member that was restarted) and replaced by the next call.

mod answering;
mod pairing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
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
use super::tls::{Clients, SERVER_NAME, TlsError, TlsIdentity};
use super::{frame, quic, reset};
pub(crate) use answering::Answer;
use answering::Answering;

/// The ALPN protocol name (RFC 7301) of agreement.
const ALPN: &[u8] = b"meshd-agreement/1";

/// The longest request or reply, in bytes: a snapshot sent whole is the longest.
const MAX_RPC: usize = MAX_MESSAGE;

/// Questions one member may have open at once: openraft keeps one append and one vote under way per
/// peer; forwarded proposals make up the rest. What they may take up in memory, see [`answering`].
const MAX_STREAMS: u32 = 32;

/// Connections served at once. One ends after four seconds without a question, so they are those of the voters, of the eight members
/// that follow from here, and of whoever asked or proposed something just now. A member that finds no room tries again, or
/// another source.
const MAX_CONNECTIONS: usize = 256;

/// How long one attempt to dial may take. QUIC repeats itself ever more slowly; a fresh attempt
/// starts fast again, so a member that comes up is reached within a second or two. Three round trips
/// of 600 ms, the longest line there is (a geostationary satellite), fit.
const DIAL_LIMIT: Duration = Duration::from_secs(2);

/// The daemon is ending.
const GOING_AWAY: VarInt = VarInt::from_u32(3);

/// The agreement endpoint. Cheap to clone; [`Transport`] for callers, [`Agreement::serve`] for
/// answers.
#[derive(Clone)]
pub(crate) struct Agreement(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    tls: TlsIdentity,
    directory: Directory,
    /// Who this host is, if it agrees on keys with others.
    pairing: Option<MemberId>,
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
    /// An endpoint over `socket`, for the members in `directory`; `pairing` is who this host is, if it agrees on keys with them. Needs
    /// a tokio runtime.
    pub(crate) fn open(
        socket: Arc<dyn AsyncUdpSocket>,
        tls: TlsIdentity,
        directory: Directory,
        pairing: Option<MemberId>,
    ) -> Result<Self, EndpointError> {
        let protocols: &[&[u8]] = match pairing {
            Some(_) => &[ALPN, pairing::ALPN],
            None => &[ALPN],
        };
        let crypto = Arc::new(tls.server(Clients::Identified, protocols)?);
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
        let links = Mutex::default();
        Ok(Self(Arc::new(Inner { endpoint, tls, directory, pairing, links })))
    }

    /// Answers members until the endpoint is closed.
    pub(crate) async fn serve(&self, answer: impl Answer) {
        let answering = Answering::new(self.0.directory.clone(), self.0.pairing, answer);
        while let Some(incoming) = self.0.endpoint.accept().await {
            if self.0.endpoint.open_connections() >= MAX_CONNECTIONS {
                answering.crowded();
                incoming.refuse();
                continue;
            }
            tokio::spawn(answering.clone().serve(incoming));
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

    async fn exchange(&self, to: MemberId, request: Bytes) -> Result<Bytes, TransportError> {
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
async fn converse(connection: &Connection, request: Bytes) -> Result<Bytes, String> {
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
        tokio::time::timeout(limit, self.exchange(to, request))
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
