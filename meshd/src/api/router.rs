//! The routes.
//!
//! `GET` reads and everybody may. `POST` acts, and only [`Trusted`] callers may, except `ping`,
//! `wait` and the questions about a policy, which change nothing. A change that has begun runs to its end even when the caller goes away:
//! half a join is worse than one nobody heard of.

use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mesh_model::api::v1::{
    BackupRequest, BanRequest, Document, DraftRequest, ErrorCode, InitRequest, InviteRequest,
    JoinRequest, LeaveRequest, PingRequest, PolicyPreviewRequest, PolicyRequest, PolicyTestRequest,
    RemoveRequest, ReportRequest, ResyncRequest, RevokeRequest, RotateKeysRequest, Schema,
    SnapshotDownload, SubmitRequest, SyncFromRequest, TagRequest, TokenRequest, TransferRequest,
    UnbanRequest, VersionReply, VoterTargetRequest, VoterWishRequest, WaitRequest, route,
};
use serde::Serialize;

use super::body::Body;
use super::caller::{Caller, Trusted};
use super::consistency::Consistency;
use super::operations::{Answer, Operations};
use super::problem::Problem;

/// The longest a caller may ask to wait for one answer, in milliseconds: an hour. A connection is a
/// bounded thing; who needs longer asks again.
const MAX_TIMEOUT_MS: u64 = 60 * 60 * 1000;

/// The router over `operations`.
pub(super) fn router<O: Operations>(operations: Arc<O>) -> Router {
    Router::new()
        .route(route::STATUS, get(status::<O>))
        .route(route::PEERS, get(peers::<O>))
        .route(route::TUNNELS, get(tunnels::<O>))
        .route(route::SUPERVISOR, get(supervisor::<O>))
        .route(route::AUDIT, get(audit::<O>))
        .route(route::SUPERVISOR_HISTORY, get(supervisor_history::<O>))
        .route(route::SUPERVISOR_TRANSFER, post(transfer::<O>))
        .route(route::SYNC, get(sync::<O>))
        .route(route::SYNC_RESYNC, post(resync::<O>))
        .route(route::SYNC_FAST, post(sync_fast::<O>))
        .route(route::SYNC_FROM, post(sync_from::<O>))
        .route(route::VOTERS, get(voters::<O>))
        .route(route::VOTERS_TARGET, post(set_voter_target::<O>))
        .route(route::VOTERS_WISH, post(set_voter_wish::<O>))
        .route(route::TAGS, get(tags::<O>).post(tag::<O>))
        .route(route::POLICY, get(policy::<O>).post(set_policy::<O>))
        .route(route::POLICY_HISTORY, get(policy_history::<O>))
        .route(route::POLICY_PREVIEW, post(preview_policy::<O>))
        .route(route::POLICY_TEST, post(test_policy::<O>))
        .route(route::VERSION, get(version))
        .route(route::INIT, post(init::<O>))
        .route(route::INVITES, get(invites::<O>).post(invite::<O>))
        .route(route::INVITES_REVOKE, post(revoke_invite::<O>))
        .route(route::INVITES_TOKEN, post(token_parts::<O>))
        .route(route::JOIN, post(join::<O>))
        .route(route::LEAVE, post(leave::<O>))
        .route(route::BANS, get(bans::<O>).post(ban::<O>))
        .route(route::UNBAN, post(unban::<O>))
        .route(route::REMOVE, post(remove::<O>))
        .route(route::REPORTS, get(reports::<O>).post(report::<O>))
        .route(route::KEYS, get(tunnel_keys::<O>))
        .route(route::KEYS_ROTATE, post(rotate_keys::<O>))
        .route(route::SNAPSHOTS, get(snapshots::<O>).post(make_snapshot::<O>))
        .route(route::SNAPSHOTS_DOWNLOAD, post(snapshot_file::<O>))
        .route(route::BACKUPS, get(backups::<O>).post(make_backup::<O>))
        .route(route::ADMINS, get(admins::<O>))
        .route(route::REQUESTS, post(draft::<O>))
        .route(route::REQUESTS_SUBMIT, post(submit::<O>))
        .route(route::PING, post(ping::<O>))
        .route(route::WAIT, post(wait::<O>))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(operations)
}

type Daemon<O> = State<Arc<O>>;

async fn status<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.status()).await
}

async fn peers<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.peers()).await
}

async fn tunnels<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.tunnels().await)
}

async fn supervisor<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.supervisor()).await
}

async fn invites<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.invites()).await
}

async fn revoke_invite<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RevokeRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("revoke", caller, async move { daemon.revoke_invite(request).await }).await)
}

async fn bans<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.bans()).await
}

async fn audit<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.audit()).await
}

async fn supervisor_history<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.supervisor_history().await)
}

async fn transfer<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<TransferRequest>,
) -> Response {
    change("transfer", caller, async move { daemon.transfer(request).await }).await
}

async fn sync<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.sync().await)
}

async fn resync<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<ResyncRequest>,
) -> Response {
    change("resync", caller, async move { daemon.resync(request).await }).await
}

async fn sync_fast<O: Operations>(State(daemon): Daemon<O>, Trusted(caller): Trusted) -> Response {
    change("sync fast", caller, async move { daemon.sync_fast().await }).await
}

async fn sync_from<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SyncFromRequest>,
) -> Response {
    change("sync from", caller, async move { daemon.sync_from(request).await }).await
}

async fn voters<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.voters()).await
}

async fn set_voter_target<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<VoterTargetRequest>,
) -> Response {
    change("voter target", caller, async move { daemon.set_voter_target(request).await }).await
}

async fn set_voter_wish<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<VoterWishRequest>,
) -> Response {
    change("voter wish", caller, async move { daemon.set_voter_wish(request).await }).await
}

async fn tags<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.tags()).await
}

async fn tag<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<TagRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("tag", caller, async move { daemon.tag(request).await }).await)
}

async fn policy<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.policy()).await
}

async fn policy_history<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.policy_history()).await
}

async fn set_policy<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<PolicyRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("policy", caller, async move { daemon.set_policy(request).await }).await)
}

async fn preview_policy<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<PolicyPreviewRequest>,
) -> Response {
    document(daemon.preview_policy(request).await)
}

async fn test_policy<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<PolicyTestRequest>,
) -> Response {
    document(daemon.test_policy(request).await)
}

async fn version() -> Response {
    document(Ok(VersionReply { version: env!("CARGO_PKG_VERSION").to_owned() }))
}

async fn init<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<InitRequest>,
) -> Response {
    change("init", caller, async move { daemon.init(request).await }).await
}

async fn invite<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<InviteRequest>,
) -> Response {
    change("invite", caller, async move { daemon.invite(request).await }).await
}

/// Changes nothing, but is half of a secret: for those who may make one.
async fn token_parts<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(_): Trusted,
    Body(request): Body<TokenRequest>,
) -> Response {
    document(daemon.token_parts(request).await)
}

async fn join<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<JoinRequest>,
) -> Response {
    change("join", caller, async move { daemon.join(request).await }).await
}

async fn leave<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<LeaveRequest>,
) -> Response {
    change("leave", caller, async move { daemon.leave(request).await }).await
}

async fn ban<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<BanRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("ban", caller, async move { daemon.ban(request).await }).await)
}

async fn unban<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<UnbanRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("unban", caller, async move { daemon.unban(request).await }).await)
}

async fn remove<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RemoveRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("remove", caller, async move { daemon.remove(request).await }).await)
}

async fn report<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<ReportRequest>,
) -> Response {
    change("report", caller, async move { daemon.report(request).await }).await
}

async fn reports<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.reports().await)
}

async fn tunnel_keys<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.tunnel_keys()).await
}

async fn rotate_keys<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<RotateKeysRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("key rotation", caller, async move { daemon.rotate_keys(request).await }).await)
}

async fn snapshots<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.snapshots().await)
}

async fn make_snapshot<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
) -> Response {
    change("snapshot", caller, async move { daemon.make_snapshot().await }).await
}

/// Everything agreed at once, which is more than the other documents show: not for everybody.
async fn snapshot_file<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SnapshotDownload>,
) -> Response {
    tracing::info!(what = "snapshot download", %caller, "asked for");
    file(daemon.snapshot_file(request).await)
}

async fn backups<O: Operations>(State(daemon): Daemon<O>) -> Response {
    document(daemon.backups().await)
}

/// Has this host's keys in it. They are encrypted for whoever the caller names, so the caller is to be trusted with them.
async fn make_backup<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<BackupRequest>,
) -> Response {
    tracing::info!(what = "backup", %caller, "asked for");
    file(daemon.make_backup(request).await)
}

async fn admins<O: Operations>(State(daemon): Daemon<O>, how: Consistency) -> Response {
    agreed(&*daemon, how, daemon.admins()).await
}

/// Changes nothing, but may sign.
async fn draft<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<DraftRequest>,
) -> Response {
    change("draft", caller, async move { daemon.draft(request).await }).await
}

async fn submit<O: Operations>(
    State(daemon): Daemon<O>,
    Trusted(caller): Trusted,
    Body(request): Body<SubmitRequest>,
) -> Result<Response, Problem> {
    check_timeout("wait_ms", request.wait_ms.unwrap_or(0))?;
    Ok(change("submit", caller, async move { daemon.submit(request).await }).await)
}

async fn ping<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<PingRequest>,
) -> Result<Response, Problem> {
    check_timeout("timeout_ms", request.timeout_ms)?;
    Ok(document(daemon.ping(request).await))
}

async fn wait<O: Operations>(
    State(daemon): Daemon<O>,
    Body(request): Body<WaitRequest>,
) -> Result<Response, Problem> {
    check_timeout("timeout_ms", request.timeout_ms)?;
    Ok(document(daemon.wait(request).await))
}

/// The answer as the bytes of a file.
fn file(answer: Answer<Vec<u8>>) -> Response {
    match answer {
        Ok(bytes) => ([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The answer as a document.
fn document<T: Schema + Serialize>(answer: Answer<T>) -> Response {
    match answer {
        Ok(body) => Json(Document::from(body)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The answer of `read`, which shows agreed state, with how new it is.
async fn agreed<T: Schema + Serialize>(
    daemon: &impl Operations,
    Consistency(consistent): Consistency,
    read: impl Future<Output = Answer<T>>,
) -> Response {
    match daemon.as_of(consistent).await {
        Ok(as_of) => match read.await {
            Ok(body) => Json(Document { as_of, ..Document::from(body) }).into_response(),
            Err(error) => Problem::from(error).into_response(),
        },
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Carries out a change to its end and writes down who asked for it.
async fn change<T: Schema + Serialize + Send + 'static>(
    what: &'static str,
    caller: Caller,
    act: impl Future<Output = Answer<T>> + Send + 'static,
) -> Response {
    tracing::info!(what, %caller, "change asked for");
    let task = tokio::spawn(async move {
        let answer = act.await;
        match &answer {
            Ok(_) => tracing::info!(what, %caller, "change made"),
            Err(error) => {
                tracing::info!(what, %caller, code = ?error.code, error = error.message, "change refused");
            }
        }
        answer
    });
    match task.await {
        Ok(answer) => document(answer),
        // Only while the runtime shuts down: a panic ends the process.
        Err(_) => {
            Problem::new(ErrorCode::Unreachable, "the daemon is shutting down", "").into_response()
        }
    }
}

fn check_timeout(field: &str, timeout_ms: u64) -> Result<(), Problem> {
    if timeout_ms <= MAX_TIMEOUT_MS {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::BadRequest,
        format!("field `{field}`: {timeout_ms} is longer than an hour ({MAX_TIMEOUT_MS})"),
        "ask again when the time is up",
    ))
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(
        ErrorCode::BadRequest,
        format!("there is nothing at `{}`", uri.path()),
        format!("the API is version 1; `{}` is a place to start", route::STATUS),
    )
    .with_status(StatusCode::NOT_FOUND)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        ErrorCode::BadRequest,
        format!("`{}` does not answer {method}", uri.path()),
        "reading is GET, acting is POST",
    )
    .with_status(StatusCode::METHOD_NOT_ALLOWED)
}
