//! The answerer's side: who asks, and how much of it at once.
//!
//! What members' questions may take up in memory is bounded, whatever they send. A member has one
//! connection; on it QUIC itself allows 32 open questions. At most one of them is large, and waits for
//! one of the few places for those, before a byte of it is read beyond what the stream's window lets
//! arrive. That comes to 32 MiB for each member that goes to the limit and 128 MiB for all of them
//! together.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::refusals::Refused;
use mesh_model::{IdentityKey, MemberId, PresharedKey};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{MAX_RPC, pairing};
use crate::io::directory::Directory;
use crate::io::frame::{self, FrameError};
use crate::io::tls;

/// How long a handshake with a caller may take before its place is free again.
const ACCEPT_LIMIT: Duration = Duration::from_secs(5);

/// How long a question may take to arrive: as long as a leader waits for its snapshot to be installed, which is the longest there
/// is.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

/// How long an answer may take to make: a proposal waits for a majority. The caller's own limit is
/// shorter; this one frees what a vanished caller left behind.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The longest question that is not large, in bytes: more than three times an append that is full of the
/// longest entries. Only snapshots are longer.
pub(super) const SMALL: usize = 1 << 20;

/// Large questions read at once, from all members together: a snapshot comes from the supervisor, and
/// around an election there may be two.
pub(super) const LARGE_AT_ONCE: usize = 2;

/// The stream was refused: the handler said no, or the message was too long.
const REFUSED: VarInt = VarInt::from_u32(1);
/// The connection was refused: the identity is no member's.
const NOT_A_MEMBER: VarInt = VarInt::from_u32(2);
/// The member has made another connection.
pub(super) const REPLACED: VarInt = VarInt::from_u32(4);

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

    /// Whether `from` may ask something large, for which there are few places. Anybody, unless said otherwise.
    fn may_ask_much(&self, from: MemberId) -> impl Future<Output = bool> + Send {
        let _ = from;
        std::future::ready(true)
    }

    /// Somebody was turned away for `reason`, or went, before it had asked. Nobody counts that, unless said otherwise.
    fn turned_away(&self, reason: Refused) {
        let _ = reason;
    }

    /// Somebody was turned away for its identity, which is no present member's; `None`: it proves none. Nobody counts that,
    /// unless said otherwise.
    fn turned_stranger_away(&self, identity: Option<&IdentityKey>) {
        let _ = identity;
    }

    /// Puts `key` in force, which `asker` and this host have just derived. Whether it is; never, unless said otherwise.
    fn take_key(&self, asker: MemberId, key: PresharedKey) -> impl Future<Output = bool> + Send {
        let _ = (asker, key);
        std::future::ready(false)
    }
}

/// What all connections share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Answering<A> {
    directory: Directory,
    /// Who this host is, if it agrees on keys with others.
    pairing: Option<MemberId>,
    answer: A,
    callers: Callers,
    /// Those who ask for a key.
    askers: Callers,
    large: Arc<Semaphore>,
}

/// Each member's one connection of a kind.
#[derive(Clone, Default)]
struct Callers(Arc<Mutex<BTreeMap<IdentityKey, Connection>>>);

impl Callers {
    /// `connection` is the one of `identity` from now on. One it had before is closed: the member was
    /// restarted, or gave up on it.
    fn enter(&self, identity: IdentityKey, connection: &Connection) {
        if let Some(older) = self.all().insert(identity, connection.clone()) {
            older.close(REPLACED, b"replaced by a newer connection");
        }
    }

    /// `connection` has ended.
    fn leave(&self, identity: &IdentityKey, connection: &Connection) {
        let mut all = self.all();
        if all.get(identity).is_some_and(|held| held.stable_id() == connection.stable_id()) {
            all.remove(identity);
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<IdentityKey, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Answer> Answering<A> {
    /// Answers the members of `directory` with `answer`.
    pub(super) fn new(directory: Directory, pairing: Option<MemberId>, answer: A) -> Self {
        let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
        let (callers, askers) = (Callers::default(), Callers::default());
        Self { directory, pairing, answer, callers, askers, large }
    }

    /// Somebody was sent away because there are too many.
    pub(super) fn crowded(&self) {
        self.answer.turned_away(Refused::AgreementCrowded);
    }

    /// Answers whoever `incoming` is, if it is a member, until the connection ends.
    pub(super) async fn serve(self, incoming: quinn::Incoming) {
        let connection = match tokio::time::timeout(ACCEPT_LIMIT, incoming).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an agreement handshake failed");
                return self.answer.turned_away(Refused::AgreementBroken);
            }
            Err(_) => {
                tracing::debug!("an agreement handshake took too long");
                return self.answer.turned_away(Refused::AgreementBroken);
            }
        };
        let Some(identity) = tls::peer_identity(&connection) else {
            self.answer.turned_stranger_away(None);
            return connection.close(NOT_A_MEMBER, b"no identity");
        };
        let Some(member) = self.directory.resolve(&identity) else {
            // Usual for a moment: the caller was admitted, and we have not applied that yet.
            tracing::debug!(%identity, "agreement refused: no member has this identity");
            self.answer.turned_stranger_away(Some(&identity));
            return connection.close(NOT_A_MEMBER, b"not a member");
        };
        if let Some(me) = self.pairing.filter(|_| pairing::is_meant_by(&connection)) {
            self.askers.enter(identity, &connection);
            pairing::answer(&connection, member, me, &self.answer).await;
            return self.askers.leave(&identity, &connection);
        }
        self.callers.enter(identity, &connection);
        let large = Arc::new(Semaphore::new(1));
        // QUIC itself holds the caller to MAX_STREAMS open questions.
        let mut open = JoinSet::new();
        while let Ok((mut send, recv)) = connection.accept_bi().await {
            while open.try_join_next().is_some() {}
            if !self.directory.confirms(member, &identity) {
                self.answer.turned_stranger_away(Some(&identity));
                // Already gone when the connection broke.
                let _ = send.reset(REFUSED);
                break;
            }
            open.spawn(self.clone().converse(send, recv, member, Arc::clone(&large)));
        }
        // What it asked as a member is answered: its own goodbye is among it.
        open.join_all().await;
        connection.close(NOT_A_MEMBER, b"no longer a member");
        self.callers.leave(&identity, &connection);
    }

    async fn converse(
        self,
        mut send: SendStream,
        recv: RecvStream,
        from: MemberId,
        own_large: Arc<Semaphore>,
    ) {
        let work = async {
            let reply = self.reply(recv, from, &own_large).await?;
            frame::write(&mut send, reply).await.map_err(|error| error.to_string())?;
            // Until it has arrived: a connection that is closed forgets what is under way.
            send.stopped().await.map_err(|error| error.to_string())
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

    /// The answer to the question on `recv`. `own_large` is the connection's one place for a large one.
    async fn reply(
        &self,
        mut recv: RecvStream,
        from: MemberId,
        own_large: &Semaphore,
    ) -> Result<Bytes, String> {
        let cut_off = |error: FrameError| {
            self.answer.turned_away(match error {
                FrameError::TooLong { .. } => Refused::AgreementMalformed,
                _ => Refused::AgreementBroken,
            });
            error.to_string()
        };
        let dribbled = |_| {
            self.answer.turned_away(Refused::AgreementBroken);
            "it took too long to arrive"
        };
        let read = tokio::time::timeout(ARRIVAL_LIMIT, frame::read_len(&mut recv, MAX_RPC));
        let len = read.await.map_err(dribbled)?.map_err(cut_off)?;
        // Held until there is an answer: the request is in memory as long.
        let _places = if len > SMALL {
            // A second one is not let wait: unread, the two would fill the connection's window, and
            // nothing would get past them.
            let own = own_large.try_acquire().map_err(|_| {
                self.answer.turned_away(Refused::AgreementCrowded);
                "it has a large one under way"
            })?;
            if !self.answer.may_ask_much(from).await {
                return Err("it has no reason to ask that much".to_owned());
            }
            let shared = self.large.acquire().await.map_err(|error| error.to_string())?;
            Some((own, shared))
        } else {
            None
        };
        let read = tokio::time::timeout(ARRIVAL_LIMIT, frame::read_rest(&mut recv, len));
        let request = read.await.map_err(dribbled)?.map_err(cut_off)?;
        self.answer.answer(from, request).await.map_err(|error| error.to_string())
    }
}
