//! The member's side.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_control::refusals::Refused;
use mesh_model::codec::{self, CodecError, Message as _};
use mesh_model::wire::join::{ALPN, JoinReply, JoinRequest};
use quinn::{
    AsyncUdpSocket, Connection, ConnectionError, Endpoint, EndpointConfig, SendStream,
    TokioRuntime, VarInt,
};
use tokio::sync::Semaphore;

use super::visitors::Visitors;
use super::{DONE, REPLY_LIMIT};
use crate::io::agreement::EndpointError;
use crate::io::frame::{self, FrameError};
use crate::io::quic;
use crate::io::tls::{Clients, TlsIdentity};

/// How long a visitor may take to ask, from its proven first packet on: three round trips on the
/// longest line there is (600 ms), with a lost packet or two.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// How long a visitor that has its answer may take to say goodbye before it is let go anyway: more
/// than a round trip on the longest line there is.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// Joiners served at once: each costs the mesh one agreed command, and those are serial anyway.
pub(super) const MAX_JOINERS: usize = 16;

/// Connections that may wait for a moment of the task that accepts them.
const MAX_INCOMING: usize = 32;

/// Bytes a waiting connection may have sent ahead: its first flight, with a post-quantum key share.
const INCOMING_BUFFER: u64 = 4096;

/// The member will not serve this joiner now.
const REFUSED: VarInt = VarInt::from_u32(1);

/// Why a visitor got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// It took too long to ask.
    #[error("nothing asked within {} seconds", ASK_LIMIT.as_secs())]
    Silent,
    /// The connection did not come about, or broke.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The request or the reply was cut off.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// The request is not understood.
    #[error("the request is not understood: {0}")]
    Codec(#[from] CodecError),
    /// The mesh took too long to decide, or the joiner to read.
    #[error("no reply given within {} seconds", REPLY_LIMIT.as_secs())]
    TooSlow,
}

impl AnswerError {
    pub(super) fn reason(&self) -> Refused {
        match self {
            Self::Silent => Refused::JoinSilent,
            Self::Broken(FrameError::TooLong { .. }) => Refused::JoinMalformed,
            Self::Connection(_) | Self::Broken(_) => Refused::JoinBroken,
            Self::Codec(error) if error.is_newer() => Refused::JoinNewer,
            Self::Codec(_) => Refused::JoinMalformed,
            Self::TooSlow => Refused::JoinUndecided,
        }
    }
}

/// Decides about joiners.
pub(crate) trait Doorkeeper: Clone + Send + Sync + 'static {
    /// The reply to `request`, which came from underlay address `from`.
    fn admit(
        &self,
        from: SocketAddr,
        request: JoinRequest,
    ) -> impl Future<Output = JoinReply> + Send;

    /// A visitor was sent away, or left, for `reason`, before it could be decided on or told.
    fn turned_away(&self, reason: Refused);
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
        let crypto = Arc::new(tls.server(Clients::Strangers, &[ALPN])?);
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
        let visitors = Visitors::default();
        let places = Arc::new(Semaphore::new(MAX_JOINERS));
        while let Some(incoming) = self.endpoint.accept().await {
            if !incoming.remote_address_validated() {
                // Fails only for an address already validated.
                let _ = incoming.retry();
                continue;
            }
            let from = incoming.remote_address();
            let visit = match visitors.admit(from.ip()) {
                Ok(visit) => visit,
                Err(crowd) => {
                    tracing::debug!(%from, %crowd, "a joiner is sent away");
                    doorkeeper.turned_away(Refused::JoinCrowded);
                    incoming.refuse();
                    continue;
                }
            };
            let (doorkeeper, places) = (doorkeeper.clone(), Arc::clone(&places));
            tokio::spawn(async move {
                if let Err(error) = serve_one(incoming, &doorkeeper, &places).await {
                    tracing::debug!(%from, %error, "a joiner got no answer");
                    doorkeeper.turned_away(error.reason());
                }
                drop(visit);
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
    doorkeeper: &impl Doorkeeper,
    places: &Semaphore,
) -> Result<(), AnswerError> {
    let asked = tokio::time::timeout(ASK_LIMIT, hear(incoming));
    let (connection, mut send, request) = asked.await.map_err(|_| AnswerError::Silent)??;
    let reply = async {
        let _place = places.acquire().await.expect("never closed");
        let reply = doorkeeper.admit(connection.remote_address(), request).await;
        // It has its answer, counted by what that is. All of it arrived, or the joiner is gone.
        if frame::write(&mut send, codec::encode(&reply).into()).await.is_ok() {
            let _ = send.stopped().await;
        }
        Ok(())
    };
    let outcome =
        tokio::time::timeout(REPLY_LIMIT, reply).await.unwrap_or(Err(AnswerError::TooSlow));
    if outcome.is_ok() {
        // The joiner closes once it has read everything.
        let _ = tokio::time::timeout(FAREWELL_LIMIT, connection.closed()).await;
    }
    connection.close(DONE, b"done");
    outcome
}

/// The connection of `incoming` and the request that was made on it.
async fn hear(
    incoming: quinn::Incoming,
) -> Result<(Connection, SendStream, JoinRequest), AnswerError> {
    let connection = incoming.await?;
    let (send, mut recv) = connection.accept_bi().await?;
    let request = frame::read(&mut recv, JoinRequest::LIMIT).await?;
    match codec::decode(&request) {
        Ok(request) => Ok((connection, send, request)),
        Err(error) => {
            let reason: &[u8] = match error.is_newer() {
                true => b"the request is of a newer version than this member's",
                false => b"not understood",
            };
            connection.close(REFUSED, reason);
            Err(error.into())
        }
    }
}
