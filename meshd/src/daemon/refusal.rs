//! Errors as the local API tells them: what happened, what it means, what to do.

use std::fmt::Display;

use mesh_control::command::Outcome;
use mesh_control::raft::ProposeError;
use mesh_model::api::v1::{ErrorBody, ErrorCode};

use crate::exit::{Exit, Reason};
use crate::io::agreement::EndpointError;
use crate::io::disk::DiskError;
use crate::io::tls::TlsError;
use crate::io::udp::BindError;
use crate::state_dir::StateDirError;
use mesh_control::raft::StoreError;

/// What every operation of the local API answers.
pub(crate) type Answer<T> = Result<T, ErrorBody>;

/// An error with a remedy.
pub(super) fn refusal(code: ErrorCode, message: impl Display, hint: impl Display) -> ErrorBody {
    let (message, hint) = (message.to_string(), hint.to_string());
    ErrorBody { code, message, hint, missing: Vec::new() }
}

/// The daemon belongs to no mesh.
pub(super) fn not_joined() -> ErrorBody {
    refusal(
        ErrorCode::NotJoined,
        "this host belongs to no mesh",
        "start one with `mesh init`, or join one with `mesh join`",
    )
}

/// The daemon belongs to a mesh already.
pub(super) fn already_joined(mesh_name: &str) -> ErrorBody {
    refusal(
        ErrorCode::AlreadyJoined,
        format!("this host is already a member of `{mesh_name}`"),
        "leave it first with `mesh leave`, or run a second daemon with its own state directory",
    )
}

/// The process is on its way out.
pub(super) fn ending() -> ErrorBody {
    refusal(ErrorCode::Unreachable, "the daemon is ending", "ask again once it has started anew")
}

/// A bug of ours, told rather than hidden.
pub(super) fn internal(message: impl Display) -> ErrorBody {
    refusal(
        ErrorCode::Internal,
        message,
        "this is a bug in meshd; its log says more, please report it",
    )
}

/// Agreement on this host has ended under `what`, and nothing has failed.
///
/// It is begun anew where a host goes over into an epoch or takes a promise back, which takes a moment, and ends with the
/// process.
pub(super) fn paused(what: &str) -> ErrorBody {
    refusal(
        ErrorCode::Unreachable,
        format!(
            "{what} is not possible at this moment: agreement on this host is about to begin anew, or the daemon to end"
        ),
        "try again in a moment",
    )
}

/// Why `what` was not agreed.
pub(super) fn not_agreed(what: &str, error: &ProposeError) -> ErrorBody {
    match error {
        ProposeError::NoQuorum | ProposeError::Timeout => refusal(
            ErrorCode::NoQuorum,
            format!("{what} needs the mesh's agreement, and that could not be had: {error}"),
            "traffic goes on without it; `mesh status` shows the voters, bring one back and try again",
        ),
        ProposeError::NoSuccessor(_) => refusal(
            ErrorCode::NoQuorum,
            format!("{what} is not possible yet: {error}"),
            "wait until another member is alive in `mesh peers`, and try again",
        ),
        ProposeError::LastMember(_) => refusal(
            ErrorCode::Refused,
            format!("{what} is refused: {error}"),
            "unban or invite another member first; to end the mesh, `mesh leave` there",
        ),
        ProposeError::Stopped => paused(what),
        ProposeError::HeldBack(_) => refusal(
            ErrorCode::Refused,
            format!("{what} has to wait: {error}"),
            "`mesh peers --format json` tells which build each member runs; upgrade those named, or remove them with `mesh remove`",
        ),
        ProposeError::Diverged(_) => refusal(
            ErrorCode::Refused,
            format!("{what} is refused: {error}"),
            "`mesh status` names who disagrees; ban the one that is broken or cheats with `mesh ban`, and try again",
        ),
    }
}

/// Why the mesh, asked for `what`, came to `outcome` instead.
pub(super) fn not_done(what: &str, outcome: &Outcome, hint: impl Display) -> ErrorBody {
    match outcome {
        Outcome::Refused(refused) => {
            refusal(ErrorCode::Refused, format!("the mesh refused: {refused}"), hint)
        }
        other => internal(format!("{what} came to {other:?}")),
    }
}

/// What this host failed at.
pub(super) fn failed(failure: impl Into<Failure>) -> ErrorBody {
    failure.into().0
}

/// A failure of this host, as the local API tells it.
pub(super) struct Failure(ErrorBody);

fn disk(error: impl Display) -> Failure {
    Failure(refusal(
        ErrorCode::Disk,
        error,
        "check the state directory's disk, its free space and its permissions",
    ))
}

impl From<StateDirError> for Failure {
    fn from(error: StateDirError) -> Self {
        disk(error)
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        disk(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        disk(error)
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self(refusal(
            ErrorCode::Unreachable,
            error,
            "choose another port with `meshd run --listen`",
        ))
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self(internal(error))
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        Self(internal(error))
    }
}

/// What would have ended a starting daemon is told to whoever asked a running one.
impl From<Exit> for Failure {
    fn from(exit: Exit) -> Self {
        let code = match exit.reason {
            Reason::Disk => ErrorCode::Disk,
            _ => ErrorCode::Internal,
        };
        Self(refusal(code, exit, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_agreement_begins_anew_is_no_bug_to_report() {
        let told = not_agreed("an invite", &ProposeError::Stopped);
        assert_eq!(
            (told.code, told.hint.as_str()),
            (ErrorCode::Unreachable, "try again in a moment")
        );
        assert!(told.message.starts_with("an invite is not possible at this moment"), "{told:?}");
    }
}
