//! The operator's word on who votes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AdminStatement;
use crate::audit::Event;
use crate::id::{MemberId, MeshId};

/// The most members a policy has a wish about. Seven of them can vote; the rest of the room is for keeping others
/// out, such as all hosts of one site. At 10 bytes each, 2.5 kB of an entry.
pub const MAX_WISHES: usize = 256;

/// What the operator wants of one member. Of all others: nothing in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// It votes before others do, whenever it can.
    Always,
    /// It never votes.
    Never,
}

/// How many members shall vote: an odd number, because one more needs a larger majority and survives no
/// more failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoterTarget {
    /// No failure is survived.
    One,
    /// One is.
    Three,
    /// Two are.
    Five,
    /// Three are. More would cost each write more than another failure is likely.
    Seven,
}

impl VoterTarget {
    /// The target of `number` voters, if that can be one.
    pub fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            3 => Some(Self::Three),
            5 => Some(Self::Five),
            7 => Some(Self::Seven),
            _ => None,
        }
    }

    /// How many.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Three => 3,
            Self::Five => 5,
            Self::Seven => 7,
        }
    }
}

/// Who shall vote. Signed by an admin; the one with the highest serial counts, so nobody can bring an
/// earlier one back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterPolicy {
    /// The only mesh it is for.
    pub mesh: MeshId,
    /// Higher than that of every policy before it; the first is 1.
    pub serial: u64,
    /// How many, if there are so many; by the size of the mesh when absent.
    pub target: Option<VoterTarget>,
    /// Wishes about single members, at most [`MAX_WISHES`].
    pub wishes: BTreeMap<MemberId, Wish>,
}

crate::message!(VoterPolicy, "voter policy", version 1, limit 3072);

impl AdminStatement for VoterPolicy {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        Event::VotersSet { serial: self.serial }
    }
}
