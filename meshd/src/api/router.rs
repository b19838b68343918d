//! The routes.
//!
//! `GET` reads and everybody may. `POST` acts, and only [`Trusted`](super::caller::Trusted) callers may, except `ping`,
//! `wait` and the questions about a policy, which change nothing. A change that has begun runs to its end even when the caller goes away:
//! half a join is worse than one nobody heard of.
//!
//! This file says what is where; [`reading`] is for everybody, [`acting`] for those that are trusted, and [`answering`] takes
//! what they bring back to the caller.

mod acting;
mod answering;
mod reading;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use mesh_model::api::v1::{ErrorCode, route};

use super::operations::Operations;
use super::problem::Problem;

type Daemon<O> = State<Arc<O>>;

/// The router over `operations`.
pub(super) fn router<O: Operations>(operations: Arc<O>) -> Router {
    Router::new()
        .route(route::STATUS, get(reading::status::<O>))
        .route(route::PEERS, get(reading::peers::<O>))
        .route(route::TUNNELS, get(reading::tunnels::<O>))
        .route(route::SUPERVISOR, get(reading::supervisor::<O>))
        .route(route::AUDIT, get(reading::audit::<O>))
        .route(route::SUPERVISOR_HISTORY, get(reading::supervisor_history::<O>))
        .route(route::SUPERVISOR_TRANSFER, post(acting::transfer::<O>))
        .route(route::SYNC, get(reading::sync::<O>))
        .route(route::SYNC_RESYNC, post(acting::resync::<O>))
        .route(route::SYNC_FAST, post(acting::sync_fast::<O>))
        .route(route::SYNC_FROM, post(acting::sync_from::<O>))
        .route(route::VOTERS, get(reading::voters::<O>))
        .route(route::VOTERS_TARGET, post(acting::set_voter_target::<O>))
        .route(route::VOTERS_WISH, post(acting::set_voter_wish::<O>))
        .route(route::TAGS, get(reading::tags::<O>).post(acting::tag::<O>))
        .route(route::POLICY, get(reading::policy::<O>).post(acting::set_policy::<O>))
        .route(route::POLICY_HISTORY, get(reading::policy_history::<O>))
        .route(route::POLICY_PREVIEW, post(reading::preview_policy::<O>))
        .route(route::POLICY_TEST, post(reading::test_policy::<O>))
        .route(route::VERSION, get(reading::version))
        .route(route::INIT, post(acting::init::<O>))
        .route(route::INVITES, get(reading::invites::<O>).post(acting::invite::<O>))
        .route(route::INVITES_REVOKE, post(acting::revoke_invite::<O>))
        .route(route::INVITES_TOKEN, post(acting::token_parts::<O>))
        .route(route::JOIN, post(acting::join::<O>))
        .route(route::LEAVE, post(acting::leave::<O>))
        .route(route::BANS, get(reading::bans::<O>).post(acting::ban::<O>))
        .route(route::UNBAN, post(acting::unban::<O>))
        .route(route::REMOVE, post(acting::remove::<O>))
        .route(route::REPORTS, get(reading::reports::<O>).post(acting::report::<O>))
        .route(route::KEYS, get(reading::tunnel_keys::<O>))
        .route(route::KEYS_ROTATE, post(acting::rotate_keys::<O>))
        .route(route::SNAPSHOTS, get(reading::snapshots::<O>).post(acting::make_snapshot::<O>))
        .route(route::SNAPSHOTS_DOWNLOAD, post(acting::snapshot_file::<O>))
        .route(route::BACKUPS, get(reading::backups::<O>).post(acting::make_backup::<O>))
        .route(route::ADMINS, get(reading::admins::<O>))
        .route(route::REQUESTS, post(acting::draft::<O>))
        .route(route::REQUESTS_SUBMIT, post(acting::submit::<O>))
        .route(route::PING, post(reading::ping::<O>))
        .route(route::WAIT, post(reading::wait::<O>))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(operations)
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
