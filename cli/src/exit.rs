//! How a run ends: the exit codes of the contract, and failures told to people and to programs.

use std::borrow::Cow;
use std::process::ExitCode;

use mesh_model::api::v1::ErrorCode;
use serde::Serialize;
use serde_json::Value;

use crate::client::{ClientError, Refusal};

/// The exit codes of `mesh`. Scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The thing asked for failed.
    Failed = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// Nobody answers on the socket.
    Unreachable = 3,
    /// This user may not do it.
    NotPermitted = 4,
    /// No majority of voters could agree.
    NoQuorum = 5,
    /// It did not happen in time.
    TimedOut = 6,
    /// Ctrl-C. 128 + SIGINT, as shells count.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadRequest => Self::Usage,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::NoQuorum => Self::NoQuorum,
            ErrorCode::TimedOut => Self::TimedOut,
            ErrorCode::NotJoined
            | ErrorCode::AlreadyJoined
            | ErrorCode::UnknownMember
            | ErrorCode::Refused
            | ErrorCode::NotAdmin
            | ErrorCode::Unreachable
            | ErrorCode::Disk
            | ErrorCode::Internal
            | ErrorCode::Outdated => Self::Failed,
        }
    }
}

/// Why the verb was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Told(Told),
    /// Ctrl-C: whoever pressed it knows.
    Interrupted,
    /// Whoever read our output has stopped reading (`mesh peers | head -1`): not a failure.
    ReaderGone,
}

/// A failure in words. Its fields are those of the API's error document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// The exit code it leads to.
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// For programs: an [`ErrorCode`]'s name, or one of this program's own (see docs/cli.md).
    pub(crate) code: Cow<'static, str>,
    /// What happened and what it means.
    pub(crate) message: String,
    /// What to do about it; may be empty.
    pub(crate) hint: String,
    /// The members that were waited for in vain, as the daemon named them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<Value>,
}

impl Failure {
    /// A failure found by this program itself.
    pub(crate) fn new(
        exit: Exit,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Told(Told {
            exit,
            code: Cow::Borrowed(code),
            message: message.into(),
            hint: hint.into(),
            missing: Vec::new(),
        })
    }

    /// Wrong arguments.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message, "see `mesh --help`")
    }

    /// A write to standard output that failed.
    pub(crate) fn of_output(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        let message = format!("cannot write to standard output: {error}");
        Self::new(Exit::Failed, "output", message, "")
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        Self::Told(Told {
            exit: refusal.code.map_or(Exit::Failed, Exit::from),
            code: Cow::Owned(refusal.code_name),
            message,
            hint: refusal.hint,
            missing: refusal.missing,
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Interrupted => Self::Interrupted,
            ClientError::Refused(refusal) => refusal.into(),
            ClientError::Unreachable { .. } => Self::new(
                Exit::Unreachable,
                "daemon_unreachable",
                message,
                "start it with `systemctl start meshd` or `meshd run`, or name its socket with --socket",
            ),
            ClientError::HungUp { .. } => Self::new(
                Exit::Unreachable,
                "daemon_unreachable",
                message,
                "it may have stopped; look at its log, then at `mesh status` to see what took effect",
            ),
            ClientError::Forbidden { .. } => {
                Self::new(Exit::NotPermitted, "not_permitted", message, "try again with sudo")
            }
            ClientError::Silent { .. } => Self::new(
                Exit::TimedOut,
                "timed_out",
                message,
                "look at meshd's log, then at `mesh status` to see what took effect",
            ),
            ClientError::Garbled { .. } => Self::new(
                Exit::Failed,
                "bad_answer",
                message,
                "is it meshd that listens there, and of this version? `mesh version` tells",
            ),
            ClientError::Setup(_) => Self::new(Exit::Failed, "internal", message, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure_to_tell() {
        let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::of_output(&gone), Failure::ReaderGone));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(Failure::of_output(&full), Failure::Told(_)));
    }
}
