//! What each part's failure means for the process: the number it ends with, and what the operator is told.

use std::fmt::Display;

use mesh_control::raft::{GroupError, GroupFailure, StoreError};

use crate::exit::{Exit, Reason};
use crate::io::disk::DiskError;
use crate::io::tun::TunError;
use crate::io::udp::BindError;
use crate::pipeline::PathError;

/// What a process ends with in which agreement has ended. Whether it ends at once is not said here.
pub(super) fn agreement_exit(failure: &GroupFailure) -> Exit {
    match failure {
        GroupFailure::Shutdown => Exit::clean(),
        GroupFailure::Store(error) => store_exit(error, error),
        GroupFailure::Bug(_) => Exit::because(Reason::Bug, failure)
            .meaning("this host can no longer take part in agreement")
            .remedy("start meshd again, and please report the line above"),
    }
}

/// What a process ends with whose store does not serve; `what` names it and the error.
pub(crate) fn store_exit(error: &StoreError, what: impl Display) -> Exit {
    let afresh = "move the state directory away and join again with a fresh token; the other members still have everything";
    match error {
        StoreError::Disk(_) | StoreError::Closed => Exit::because(Reason::Disk, what)
            .meaning("what this host is told can no longer be kept, so it promises nothing more")
            .remedy("mend the state directory's disk or make room on it, then restart meshd"),
        StoreError::Empty | StoreError::OtherMesh { .. } | StoreError::OtherMember { .. } => {
            Exit::because(Reason::Mismatch, what)
                .meaning("the store is not the one this identity voted with; voting with another could undo what was agreed")
                .remedy(afresh)
        }
        StoreError::OldCopy { .. } => Exit::because(Reason::Mismatch, what)
            .meaning("others count on what is missing here, so this host may not vote again as who it was")
            .remedy(afresh),
        StoreError::OtherVersion(_) => Exit::because(Reason::Environment, what)
            .meaning("nothing is damaged, and nothing was changed; this build does not understand it")
            .remedy("start the meshd that wrote it, or one that reads both: of the version next to it"),
        StoreError::Corrupt(_) | StoreError::Occupied | StoreError::Forged(_) => {
            Exit::because(Reason::Corrupt, what)
                .meaning("the agreed log on this host is damaged; nothing was changed")
                .remedy(afresh)
        }
    }
}

impl From<GroupError> for Exit {
    fn from(error: GroupError) -> Self {
        match &error {
            GroupError::Store(store) => store_exit(store, store),
            GroupError::Timing(_) | GroupError::Start(_) => Self::because(Reason::Bug, error),
        }
    }
}

impl From<TunError> for Exit {
    fn from(error: TunError) -> Self {
        Self::because(Reason::Environment, error)
    }
}

impl From<BindError> for Exit {
    fn from(error: BindError) -> Self {
        // The address is not there yet, or not any more: the service manager tries again.
        let reason = match error.source.kind() {
            std::io::ErrorKind::AddrNotAvailable => Reason::Lost,
            _ => Reason::Environment,
        };
        Self::because(reason, error)
            .meaning("without its one UDP port this host can reach nobody")
            .remedy("stop what uses the port, or choose another with `--listen`")
    }
}

impl From<DiskError> for Exit {
    fn from(error: DiskError) -> Self {
        Self::because(Reason::Disk, error)
            .meaning("the agreed log cannot be opened")
            .remedy("check the state directory's disk and permissions, then start meshd again")
    }
}

impl From<PathError> for Exit {
    fn from(error: PathError) -> Self {
        let reason = match &error {
            PathError::Start(_) => Reason::Environment,
            PathError::Tun(_) | PathError::Wait(_) => Reason::Lost,
            PathError::Vanished => Reason::Bug,
        };
        Self::because(reason, error)
            .meaning("this host can no longer carry packets")
            .remedy("start meshd again; if something else removes the interface, stop that")
    }
}

#[cfg(test)]
mod tests {
    use mesh_control::raft::{MemoryDisk, Start, Store};
    use mesh_model::MemberId;
    use mesh_model::codec::CodecError;

    use super::*;
    use crate::io::fixture::{genesis, root};

    #[test]
    fn each_failure_of_the_store_ends_with_the_code_of_the_contract() {
        let code = |error| store_exit(&error, &error).reason.code();
        assert_eq!(code(StoreError::Disk("no space".to_owned())), 74);
        assert_eq!(code(StoreError::Corrupt("bad page".to_owned())), 65);
        let newer = CodecError::Version { name: "log entry", found: 9, known: 1 };
        assert_eq!(code(newer.into()), 64);
        assert_eq!(code(StoreError::Empty), 66);
        assert_eq!(code(StoreError::OldCopy { ends: 3, signed: 9 }), 66);
        let other = StoreError::OtherMember { expected: MemberId(2), found: MemberId(3) };
        assert_eq!(code(other), 66);
        assert!(agreement_exit(&GroupFailure::Shutdown).is_clean());
        let disk = GroupFailure::Store(StoreError::Disk("no space".to_owned()));
        assert_eq!(agreement_exit(&disk).reason, Reason::Disk);
        assert_eq!(agreement_exit(&GroupFailure::Bug("halt".to_owned())).reason, Reason::Bug);
    }

    /// Where the two commit slots of redb's header say in which format the file is, and the formats on either side of ours.
    const FORMAT_AT: [usize; 2] = [64, 192];
    const OTHER_FORMATS: [u8; 2] = [2, 4];

    #[test]
    fn a_store_in_another_format_of_redb_is_refused_with_redbs_reason() {
        let disk = MemoryDisk::new();
        let start = Start::Genesis(genesis());
        drop(Store::create(disk.attach(), &root(), start).expect("an empty disk"));
        for format in OTHER_FORMATS {
            let mut bytes = disk.bytes();
            for at in FORMAT_AT {
                assert_eq!(bytes[at], 3, "ours");
                bytes[at] = format;
            }
            let other = MemoryDisk::holding(bytes);
            let opened = Store::open(other.attach(), MemberId::FOUNDER, &root()).map(drop);
            let exit = opened.map_err(|error| store_exit(&error, &error)).expect_err("refused");
            assert_eq!(exit.reason.code(), 65);
            let said = exit.to_string();
            assert!(said.contains("file format version"), "{said}");
            assert!(said.contains(&format!(" {format}\n")), "{said}");
        }
    }
}
