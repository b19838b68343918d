//! Who is asking: the process at the other end of the socket, as the kernel vouches for it.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use mesh_model::api::v1::ErrorCode;

use super::problem::Problem;

/// The user and process at the other end of a connection (`SO_PEERCRED`, taken at `connect`: a
/// descriptor passed on keeps the rights of the one who opened it, as with files).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// Its user.
    pub(super) uid: u32,
    /// Its process, for the log; the number may be taken by another one later.
    pub(super) pid: Option<i32>,
    /// Whether it may change things.
    pub(super) may_change: bool,
}

impl Caller {
    /// The caller with these credentials, of a daemon that runs as `own_uid`: root and the daemon's
    /// own user could do everything to the daemon anyway, nobody else may change anything.
    pub(super) fn new(uid: u32, pid: Option<i32>, own_uid: u32) -> Self {
        Self { uid, pid, may_change: uid == 0 || uid == own_uid }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.uid)?;
        self.pid.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
    }
}

/// A caller that may change things. Comes before the body in a handler's arguments: who may not act is
/// told so before a byte of the body is read.
pub(super) struct Trusted(pub(super) Caller);

impl<S: Sync> FromRequestParts<S> for Trusted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Without credentials there are no rights: the server sets them on every connection.
        match parts.extensions.get::<Caller>() {
            Some(caller) if caller.may_change => Ok(Self(*caller)),
            other => {
                let who = other
                    .map_or("an unknown user".to_owned(), |caller| format!("user {}", caller.uid));
                Err(Problem::new(
                    ErrorCode::NotPermitted,
                    format!("{who} may look but not change anything"),
                    "run it as root, or as the user the daemon runs as",
                ))
            }
        }
    }
}
