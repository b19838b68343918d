//! How a mesh goes on that has lost its majority: a new epoch of its log, begun by the word of its admins.
//!
//! ```text
//! epoch 0   genesis ──> 1 ──> 2 ── ... ──> 105 ──> 106 ──> 107      what the lost may have agreed on
//!                                           │
//!              admins sign "goes on from 105 as m1 has it"
//!                                           │
//! epoch 1                                   └──> 1000105 ──> 1000106 ──> ...
//! ```
//!
//! Within an epoch a majority of voters says what is agreed. Only admins can end one, because only people can know that
//! the others will not come back. A statement names the [head](EpochHead) it follows, so that two that were made at the
//! same time are seen to contradict each other, and what its log had led to, so that it is good for that log alone.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{Genesis, Reason};
use crate::cosigned::Cosigned;
use crate::id::{LogIndex, MemberId, MeshId, Term};
use crate::signed::Signed;
use crate::view::StateHash;

/// The most epochs in the life of a mesh. All statements are kept for good, as every member that was away has to be shown
/// those it missed; one a year makes a century, and 200 kB at the very most.
pub const MAX_EPOCHS: u64 = 100;

/// How many indexes of the log are left out between two epochs. Ids of members are indexes, and must not be given again to
/// others than those that a lost majority admitted meanwhile; and whoever has applied more than another by index shall
/// know more. As many entries as a busy mesh agrees on in days after the one that goes on was cut off.
pub const EPOCH_LEAP: u64 = 1_000_000;

/// The bits of a [`Term`] that count elections within an epoch: the others are the epoch's number.
const ELECTION_BITS: u32 = 40;

/// What stands for an epoch and all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochHead(pub [u8; 32]);

/// Text that is not such a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of an epoch: expected 64 hexadecimal digits in lower case")]
pub struct EpochHeadError;

impl EpochHead {
    /// That of the epoch that a mesh begins with.
    pub fn of_genesis(genesis: &Signed<Genesis>) -> Self {
        Self(blake3::derive_key("meshd v1 epoch of the genesis", genesis.payload()))
    }

    /// That of the epoch `begun` when this one was before it. Who signed does not matter, only what.
    pub fn after(&self, begun: &Cosigned<Epoch>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 epoch after another");
        // The head has a fixed length, so nothing can be moved over the border between the two.
        hasher.update(&self.0).update(begun.payload());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for EpochHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for EpochHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EpochHead {
    type Err = EpochHeadError;

    fn from_str(text: &str) -> Result<Self, EpochHeadError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| EpochHeadError)?;
        bytes.try_into().map(Self).map_err(|_| EpochHeadError)
    }
}

crate::codec::text_or_bytes!(EpochHead, 32);

/// Which epoch, and which of all that may claim its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochId {
    /// How many epochs came before it.
    pub number: u64,
    /// What tells it from another with this number.
    pub head: EpochHead,
}

impl EpochId {
    /// The term in which nobody was elected: its leader is the one that the admins named. Above every term of the epochs
    /// before.
    pub fn first_term(&self) -> Term {
        self.number << ELECTION_BITS
    }

    /// The number of the epoch that `term` is of, and how many elections there were in it.
    pub fn elections(term: Term) -> (u64, u64) {
        (term >> ELECTION_BITS, term & ((1 << ELECTION_BITS) - 1))
    }

    /// Whether `term` counts elections of this epoch.
    pub fn has_term(&self, term: Term) -> bool {
        Self::elections(term).0 == self.number
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight digits tell two apart for a person; programs compare all.
        write!(f, "{} ({})", self.number, &self.head.to_string()[..8])
    }
}

/// The beginning of an epoch. Counts when as many admins signed it as a change of admins would need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// One more than that of the epoch before; the first that anybody begins is 1.
    pub number: u64,
    /// What it follows.
    pub before: EpochHead,
    /// The last entry of the log it goes on from, agreed by a majority or not.
    pub from: LogIndex,
    /// What the log had led to there.
    pub state: StateHash,
    /// Where its own log begins, [`EPOCH_LEAP`] later.
    pub first: LogIndex,
    /// Whose log it goes on from, and who alone votes at its beginning.
    pub voter: MemberId,
    /// When it was made, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Why.
    pub reason: Option<Reason>,
}

crate::message!(Epoch, "epoch", version 1, limit 512);

impl Epoch {
    /// Which epoch `begun`, which says this, begins.
    pub fn id(&self, begun: &Cosigned<Self>) -> EpochId {
        EpochId { number: self.number, head: self.before.after(begun) }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, from, voter, reason, .. } = self;
        write!(
            f,
            "epoch {number} begins: the mesh goes on from index {from} as {voter} has it, with {voter} as the only voter, \
             and whatever others agreed on since is void"
        )?;
        reason.as_ref().map_or(Ok(()), |reason| write!(f, "; because: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_of_an_epoch_is_above_those_of_the_epochs_before() {
        let epoch = |number| EpochId { number, head: EpochHead([0; 32]) };
        assert_eq!(epoch(0).first_term(), 0);
        for number in 0..MAX_EPOCHS {
            let (earlier, later) = (epoch(number), epoch(number + 1));
            let last = later.first_term() - 1;
            assert!(earlier.has_term(last) && !earlier.has_term(last + 1));
            assert_eq!(EpochId::elections(last + 3), (number + 1, 2));
            assert!(later.has_term(last + 1) && !later.has_term(last));
        }
    }
}
