//! What only [`Trusted`] callers may ask: what changes something, and what shows or signs more than everybody may have.

use axum::extract::State;
use axum::response::Response;
use mesh_model::api::v1::{
    BackupRequest, BanRequest, DraftRequest, InitRequest, InviteRequest, JoinRequest, LeaveRequest,
    PolicyRequest, RemoveRequest, ReportRequest, ResyncRequest, RevokeRequest, RotateKeysRequest,
    SnapshotDownload, SubmitRequest, SyncFromRequest, TagRequest, TokenRequest, TransferRequest,
    UnbanRequest, VoterTargetRequest, VoterWishRequest,
};

use super::Daemon;
use super::answering::{change, check_timeout, document, file};
use crate::api::body::Body;
use crate::api::caller::Trusted;
use crate::api::operations::Operations;
use crate::api::problem::Problem;

pub(super) async fn revoke_invite<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RevokeRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("revoke", caller, async move { daemon.revoke_invite(request).await }).await)
}

pub(super) async fn transfer<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<TransferRequest>,
) -> Response {
    change("transfer", caller, async move { daemon.transfer(request).await }).await
}

pub(super) async fn resync<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<ResyncRequest>,
) -> Response {
    change("resync", caller, async move { daemon.resync(request).await }).await
}

pub(super) async fn sync_fast<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
) -> Response {
    change("sync fast", caller, async move { daemon.sync_fast().await }).await
}

pub(super) async fn sync_from<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SyncFromRequest>,
) -> Response {
    change("sync from", caller, async move { daemon.sync_from(request).await }).await
}

pub(super) async fn set_voter_target<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<VoterTargetRequest>,
) -> Response {
    change("voter target", caller, async move { daemon.set_voter_target(request).await }).await
}

pub(super) async fn set_voter_wish<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<VoterWishRequest>,
) -> Response {
    change("voter wish", caller, async move { daemon.set_voter_wish(request).await }).await
}

pub(super) async fn tag<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<TagRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("tag", caller, async move { daemon.tag(request).await }).await)
}

pub(super) async fn set_policy<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<PolicyRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("policy", caller, async move { daemon.set_policy(request).await }).await)
}

pub(super) async fn init<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<InitRequest>,
) -> Response {
    change("init", caller, async move { daemon.init(request).await }).await
}

pub(super) async fn invite<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<InviteRequest>,
) -> Response {
    change("invite", caller, async move { daemon.invite(request).await }).await
}

/// Changes nothing, but is half of a secret: for those who may make one.
pub(super) async fn token_parts<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(_): Trusted,
    Body(request): Body<TokenRequest>,
) -> Response {
    document(daemon.token_parts(request).await)
}

pub(super) async fn join<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<JoinRequest>,
) -> Response {
    change("join", caller, async move { daemon.join(request).await }).await
}

pub(super) async fn leave<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<LeaveRequest>,
) -> Response {
    change("leave", caller, async move { daemon.leave(request).await }).await
}

pub(super) async fn ban<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<BanRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("ban", caller, async move { daemon.ban(request).await }).await)
}

pub(super) async fn unban<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<UnbanRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("unban", caller, async move { daemon.unban(request).await }).await)
}

pub(super) async fn remove<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RemoveRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("remove", caller, async move { daemon.remove(request).await }).await)
}

pub(super) async fn report<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<ReportRequest>,
) -> Response {
    change("report", caller, async move { daemon.report(request).await }).await
}

pub(super) async fn rotate_keys<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RotateKeysRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("key rotation", caller, async move { daemon.rotate_keys(request).await }).await)
}

pub(super) async fn make_snapshot<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
) -> Response {
    change("snapshot", caller, async move { daemon.make_snapshot().await }).await
}

/// Everything agreed at once, which is more than the other documents show: not for everybody.
pub(super) async fn snapshot_file<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SnapshotDownload>,
) -> Response {
    tracing::info!(what = "snapshot download", %caller, "asked for");
    file(daemon.snapshot_file(request).await)
}

/// Has this host's keys in it. They are encrypted for whoever the caller names, so the caller is to be trusted with them.
pub(super) async fn make_backup<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<BackupRequest>,
) -> Response {
    tracing::info!(what = "backup", %caller, "asked for");
    file(daemon.make_backup(request).await)
}

/// Changes nothing, but may sign.
pub(super) async fn draft<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<DraftRequest>,
) -> Response {
    change("draft", caller, async move { daemon.draft(request).await }).await
}

pub(super) async fn submit<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SubmitRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("submit", caller, async move { daemon.submit(request).await }).await)
}
