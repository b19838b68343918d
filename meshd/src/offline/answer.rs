//! Errors of what is done offline, in the words of the local API.

use std::path::Path;

use mesh_control::raft::{CatchUpError, ExportError, StoreError};
use mesh_model::api::v1::{ErrorBody, ErrorCode};

use crate::config::ConfigError;
use crate::exit::{Exit, Reason};
use crate::io::disk::DiskError;
use crate::state_dir::StateDirError;

/// What every verb comes to.
pub(super) type Answer<T> = Result<T, ErrorBody>;

/// An error with a remedy.
pub(super) fn refusal(code: ErrorCode, message: impl ToString, hint: impl ToString) -> ErrorBody {
    let (message, hint) = (message.to_string(), hint.to_string());
    ErrorBody { code, message, hint, missing: Vec::new() }
}

/// What would have ended the daemon, told to whoever does its work by hand.
pub(super) fn failed(failure: impl Into<Exit>) -> ErrorBody {
    let exit = failure.into();
    let code = match exit.reason {
        Reason::Disk => ErrorCode::Disk,
        Reason::Usage => ErrorCode::BadRequest,
        Reason::Bug => ErrorCode::Internal,
        _ => ErrorCode::Refused,
    };
    refusal(code, exit.sentence(), exit.advice())
}

/// A state directory that cannot be used.
pub(super) fn unusable(error: StateDirError) -> ErrorBody {
    match &error {
        StateDirError::Locked { path, .. } => refusal(
            ErrorCode::Refused,
            format!("{error}; this is done while nobody runs on it"),
            format!("stop the daemon on {}, and start it again afterwards", path.display()),
        ),
        // Root need not be told; what is not the daemon's in a daemon's directory is something else.
        StateDirError::Denied { .. } | StateDirError::Foreign { .. }
            if !nix::unistd::geteuid().is_root() =>
        {
            let exit = Exit::from(error);
            refusal(ErrorCode::NotPermitted, exit.sentence(), "try again with sudo")
        }
        _ => failed(error),
    }
}

/// A configuration that cannot be used.
pub(super) fn misconfigured(error: ConfigError) -> ErrorBody {
    failed(error)
}

/// A store that cannot be used.
pub(super) fn store_failed(error: StoreError) -> ErrorBody {
    failed(crate::daemon::store_exit(&error, &error))
}

/// A file of the store that cannot be opened.
pub(super) fn disk_failed(error: DiskError) -> ErrorBody {
    failed(error)
}

/// `file`, which does not hold.
pub(super) fn unsound(file: &Path, error: &ExportError) -> ErrorBody {
    let hint = match error {
        ExportError::OtherMesh { .. } => "name the mesh it is of with --mesh, or use another file",
        ExportError::File(_) => "use another copy of it",
        ExportError::Inside(_) | ExportError::Claim(_) | ExportError::Checkpoint(_) => {
            "do not rely on it: it was altered, or made by a broken or hostile member; use another one"
        }
    };
    refusal(ErrorCode::Refused, format!("{}: {error}", file.display()), hint)
}

/// A snapshot that does not become this host's state.
pub(super) fn not_applied(error: CatchUpError) -> ErrorBody {
    let hint = match &error {
        CatchUpError::Store(error) => return store_failed(error.clone()),
        CatchUpError::Votes(_) => {
            "start the daemon: the supervisor sends it what it lacks; if no majority is left, a snapshot cannot \
             bring it back"
        }
        CatchUpError::NotAhead { .. } => {
            "nothing was changed; use a later snapshot if there is one"
        }
        CatchUpError::OtherMesh | CatchUpError::OtherPast { .. } => {
            "nothing was changed; compare state hashes at the same index before trusting either of the two"
        }
        CatchUpError::NoMember(_) => {
            "nothing was changed; move the state directory away and join with a fresh token"
        }
    };
    refusal(ErrorCode::Refused, error, hint)
}
