//! A question, and what came of it.

use std::time::Duration;

use mesh_model::{LogIndex, MemberId};

/// A question to be asked now. One that is under way is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub to: MemberId,
    /// How long it may wait for news.
    pub hold: Duration,
    /// When to give up.
    pub limit: Duration,
    /// Ask for the whole state.
    pub snapshot: bool,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An answer that held up.
    News {
        /// How many entries of the log it brought this member forward.
        gained: u64,
        /// It says that it has more, and sent nothing.
        withholds: bool,
        /// How far the source can prove the log.
        proven: LogIndex,
        /// How far what it sent leads that waits for its proof here; 0 if nothing does.
        drafted: LogIndex,
        /// How long the source waited.
        held: Duration,
        /// How far the source is from agreement.
        depth: u8,
        /// The source hears from the leader.
        attached: bool,
    },
    /// No place there; these may have one.
    Busy(Vec<MemberId>),
    /// It has nothing, and nobody to have it from.
    Adrift,
    /// It did not answer, or not in words that can be understood.
    Silent,
    /// What it sent contradicts what the voters signed.
    Wrong,
}
