//! Following without being part of agreement: whom to ask for what was agreed, and what to make of the answers.
//!
//! The leader feeds the voters and a few candidates. Everybody else asks somebody who has it, and is asked in turn:
//!
//! ```text
//!            leader ──Raft──> voters, candidates            depth 0
//!                               ^   ^   ^   at most PLACES each
//!                     pull, and wait for news
//!                               followers                    depth 1
//!                                 ^   ^   ^  ...             depth 2
//! ```
//!
//! A question waits at its source until there is news, so a commit runs down the tree in a round trip and a disk flush a
//! level, and an idle mesh exchanges one question a second and member. A source with all its places
//! taken names some of those it serves instead; so the tree grows where there is room, and nobody plans it.
//!
//! - [`Sync`] asks: one question at a time, to the source that served well, or to the next best.
//! - [`Desk`] answers: who has a place.
//! - [`Words`] keeps what voters signed, and says how far the log is proven, and who contradicts whom.
//!
//! **Whom to ask.** First whom the operator prefers, whenever it has a place. Then whom it follows already. Then whoever has told
//! gossip of more than this member has: who comes back after a while knows many that are gone. Among those the ones that
//! the leader feeds, other than the leader; then the leader; then whoever else is alive, because after a partition it may
//! be the only one in reach. Among equals the near one, and among those the seed decides, so that a thousand members do
//! not all begin at the same door.
//!
//! **Who is asked no more.** One that does not answer, for a while that doubles; one that answers and has nothing while
//! gossip says that others do; and one whose entries do not lead where the voters say, for a minute.

mod asking;
mod choosing;
mod desk;
mod distance;
mod preference;
mod progress;
mod question;
mod source;
mod words;

use std::time::Duration;

pub use asking::{FED_PATIENCE, Sync};
pub use desk::{Desk, PLACES, Seat};
pub use distance::Distance;
pub use preference::{MAX_PREFERRED, PreferenceError};
pub use progress::{Progress, SourceReport, Supply};
pub use question::{Ask, Heard};
pub use words::{Divergence, MAX_DIVERGENCES, Mark, WordError, Words, common_lead, majority};

/// A moment, as the time since whoever calls began to count.
pub type Moment = Duration;

/// How long a question waits at its source for news. It bounds how late a member notices that its source is gone, and an
/// idle mesh exchanges one small question and answer per member in this time.
pub const HOLD: Duration = Duration::from_secs(1);

/// The most levels below agreement. Eight places each are more than two million members at seven; what is
/// deeper is a ring of members that follow each other.
pub const MAX_DEPTH: u8 = 7;
