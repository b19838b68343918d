//! The epoch this host is in, in the words of the local API.

use mesh_control::raft::{Aside, EpochStatus, Obstacle};
use mesh_control::state::CrossingError;
use mesh_model::api::v1::{EpochInfo, ErrorBody, ErrorCode, SetAside};

use super::refusal::refusal;

/// What there is to say; `None` in the epoch that the mesh began with, as long as nobody knows of another.
pub(super) fn told(epoch: &EpochStatus) -> Option<EpochInfo> {
    if epoch.id.number == 0 && epoch.obstacle.is_none() {
        return None;
    }
    Some(EpochInfo {
        number: epoch.id.number,
        head: epoch.id.head,
        set_aside: epoch.aside.map(set_aside),
        obstacle: epoch.obstacle.as_ref().map(obstacle),
        refused: epoch.refused,
    })
}

fn set_aside(aside: Aside) -> SetAside {
    let Aside { epoch, applied, last, contained } = aside;
    SetAside { epoch: epoch.number, applied, last, contained }
}

/// Why this host does not go over, and what people can do about it.
fn obstacle(obstacle: &Obstacle) -> ErrorBody {
    let Obstacle { epoch, named_by, why } = obstacle;
    let hint = match why {
        CrossingError::Rival { .. } => {
            "two parts of the mesh were recovered by themselves: decide which one goes on, and on each host of the other \
             `mesh leave --force` and join again with a fresh token (docs/recovery.md)"
        }
        CrossingError::NoMember(_) => {
            "this host came in by what was lost: `mesh leave --force`, and join again with a fresh token"
        }
        CrossingError::HasVoted(_) => {
            "this host runs on an old copy of its disk: `mesh leave --force`, and join again with a fresh token"
        }
        CrossingError::NotEntitled(_) => {
            "somebody who is no admin by what this host knows began an epoch: find out who, and ban the member that \
             brought it"
        }
        CrossingError::OtherMesh | CrossingError::NotLater(_) => {
            "that member is broken or hostile; nothing was changed here"
        }
    };
    let message =
        format!("{named_by} is in epoch {epoch}, and this host does not follow it: {why}");
    refusal(ErrorCode::Refused, message, hint)
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;
    use mesh_model::trust::{EpochHead, EpochId};

    use super::*;

    fn id(number: u64, byte: u8) -> EpochId {
        EpochId { number, head: EpochHead([byte; 32]) }
    }

    #[test]
    fn in_the_first_epoch_there_is_nothing_to_say() {
        let mut status = EpochStatus { id: id(0, 1), aside: None, refused: 0, obstacle: None };
        assert_eq!(told(&status), None);
        status.id.number = 1;
        assert_eq!(told(&status).map(|told| told.number), Some(1));
    }

    #[test]
    fn rivals_are_named_with_what_to_do() {
        let why = CrossingError::Rival { ours: id(1, 0xaa), theirs: id(1, 0xbb) };
        let rival = Obstacle { epoch: id(1, 0xbb), named_by: MemberId(7), why };
        let status =
            EpochStatus { id: id(1, 0xaa), aside: None, refused: 3, obstacle: Some(rival) };
        let told = told(&status).expect("an alarm").obstacle.expect("an alarm");
        for part in ["m7", "aaaaaaaa", "bbbbbbbb"] {
            assert!(told.message.contains(part), "{told:?}");
        }
        assert!(told.hint.contains("docs/recovery.md"));
    }
}
