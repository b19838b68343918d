//! The key of a pair: both ends of a connection derive it from that connection's own secrets.
//!
//! ```text
//! asker (lower id)                             asked
//!   dial, ALPN meshd-pair-key/1 ──────────>   who is it? TLS identity -> member
//!     both: TLS exporter (RFC 8446, section 7.5) over LABEL and both ids = the key
//!   frame(nothing) ───────────────────────>   puts the key in force
//!   <──────────────────────── frame(nothing)  or: reset
//!   puts the key in force                     the connection ends
//! ```
//!
//! Nothing of the key crosses the wire, and which connection it is from is not in question: one that was made for it and carries
//! nothing else. That the key exchange is post-quantum, and that each end is who it says, is TLS's business
//! ([`tls`](crate::io::tls)). A host that agrees on no keys does not know the protocol, and neither do older versions: their TLS
//! refuses, and that is their answer.

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_control::pairs::NoKey;
use mesh_model::addr::port;
use mesh_model::{MemberId, PresharedKey};
use quinn::{Connection, ConnectionError, TransportErrorCode, VarInt};
use zeroize::Zeroizing;

use super::answering::Answer;
use super::{Agreement, Inner};
use crate::io::tls::SERVER_NAME;
use crate::io::{frame, quic};

/// The ALPN protocol name (RFC 7301) of a connection that is for a pair's key, and the version of all that happens on it.
pub(super) const ALPN: &[u8] = b"meshd-pair-key/1";

/// What the key is for. Labels that begin so need no registration (RFC 5705, section 4).
const LABEL: &[u8] = b"EXPERIMENTAL meshd pair key";

/// How long a question may take from dialling to the answer: twice what dialling alone may, for the other end has a few
/// milliseconds of work.
const ASK_LIMIT: Duration = Duration::from_secs(4);

/// How long the answer may take; the asker has given up by then.
const ANSWER_LIMIT: Duration = ASK_LIMIT;

/// TLS's `no_application_protocol` (RFC 7301, section 3.2).
const NO_SUCH_PROTOCOL: u8 = 120;

/// The key is agreed, or not: this connection is of no use any more.
const DONE: VarInt = VarInt::from_u32(5);

impl Agreement {
    /// Agrees on a key with `to`, which has it in force when this returns.
    pub(crate) async fn ask_key(&self, to: MemberId) -> Result<PresharedKey, NoKey> {
        // Whoever agrees on no keys asks for none.
        let me = self.0.pairing.ok_or(NoKey::Refused)?;
        let asked = tokio::time::timeout(ASK_LIMIT, self.0.ask_key(me, to)).await;
        let no_key = match asked {
            Ok(Ok(key)) => return Ok(key),
            Ok(Err(no_key)) => no_key,
            Err(_) => other("no answer"),
        };
        match no_key {
            Obstacle::Unknown => {
                tracing::debug!(%to, "agrees on no keys");
                Err(NoKey::Refused)
            }
            Obstacle::Other(reason) => {
                tracing::debug!(%to, reason, "no key agreed");
                Err(NoKey::Failed)
            }
        }
    }
}

/// Why there is no key.
enum Obstacle {
    /// The other end does not know the protocol.
    Unknown,
    /// Anything else.
    Other(String),
}

fn other(reason: impl Display) -> Obstacle {
    Obstacle::Other(reason.to_string())
}

impl Inner {
    async fn ask_key(&self, me: MemberId, to: MemberId) -> Result<PresharedKey, Obstacle> {
        let found = self.directory.locate(to);
        let (address, identity) = found.ok_or_else(|| other("no member any more"))?;
        let crypto = self.tls.client(identity, ALPN).map_err(other)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(quic::transport(quic::OVERLAY_PAYLOAD, 0));
        let target = SocketAddr::from((address, port::AGREEMENT));
        let dial = self.endpoint.connect_with(config, target, SERVER_NAME).map_err(other)?;
        let connection = dial.await.map_err(|error| match is_unknown(&error) {
            true => Obstacle::Unknown,
            false => other(error),
        })?;
        let key = settle(&connection, (me, to)).await;
        connection.close(DONE, b"done");
        key
    }
}

/// The asker's part, on a connection that stands.
async fn settle(
    connection: &Connection,
    ids: (MemberId, MemberId),
) -> Result<PresharedKey, Obstacle> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(other)?;
    frame::write(&mut send, Bytes::new()).await.map_err(other)?;
    frame::read(&mut recv, 0).await.map_err(other)?;
    derive(connection, ids)
}

/// Whether the other end has no such protocol.
fn is_unknown(error: &ConnectionError) -> bool {
    let unknown = TransportErrorCode::crypto(NO_SUCH_PROTOCOL);
    matches!(error, ConnectionError::ConnectionClosed(close) if close.error_code == unknown)
}

/// Whether `connection`, which somebody else made, is for a key.
pub(super) fn is_meant_by(connection: &Connection) -> bool {
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    data.is_some_and(|data| data.protocol.as_deref() == Some(ALPN))
}

/// The part of `me`, whom `asker` asks, on a connection that stands.
pub(super) async fn answer(
    connection: &Connection,
    asker: MemberId,
    me: MemberId,
    answer: &impl Answer,
) {
    let work = async {
        let (mut send, mut recv) = connection.accept_bi().await.map_err(other)?;
        frame::read(&mut recv, 0).await.map_err(other)?;
        let key = derive(connection, (asker, me))?;
        if !answer.take_key(asker, key).await {
            return Err(other("it is not taken here"));
        }
        frame::write(&mut send, Bytes::new()).await.map_err(other)?;
        // The asker closes the connection once it has read that.
        connection.closed().await;
        Ok(())
    };
    if let Ok(Err(Obstacle::Other(reason))) = tokio::time::timeout(ANSWER_LIMIT, work).await {
        tracing::debug!(%asker, reason, "no key agreed");
    }
    connection.close(DONE, b"done");
}

/// The key of the pair (asker, asked) that `connection` yields.
fn derive(
    connection: &Connection,
    (asker, asked): (MemberId, MemberId),
) -> Result<PresharedKey, Obstacle> {
    let context = [asker.0.to_be_bytes(), asked.0.to_be_bytes()].concat();
    let mut bytes = Zeroizing::new([0; 32]);
    let derived = connection.export_keying_material(&mut *bytes, LABEL, &context);
    derived.map_err(|_| other("TLS exports no keys"))?;
    Ok(PresharedKey::from_bytes(*bytes))
}
