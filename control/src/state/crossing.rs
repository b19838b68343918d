//! Whether a host that knows one epoch goes over to a later one.
//!
//! ```text
//! ours    ──0── ... ──105──106──107                 what this host has applied
//! later   ──0── ... ──105 │ epoch 1: 1000105 ──>    what another shows, which holds from the root key up
//! ```
//!
//! That `later` holds says that those who were admins *by it* began the epoch. That is not enough: somebody who was
//! removed as an admin, and has an old state in which it is one still, could begin an epoch there and have its time again.
//! So a host that knows of changes of admins which the later epoch has lost asks that those who are admins by its own
//! knowledge signed. One that knows less than the later epoch learns of the changes with it, each signed.
//!
//! Nothing is asked of the rest of what this host had applied: that it may be lost is what the admins signed.

use mesh_model::trust::EpochId;
use mesh_model::{Fault, MemberId};

use super::State;
use super::epochs::EpochError;

/// Why a host does not go over to another epoch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrossingError {
    /// It is of another mesh.
    #[error("it is of another mesh")]
    OtherMesh,
    /// It is the epoch this host is in, or one before it.
    #[error("it is of epoch {0}, which is not later than this host's")]
    NotLater(EpochId),
    /// Two epochs follow the same one: people recovered two parts of the mesh by themselves.
    #[error(
        "epoch {theirs} and epoch {ours}, which this host is in or came by, were both begun after the same one"
    )]
    Rival {
        /// The one this host knows.
        ours: EpochId,
        /// The other.
        theirs: EpochId,
    },
    /// By what this host knows, those who began it were not entitled to.
    #[error("by what this host knows it was not for its signers to begin: {0}")]
    NotEntitled(#[from] EpochError),
    /// This host has no place in it.
    #[error("{0} has no place in the mesh in that epoch: it was let in by what was lost")]
    NoMember(MemberId),
    /// This host has a vote in it, and does not know what it did with it.
    #[error("{0} has voted in that epoch, and its store is from before it")]
    HasVoted(MemberId),
}

impl CrossingError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoMember(_) | Self::HasVoted(_) => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

impl State {
    /// Whether `me`, which holds this state, is to go over to `later`, which [holds](State::verify).
    pub fn check_crossing(&self, later: &Self, me: MemberId) -> Result<(), CrossingError> {
        if later.founding != self.founding {
            return Err(CrossingError::OtherMesh);
        }
        let ours = self.epochs.ids(&self.founding.signed);
        let theirs: Vec<EpochId> = later.epochs.ids(&later.founding.signed).collect();
        let parted = ours.zip(&theirs).find(|(ours, theirs)| ours != *theirs);
        if let Some((ours, theirs)) = parted {
            self.check_entitled(later, theirs.number)?;
            return Err(CrossingError::Rival { ours, theirs: *theirs });
        }
        let next = self.epoch().number + 1;
        if later.epoch().number < next {
            return Err(CrossingError::NotLater(later.epoch()));
        }
        self.check_entitled(later, next)?;
        let identity =
            |state: &Self| state.members.present().get(&me).map(|member| member.record().identity);
        if identity(later).is_none() || identity(later) != identity(self) {
            return Err(CrossingError::NoMember(me));
        }
        match later.has_voted(me) {
            true => Err(CrossingError::HasVoted(me)),
            false => Ok(()),
        }
    }

    /// Whether those who began epoch `number` of `later` were entitled to by what this state knows.
    fn check_entitled(&self, later: &Self, number: u64) -> Result<(), EpochError> {
        let Some(begun) = later.epochs.get(number) else { return Ok(()) };
        let said = begun.peek().map_err(mesh_model::signed::SignedError::from)?;
        match later.admins.before(said.first).came_of(self.admins.head()) {
            // It knows of every change that this state knows of, and was checked by them.
            true => Ok(()),
            false => self.admins.entitle(begun).map(drop),
        }
    }
}
