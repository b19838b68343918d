//! Errors on the wire: the HTTP status says the kind, the document the rest.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mesh_model::api::v1::{ErrorBody, ErrorCode, ErrorDocument};

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: ErrorBody,
}

impl Problem {
    /// One with the status that goes with `code`.
    pub(super) fn new(code: ErrorCode, message: impl ToString, hint: impl ToString) -> Self {
        let (message, hint) = (message.to_string(), hint.to_string());
        ErrorBody { code, message, hint, missing: Vec::new() }.into()
    }

    /// The same with a status that says more than its code does.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl From<ErrorBody> for Problem {
    fn from(body: ErrorBody) -> Self {
        Self { status: status_of(body.code), body }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorDocument { error: self.body })).into_response()
    }
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::NotPermitted | ErrorCode::NotAdmin => StatusCode::FORBIDDEN,
        ErrorCode::UnknownMember => StatusCode::NOT_FOUND,
        ErrorCode::NotJoined | ErrorCode::AlreadyJoined | ErrorCode::Refused => {
            StatusCode::CONFLICT
        }
        ErrorCode::NoQuorum | ErrorCode::Unreachable | ErrorCode::Outdated => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Disk | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
