//! The daemon's life: not joined, a member, gone.

use mesh_model::api::v1::{
    ErrorBody, InitRequest, InviteReply, InviteRequest, JoinRequest, JoinedReply, LeaveReply, LeaveRequest, Peers,
    PingReply, PingRequest, Status, Supervisor, Tunnels, WaitReply, WaitRequest,
};

/// What every operation of the local API answers.
pub(crate) type Answer<T> = Result<T, ErrorBody>;

/// The daemon as the local API sees it.
pub(crate) struct Daemon {}

impl Daemon {
    pub(crate) async fn status(&self) -> Answer<Status> { todo!() }
    pub(crate) async fn peers(&self) -> Answer<Peers> { todo!() }
    pub(crate) async fn tunnels(&self) -> Answer<Tunnels> { todo!() }
    pub(crate) async fn supervisor(&self) -> Answer<Supervisor> { todo!() }
    pub(crate) async fn init(&self, _request: InitRequest) -> Answer<JoinedReply> { todo!() }
    pub(crate) async fn invite(&self, _request: InviteRequest) -> Answer<InviteReply> { todo!() }
    pub(crate) async fn join(&self, _request: JoinRequest) -> Answer<JoinedReply> { todo!() }
    pub(crate) async fn leave(&self, _request: LeaveRequest) -> Answer<LeaveReply> { todo!() }
    pub(crate) async fn ping(&self, _request: PingRequest) -> Answer<PingReply> { todo!() }
    pub(crate) async fn wait(&self, _request: WaitRequest) -> Answer<WaitReply> { todo!() }
}
