//! Following: a member that is no part of agreement asks another for what was agreed.
//!
//! ```text
//! follower ──Pull{have, proven, ..}──> source          waits there until it has news, at most `hold_ms`
//!          <──Pulled::News{entries, checkpoints, ..}── what follows `have`, and whose word it is
//!          <──Pulled::Busy{instead}───────────────────  "I serve as many as I can; they have it from me"
//! voter    ──Checkpoint, signed──> the agreement group  "at this index the state has this hash"
//! ```
//!
//! A source is believed nothing. Entries carry the signatures of those who made the statements, and their order
//! is believed only up to an index at which a majority of the voters signed the hash that the entries lead to.
//! Entries and snapshots are bytes here: what is in them is `mesh-control`'s to know.

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::id::{LogIndex, MemberId, MeshId, Term};
use crate::signed::Signed;
use crate::view::StateHash;

/// The most members that a busy source names instead of itself.
pub const MAX_INSTEAD: usize = 4;

/// The most entries in one answer: as many as Raft sends in one append.
pub const MAX_ENTRIES: usize = 64;

/// The most that the entries of one answer come to, in bytes, unless it is a single one: what a line of
/// 4 Mbit/s carries in half a second.
pub const MAX_ENTRY_BYTES: usize = 256 << 10;

/// The most checkpoints in one answer: those of seven voters at nine indexes.
pub const MAX_CHECKPOINTS: usize = 64;

/// The longest a source may be asked to wait for news, in milliseconds.
pub const MAX_HOLD_MS: u32 = 2_000;

/// A place in the log and the term of the leader that put the entry there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The term.
    pub term: Term,
    /// The index.
    pub index: LogIndex,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lead {
    /// The term.
    pub term: Term,
    /// The one that was elected in it.
    pub leader: MemberId,
}

/// A hash of who votes and who is fed by the leader, and since which entry. Equal wherever the state hash has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ElectorateHash(pub [u8; 32]);

/// A hash of every entry up to one, in their order, with their terms: no two logs share it. The state alone says too little: it has no
/// terms, and refused proposals leave no trace in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogHash(pub [u8; 32]);

/// A voter's word on what the log up to an entry leads to. Two of them that differ at one index, in one encoding, are
/// a divergence: two members that applied the same entries hold the same state, or one of them cheats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The mesh it is about.
    pub mesh: MeshId,
    /// Who says so.
    pub member: MemberId,
    /// The last entry it has applied.
    pub at: Place,
    /// All entries up to it.
    pub log: LogHash,
    /// The state then.
    pub state: StateHash,
    /// Raft's membership then.
    pub electorate: ElectorateHash,
    /// The version of the state's encoding: hashes over different encodings say nothing about each other.
    pub encoding: u8,
    /// Whom it took for the elected leader when it signed.
    pub lead: Lead,
}

crate::message!(Checkpoint, "checkpoint", version 1, limit 224);

/// What of a checkpoint all honest voters say alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The last applied entry.
    pub at: Place,
    /// All entries up to it.
    pub log: LogHash,
    /// The state.
    pub state: StateHash,
    /// Raft's membership.
    pub electorate: ElectorateHash,
    /// The state's encoding.
    pub encoding: u8,
}

impl Checkpoint {
    /// What others have to say alike.
    pub fn claim(&self) -> Claim {
        let Self { at, log, state, electorate, encoding, .. } = *self;
        Claim { at, log, state, electorate, encoding }
    }

    /// The word of `member` on `claim`.
    pub fn of(mesh: MeshId, member: MemberId, claim: Claim, lead: Lead) -> Self {
        let Claim { at, log, state, electorate, encoding } = claim;
        Self { mesh, member, at, log, state, electorate, encoding, lead }
    }

    /// Whether no two correct members can have said both.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.at.index == other.at.index
            && self.encoding == other.encoding
            && self.claim() != other.claim()
    }
}

/// "What comes after this?"
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The last entry the asker has, believed or not yet.
    pub have: Option<Place>,
    /// Up to where the asker has the word of a majority of the voters.
    pub proven: LogIndex,
    /// Whom the asker takes for the leader: another one is news.
    pub lead: Option<Lead>,
    /// How long to wait for news, at most.
    pub hold_ms: u32,
    /// The whole state rather than entries.
    pub snapshot: bool,
}

/// What a source knows beyond that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The whole state, when the asker wants it or the source no longer has the entries. The entries below follow it.
    pub snapshot: Option<Vec<u8>>,
    /// The agreed entries after [`Pull::have`], or after the snapshot.
    pub entries: Vec<Vec<u8>>,
    /// How far the source can prove the log, itself included.
    pub proven: LogIndex,
    /// The words of voters that prove it.
    pub checkpoints: Vec<Signed<Checkpoint>>,
    /// Who leads as the source knows it.
    pub lead: Option<Lead>,
    /// How long ago that was last confirmed, in milliseconds, when the answer was made; `None` if too long ago.
    pub confirmed_ms: Option<u32>,
    /// How long the source waited before it answered, in milliseconds.
    pub held_ms: u32,
    /// How many members there are between the source and agreement: 0 for one the leader feeds.
    pub depth: u8,
}

/// The answer to a [`Pull`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pulled {
    /// What there is, perhaps nothing new.
    News(Box<News>),
    /// The source serves as many as it can. These have it from the source.
    Busy {
        /// At most [`MAX_INSTEAD`].
        instead: Vec<MemberId>,
    },
    /// The source has nothing for the asker and no way to hear of it.
    Adrift,
    /// The asker's last entry is not the one that was agreed there.
    Elsewhere,
}

impl Pulled {
    /// Whether what has a bound keeps it.
    pub fn check(&self) -> Result<(), CodecError> {
        let malformed = |reason: &str| {
            Err(CodecError::Malformed { name: "sync answer", reason: reason.to_owned() })
        };
        match self {
            Self::News(news) if news.entries.len() > MAX_ENTRIES => malformed("too many entries"),
            Self::News(news)
                if news.entries.len() > 1
                    && news.entries.iter().map(Vec::len).sum::<usize>() > MAX_ENTRY_BYTES =>
            {
                malformed("entries that are too long together")
            }
            Self::News(news) if news.checkpoints.len() > MAX_CHECKPOINTS => {
                malformed("too many checkpoints")
            }
            Self::Busy { instead } if instead.len() > MAX_INSTEAD => {
                malformed("too many members named")
            }
            _ => Ok(()),
        }
    }
}
