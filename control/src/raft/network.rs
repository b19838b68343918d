//! openraft's network on the [`Transport`] port: the asking side.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_model::MemberId;
use mesh_model::codec::{self, CodecError};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::rpc::{Reply, Request};
use super::types::{Snapshot, Types, Vote};
use crate::ports::{Transport, TransportError};

/// How long an append that carries entries may take. openraft suggests one heartbeat, which a distant
/// member's flush exceeds; heartbeats travel on a connection of their own and are not held up.
const APPEND_LIMIT: Duration = Duration::from_secs(2);

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

/// All other members, as agreement reaches them.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) me: MemberId,
    calls: Arc<dyn Calls>,
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
}

impl Peers {
    pub(crate) fn new(me: MemberId, transport: impl Transport) -> Self {
        Self { me, calls: Arc::new(Erased(transport)) }
    }

    pub(crate) async fn ask(
        &self,
        to: MemberId,
        request: &Request,
        limit: Duration,
    ) -> Result<Reply, AskError> {
        let reply = self.calls.call(to, request.encode(), limit).await?;
        Ok(codec::decode(&reply)?)
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
        pick: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, RPCError<Types>> {
        let asked = self.peers.ask(self.to, &request, limit).await;
        let error = match asked.map(pick) {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => AskError::OtherReply,
            Err(error) => error,
        };
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
            AskError::Transport(TransportError::Broken { .. }) | AskError::OtherReply => {
                RPCError::Unreachable(Unreachable::new(&error))
            }
        })
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
        let request = Request::Append(request.into());
        self.ask(request, (RPCTypes::AppendEntries, limit), |reply| match reply {
            Reply::Append(reply) => Some(reply.into()),
            _ => None,
        })
        .await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let request = Request::Vote(request.into());
        self.ask(request, (RPCTypes::Vote, option.hard_ttl()), |reply| match reply {
            Reply::Vote(reply) => Some(reply.into()),
            _ => None,
        })
        .await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let request = Request::PreVote(request.into());
        self.ask(request, (RPCTypes::Vote, option.hard_ttl()), |reply| match reply {
            Reply::Vote(reply) => Some(reply.into()),
            _ => None,
        })
        .await
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
            Reply::Snapshot { vote } => Some(SnapshotResponse::new(vote.into())),
            _ => None,
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
            Reply::TransferLeader(reply) => Some(reply.into()),
            _ => None,
        })
        .await
    }
}
