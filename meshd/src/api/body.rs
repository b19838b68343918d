//! Request bodies: bounded in size and time, and every mistake named by its field.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use mesh_model::api::v1::{ErrorCode, MAX_REQUEST};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How long a caller may take to send its body. It comes from the same machine: a second is already a
/// caller that was stopped in the middle.
const BODY_TIME: Duration = Duration::from_secs(5);

/// A request's body as a `T`. An empty body counts as `{}`, for requests in which all is optional.
/// The content type does not matter: nothing but JSON is understood, and `curl -d` says otherwise.
pub(super) struct Body<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = tokio::time::timeout(BODY_TIME, read(request)).await.map_err(|_| {
            Problem::new(ErrorCode::BadRequest, "the request's body did not arrive", "")
                .with_status(StatusCode::REQUEST_TIMEOUT)
        })??;
        parse(&bytes).map(Self)
    }
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let body = request.into_body();
    let too_long = || {
        Problem::new(
            ErrorCode::BadRequest,
            format!("the request's body is longer than {MAX_REQUEST} bytes"),
            "",
        )
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    // A body that announces its length is refused before it is read.
    if body.size_hint().lower() > MAX_REQUEST as u64 {
        return Err(too_long());
    }
    let mut body = http_body_util::Limited::new(body, MAX_REQUEST);
    match http_body_util::BodyExt::collect(&mut body).await {
        Ok(bytes) => Ok(bytes.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Err(error) => Err(Problem::new(
            ErrorCode::BadRequest,
            format!("the request's body was cut off: {error}"),
            "",
        )),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let bad = |message: String| {
        Problem::new(
            ErrorCode::BadRequest,
            message,
            "correct it and send the request again; nothing was changed",
        )
    };
    // Serde would also take an array as the fields in their order; no caller should rely on an order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(bad("the request's body is not a JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let what = error.inner();
        if what.is_syntax() || what.is_eof() {
            bad(format!("the request's body is not valid JSON: {what}"))
        } else if path == "." {
            bad(format!("the request's body: {what}"))
        } else {
            bad(format!("field `{path}`: {what}"))
        }
    })?;
    json.end().map_err(|_| bad("the request's body goes on after its JSON document".to_owned()))?;
    Ok(value)
}
