//! A member whose disk has failed while it ran or is an old copy, or whose mesh has gone on to a version it does not understand.
//!
//! Agreement on this host has ended, and what it was last told is all it knows: it votes no more, acknowledges
//! nothing, admits nobody and refuses every change. What needs no disk goes on: tunnels by the last view,
//! gossip, the local API. That lasts until the process ends, with the disk's exit code however it was asked to;
//! a new one opens the store afresh and learns from the others what it missed; on an old copy there is none.
//!
//! One that was left behind is much the same, but for the end: nothing has ended, and it follows again as soon as it
//! understands its leader.
//!
//! Nothing is remembered here. That agreement has ended, and why, is the group's to say.

use mesh_control::raft::{Aftermath, Group, GroupFailure};
use mesh_model::api::v1::{ErrorBody, ErrorCode};
use mesh_model::codec::CodecError;

use super::Mesh;
use super::ending::agreement_exit;
use super::refusal::{internal, refusal};
use crate::exit::Exit;

/// Waits for an end of agreement that the process cannot outlive. One that it can is told to the log, once.
pub(super) async fn unfit(group: &Group) -> Exit {
    let failure = group.failed().await;
    match Aftermath::of(&failure) {
        Aftermath::Unfit => return agreement_exit(&failure),
        Aftermath::Degraded => {
            let ErrorBody { message, hint, .. } = told(&failure);
            tracing::error!(error = message, hint, "degraded: agreement on this host has ended");
        }
        Aftermath::Over => {}
    }
    std::future::pending().await
}

impl Mesh {
    /// Why this host takes no part in agreement, if its disk has failed or the mesh has gone on to a newer version.
    pub(super) fn degraded(&self) -> Option<ErrorBody> {
        let failed = self.survived().as_ref().map(told);
        failed.or_else(|| self.group.outdated().as_ref().map(left_behind))
    }

    /// Why `what` is not possible here, if that will not change by itself: as [degraded](Self::degraded), or because the
    /// process is about to end over a bug.
    pub(super) fn without_agreement(&self, what: &str) -> Option<ErrorBody> {
        let unfit = |failure: &GroupFailure| Aftermath::of(failure) == Aftermath::Unfit;
        let bug = || self.group.fatal().filter(unfit).map(internal);
        let told = self.degraded().or_else(bug)?;
        Some(ErrorBody {
            message: format!("{what} is not possible here: {}", told.message),
            ..told
        })
    }

    /// How the process ends that was asked to end with `exit`: a disk that failed is not forgotten.
    pub(super) fn end_of_process(&self, exit: Exit) -> Exit {
        match self.survived() {
            Some(failure) if exit.is_clean() => agreement_exit(&failure),
            _ => exit,
        }
    }

    /// What ended agreement without ending the process.
    fn survived(&self) -> Option<GroupFailure> {
        self.group.fatal().filter(|failure| Aftermath::of(failure) == Aftermath::Degraded)
    }
}

/// What the local API says while this host's voters speak a newer version.
fn left_behind(unread: &CodecError) -> ErrorBody {
    refusal(
        ErrorCode::Outdated,
        format!(
            "the mesh has gone on to a version this build does not understand ({unread}); this host does not vote and \
             hears of no change, bans included; its tunnels go on by what it knew before"
        ),
        "install the version of meshd that the others run, and restart it; it catches up",
    )
}

/// `failure` as the local API and the log tell it.
fn told(failure: &GroupFailure) -> ErrorBody {
    let exit = agreement_exit(failure);
    refusal(
        ErrorCode::Disk,
        format!(
            "{failure}; this host takes no part in agreement any more and hears of no change, bans included; \
             its tunnels go on by what it knew before"
        ),
        exit.advice(),
    )
}

#[cfg(test)]
mod tests {
    use mesh_control::raft::StoreError;

    use super::*;

    #[test]
    fn a_failed_disk_is_told_with_what_it_means_and_what_to_do() {
        let body = told(&GroupFailure::Store(StoreError::Disk("no space left".to_owned())));
        assert_eq!(body.code, ErrorCode::Disk);
        for part in ["no space left", "no part in agreement", "bans included", "tunnels go on"] {
            assert!(body.message.contains(part), "{body:?}");
        }
        assert_eq!(
            body.hint,
            "mend the state directory's disk or make room on it, then restart meshd"
        );
    }

    #[test]
    fn a_host_that_was_left_behind_is_told_to_be_upgraded() {
        let newer = CodecError::Version { name: "agreement request", found: 2, known: 1 };
        let body = left_behind(&newer);
        assert_eq!(body.code, ErrorCode::Outdated);
        for part in ["version 2", "does not vote", "bans included", "tunnels go on"] {
            assert!(body.message.contains(part), "{body:?}");
        }
        assert!(body.hint.contains("install"), "{body:?}");
    }

    #[test]
    fn a_damaged_store_is_told_not_to_be_started_on_again() {
        let body = told(&GroupFailure::Store(StoreError::Corrupt("bad page".to_owned())));
        assert!(body.hint.contains("join again"), "{body:?}");
    }
}
