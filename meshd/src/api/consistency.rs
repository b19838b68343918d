//! How new an answer has to be: `?consistent` after a route that reads.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use mesh_model::api::v1::{CONSISTENT, ErrorCode};

use super::problem::Problem;

/// Whether what is agreed now is wanted, instead of what this host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Consistency(pub(super) bool);

/// For a route that shows what this host alone knows: there is nothing agreed to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnView;

impl<S: Sync> FromRequestParts<S> for OwnView {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Consistency::from_request_parts(parts, state).await? {
            Consistency(false) => Ok(Self),
            Consistency(true) => Err(Problem::new(
                ErrorCode::BadRequest,
                "this shows what this host alone knows, which nobody has agreed on",
                "ask without `--consistent`",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Consistency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query().unwrap_or_default() {
            "" => Ok(Self(false)),
            query if query == CONSISTENT => Ok(Self(true)),
            query => Err(Problem::new(
                ErrorCode::BadRequest,
                format!("`?{query}` means nothing here"),
                format!("`?{CONSISTENT}` asks for what is agreed now"),
            )),
        }
    }
}
