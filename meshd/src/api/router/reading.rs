//! What everybody may ask: nothing here changes anything.

use axum::extract::State;
use axum::response::Response;
use mesh_model::api::v1::{
    PingRequest, PolicyPreviewRequest, PolicyTestRequest, VersionReply, WaitRequest,
};

use super::Daemon;
use super::answering::{agreed, check_timeout, document};
use crate::api::body::Body;
use crate::api::consistency::{Consistency, OwnView};
use crate::api::operations::Operations;
use crate::api::problem::Problem;

pub(super) async fn status<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.status()).await
}

pub(super) async fn peers<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.peers()).await
}

pub(super) async fn tunnels<O: Operations>(State(daemon): Daemon<O>, _: OwnView) -> Response {
    document(daemon.tunnels().await)
}

pub(super) async fn supervisor<O: Operations>(
    State(daemon): Daemon<O>,
    how: Consistency,
) -> Response {
    agreed(&*daemon, how, daemon.supervisor()).await
}

pub(super) async fn invites<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.invites()).await
}

pub(super) async fn bans<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.bans()).await
}

pub(super) async fn audit<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.audit()).await
}

pub(super) async fn supervisor_history<O: Operations>(
    State(daemon): Daemon<O>,
    _: OwnView,
) -> Response {
    document(daemon.supervisor_history().await)
}

pub(super) async fn sync<O: Operations>(State(daemon): Daemon<O>, _: OwnView) -> Response {
    document(daemon.sync().await)
}

pub(super) async fn voters<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.voters()).await
}

pub(super) async fn tags<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.tags()).await
}

pub(super) async fn policy<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.policy()).await
}

pub(super) async fn policy_history<O: Operations>(
    State(daemon): Daemon<O>,
    how: Consistency,
) -> Response {
    agreed(&*daemon, how, daemon.policy_history()).await
}

pub(super) async fn preview_policy<O: Operations>(
    State(daemon): Daemon<O>,
    how: Consistency,
    Body(request): Body<PolicyPreviewRequest>,
) -> Response {
    agreed(&*daemon, how, daemon.preview_policy(request)).await
}

pub(super) async fn test_policy<O: Operations>(
    State(daemon): Daemon<O>,
    how: Consistency,
    Body(request): Body<PolicyTestRequest>,
) -> Response {
    agreed(&*daemon, how, daemon.test_policy(request)).await
}

pub(super) async fn version() -> Response {
    document(Ok(VersionReply { version: env!("CARGO_PKG_VERSION").to_owned() }))
}

pub(super) async fn reports<O: Operations>(State(daemon): Daemon<O>, _: OwnView) -> Response {
    document(daemon.reports().await)
}

pub(super) async fn tunnel_keys<O: Operations>(
    State(daemon): Daemon<O>,
    how: Consistency,
) -> Response {
    agreed(&*daemon, how, daemon.tunnel_keys()).await
}

pub(super) async fn snapshots<O: Operations>(State(daemon): Daemon<O>, _: OwnView) -> Response {
    document(daemon.snapshots().await)
}

pub(super) async fn backups<O: Operations>(State(daemon): Daemon<O>, _: OwnView) -> Response {
    document(daemon.backups().await)
}

pub(super) async fn admins<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.admins()).await
}

pub(super) async fn ping<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<PingRequest>,
) -> Result<Response, Problem> {
    check_timeout("timeout_ms", request.timeout_ms)?;
    Ok(document(daemon.ping(request).await))
}

pub(super) async fn wait<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<WaitRequest>,
) -> Result<Response, Problem> {
    check_timeout("timeout_ms", request.timeout_ms)?;
    Ok(document(daemon.wait(request).await))
}
