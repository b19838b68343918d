//! How an operation's answer goes back to the caller.

use std::future::Future;

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use mesh_model::api::v1::{Document, ErrorCode, Schema};
use serde::Serialize;

use crate::api::caller::Caller;
use crate::api::consistency::Consistency;
use crate::api::operations::{Answer, Operations};
use crate::api::problem::Problem;

/// The longest a caller may ask to wait for one answer, in milliseconds: an hour. A connection is a
/// bounded thing; who needs longer asks again.
const MAX_TIMEOUT_MS: u64 = 60 * 60 * 1000;

/// The answer as the bytes of a file.
pub(super) fn file(answer: Answer<Vec<u8>>) -> Response {
    match answer {
        Ok(bytes) => ([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The answer as a document.
pub(super) fn document<T: Schema + Serialize>(answer: Answer<T>) -> Response {
    match answer {
        Ok(body) => Json(Document::from(body)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The answer of `read`, which shows agreed state, with how new it is.
pub(super) async fn agreed<T: Schema + Serialize>(
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
pub(super) async fn change<T: Schema + Serialize + Send + 'static>(
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

pub(super) fn check_timeout(field: &str, timeout_ms: u64) -> Result<(), Problem> {
    if timeout_ms <= MAX_TIMEOUT_MS {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::BadRequest,
        format!("field `{field}`: {timeout_ms} is longer than an hour ({MAX_TIMEOUT_MS})"),
        "ask again when the time is up",
    ))
}
