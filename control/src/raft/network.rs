//! openraft's network on the [`Transport`] port: the asking side.
//!
//! A reply is believed no further than a request would be: a later vote only from a member that votes,
//! because it ends a term, and a place in the log only within what was sent. Whoever says more counts as
//! one that cannot be reached.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use mesh_model::MemberId;
use mesh_model::codec::{self, CodecError};
use mesh_model::trust::EpochId;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::metrics::RaftServerMetrics;
use openraft::network::{RPCOption, RPCTypes, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::TypeConfigExt as _;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::leaps::Leaps;
use super::lines::Lines;
use super::lookout::Lookout;
use super::notices::Notices;
use super::rpc::{AppendSpan, Reply, Request};
use super::types::{Snapshot, Types, Vote};
use super::watch as ordered;
use crate::ports::{Transport, TransportError};
use crate::refusals::{Refusals, Refused};

/// How long an append that carries entries may take. openraft suggests one heartbeat, which a distant
/// member's flush exceeds; heartbeats travel on a connection of their own and are not held up.
const APPEND_LIMIT: Duration = Duration::from_secs(2);

/// What became of each of a stream of appends.
type Appended<'s> = BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>;

type Call = Pin<Box<dyn Future<Output = Result<Bytes, TransportError>> + Send>>;

/// A transport without its type, so that the group has none either.
pub(crate) trait Calls: Send + Sync + 'static {
    fn call(&self, to: MemberId, request: Bytes, limit: Duration) -> Call;
}

struct Erased<T>(T);

impl<T: Transport> Calls for Erased<T> {
    fn call(&self, to: MemberId, request: Bytes, limit: Duration) -> Call {
        let transport = self.0.clone();
        Box::pin(async move { transport.call(to, request, limit).await })
    }
}

/// `transport` without its type.
pub(super) fn calls(transport: impl Transport) -> Arc<dyn Calls> {
    Arc::new(Erased(transport))
}

/// All other members, as agreement reaches them.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) me: MemberId,
    epoch: EpochId,
    calls: Arc<dyn Calls>,
    lookout: Arc<Lookout>,
    refusals: Arc<Refusals>,
    /// Where openraft tells who votes. Empty while it starts: nobody is believed then.
    electorate: Arc<OnceLock<ordered::Receiver<RaftServerMetrics<Types>>>>,
    /// This host keeps what it says as a leader to itself.
    is_silent: Arc<AtomicBool>,
    /// How those that this host feeds as a leader answer.
    pub(super) lines: Lines,
    /// How far terms have led this host lately.
    pub(super) leaps: Arc<Leaps>,
    pub(super) notices: Notices,
    /// What is longer between two answers is a pause.
    pause: Duration,
}

/// Everyone there is reason to take for a voter: by the membership in effect or the one agreed before it.
pub(super) fn known_voters(server: &RaftServerMetrics<Types>) -> BTreeSet<MemberId> {
    let effective = server.membership_config.membership();
    let committed = server.committed_membership_config.membership();
    effective.voter_ids().chain(committed.voter_ids()).map(MemberId).collect()
}

/// Why a question brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("the reply belongs to another question")]
    OtherReply,
    #[error("the reply says what its sender cannot know or may not say")]
    NotBelieved,
    #[error("the one asked is in epoch {0}")]
    OtherEpoch(EpochId),
    #[error("no majority answers this leader, which is silent for the moment")]
    Silent,
}

impl Peers {
    /// A member that has not answered for `pause` is not taken to be there.
    pub(super) fn new(
        me: MemberId,
        epoch: EpochId,
        calls: Arc<dyn Calls>,
        (lookout, refusals): (Arc<Lookout>, Arc<Refusals>),
        pause: Duration,
    ) -> Self {
        Self {
            me,
            epoch,
            calls,
            lookout,
            refusals,
            electorate: Arc::default(),
            is_silent: Arc::default(),
            lines: Lines::default(),
            leaps: Arc::default(),
            notices: Notices::default(),
            pause,
        }
    }

    /// From now on voters are believed.
    pub(super) fn follow(&self, server: ordered::Receiver<RaftServerMetrics<Types>>) {
        // Only the first counts, and there is one.
        let _ = self.electorate.set(server);
    }

    /// Whether this host may speak as a leader: whoever hears one, if only an entry it tries to get agreed, elects no other.
    pub(super) fn may_append(&self, may: bool) {
        self.is_silent.store(!may, Ordering::Relaxed);
    }

    /// Whether `to` may answer `said` to one that spoke with `sent`. What is not later changes nothing.
    /// A later vote is a voter's to give, and never for us: we would know of it first.
    fn believes(&self, to: MemberId, sent: &Vote, said: &Vote) -> bool {
        if *said <= *sent {
            return true;
        }
        let (later, node) = (said.leader_id.term, said.leader_id.voted_for);
        let votes = |server: &ordered::Receiver<RaftServerMetrics<Types>>| {
            known_voters(&server.borrow_watched()).contains(&to)
        };
        node != self.me.0
            && self.epoch.has_term(later)
            && self.electorate.get().is_some_and(votes)
            && self.leaps.allow(later, (sent.leader_id.term, Types::now()))
    }

    pub(crate) async fn ask(
        &self,
        to: MemberId,
        request: Request,
        limit: Duration,
    ) -> Result<Reply, AskError> {
        let reply = self.calls.call(to, request.ask_in(self.epoch), limit).await?;
        match codec::decode(&reply) {
            Ok(Reply::OtherEpoch(epoch)) => {
                self.lookout.note(to, epoch, self.epoch);
                self.refusals.count(Refused::AgreementOtherEpoch);
                Err(AskError::OtherEpoch(epoch))
            }
            Ok(reply) => Ok(reply),
            Err(unread) => {
                self.refusals.count(Refused::of_unread_reply(&unread));
                Err(unread.into())
            }
        }
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, (): &()) -> Peer {
        Peer { peers: self.clone(), to: MemberId(target) }
    }
}

/// One other member.
pub(crate) struct Peer {
    peers: Peers,
    to: MemberId,
}

impl Peer {
    async fn ask<T>(
        &self,
        request: Request,
        (action, limit): (RPCTypes, Duration),
        pick: impl FnOnce(Reply) -> Result<T, AskError>,
    ) -> Result<T, RPCError<Types>> {
        let asked = match self.peers.is_silent.load(Ordering::Relaxed) && request.is_a_leaders() {
            true => Err(AskError::Silent),
            false => self.peers.ask(self.to, request, limit).await,
        };
        let error = match asked.and_then(pick) {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        match error {
            AskError::OtherReply => self.peers.refusals.count(Refused::AgreementReplyMalformed),
            AskError::NotBelieved => self.peers.refusals.count(Refused::AgreementReplyNotBelieved),
            // Nothing came, or it is counted where it was read.
            AskError::Transport(_)
            | AskError::Codec(_)
            | AskError::OtherEpoch(_)
            | AskError::Silent => {}
        }
        Err(match error {
            AskError::Transport(TransportError::Timeout(_)) => RPCError::Timeout(Timeout {
                action,
                id: self.peers.me.0,
                target: self.to.0,
                timeout: limit,
            }),
            AskError::Transport(TransportError::Unreachable(_)) | AskError::Codec(_) => {
                RPCError::Unreachable(Unreachable::new(&error))
            }
            // A member that refuses us will refuse again: back off as from one that is gone.
            AskError::Transport(TransportError::Broken { .. })
            | AskError::OtherReply
            | AskError::NotBelieved
            | AskError::OtherEpoch(_)
            | AskError::Silent => RPCError::Unreachable(Unreachable::new(&error)),
        })
    }

    fn believe(&self, sent: &Vote, said: &Vote) -> Result<(), AskError> {
        if self.peers.believes(self.to, sent, said) {
            return Ok(());
        }
        tracing::warn!(from = %self.to, %said, "a vote that is not the sender's to tell of");
        Err(AskError::NotBelieved)
    }

    /// What came of an append of `span`.
    fn append_reply(
        &self,
        span: &AppendSpan,
        reply: Reply,
    ) -> Result<AppendEntriesResponse<Types>, AskError> {
        let Reply::Append(reply) = reply else { return Err(AskError::OtherReply) };
        let reply = AppendEntriesResponse::from(reply);
        match &reply {
            AppendEntriesResponse::HigherVote(vote) if *vote <= span.vote => {
                return Err(AskError::NotBelieved);
            }
            AppendEntriesResponse::HigherVote(vote) => self.believe(&span.vote, vote)?,
            AppendEntriesResponse::PartialSuccess(upto) if !span.covers(*upto) => {
                return Err(AskError::NotBelieved);
            }
            AppendEntriesResponse::Conflict if span.prev.is_none() => {
                return Err(AskError::NotBelieved);
            }
            _ => {}
        }
        Ok(reply)
    }

    fn vote_reply(&self, sent: &Vote, reply: Reply) -> Result<VoteResponse<Types>, AskError> {
        let Reply::Vote(reply) = reply else { return Err(AskError::OtherReply) };
        let reply = VoteResponse::from(reply);
        self.believe(sent, &reply.vote)?;
        Ok(reply)
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let limit = match request.entries.is_empty() {
            true => option.hard_ttl(),
            false => option.hard_ttl().max(APPEND_LIMIT),
        };
        let (span, is_heartbeat) = (AppendSpan::of(&request), request.entries.is_empty());
        let request = Request::Append(request.into());
        let limit = (RPCTypes::AppendEntries, limit);
        let asked = Types::now();
        let reply = self.ask(request, limit, |reply| self.append_reply(&span, reply)).await?;
        // An answer to entries comes when they are flushed, which says nothing of the line.
        let took = is_heartbeat.then(|| asked.elapsed());
        self.peers.lines.answered(self.to, (Types::now(), self.peers.pause), took);
        Ok(reply)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        appends: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<Appended<'s>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let appends = self.peers.notices.merged(self.to, appends);
        stream_append_sequential(self, appends, option)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let sent = request.vote;
        let request = Request::Vote(request.into());
        let limit = (RPCTypes::Vote, option.hard_ttl());
        self.ask(request, limit, |reply| self.vote_reply(&sent, reply)).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let sent = request.vote;
        let request = Request::PreVote(request.into());
        let limit = (RPCTypes::Vote, option.hard_ttl());
        self.ask(request, limit, |reply| self.vote_reply(&sent, reply)).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let request = Request::Snapshot { vote: vote.into(), snapshot: snapshot.snapshot };
        let limit = (RPCTypes::InstallSnapshot, option.hard_ttl());
        let asked = self.ask(request, limit, |reply| match reply {
            Reply::Snapshot { vote: said } => {
                let said: Vote = said.into();
                self.believe(&vote, &said).map(|()| SnapshotResponse::new(said))
            }
            _ => Err(AskError::OtherReply),
        });
        let (asked, cancel) = (std::pin::pin!(asked), std::pin::pin!(cancel));
        match futures_util::future::select(cancel, asked).await {
            futures_util::future::Either::Left((closed, _)) => Err(closed.into()),
            futures_util::future::Either::Right((reply, _)) => Ok(reply?),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let limit = (RPCTypes::TransferLeader, option.hard_ttl());
        self.ask(Request::TransferLeader(request.into()), limit, |reply| match reply {
            Reply::TransferLeader(reply) => Ok(reply.into()),
            _ => Err(AskError::OtherReply),
        })
        .await
    }
}

#[cfg(test)]
mod tests;
