//! Documents about who leads: how it came to that, and having another lead.

use serde::{Deserialize, Serialize};

use super::document::schema;
use super::status::RaftRole;
use crate::id::{MemberId, Term};
use crate::trust::Name;

/// Why leadership, or the answering host's part in it, became what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionCause {
    /// So it was when the host began to look.
    Started,
    /// An election: the host gave its vote to `of`, perhaps itself.
    Voted,
    /// The supervisor won an election, after `of` had led, as far as the host knows who had.
    Elected,
    /// `of` handed the lead over, as somebody asked it to.
    Transferred,
    /// `of` handed the lead over and has no vote any more.
    Retired,
    /// `of` led and was not heard any more.
    FellSilent,
    /// The host led, and a majority of the voters did not answer it any more.
    LostMajority,
    /// The supervisor was heard for the first time, or again after a silence; nobody was elected.
    Heard,
    /// The host votes now.
    GotVote,
    /// The host votes no more.
    LostVote,
    /// Agreement on the host ended.
    Stopped,
    /// `of` votes since, as was agreed; `reason` says why.
    VoteGiven,
    /// `of` votes no more, as was agreed; `reason` says why.
    VoteTaken,
    /// What a newer daemon says and this program does not know.
    #[serde(other)]
    Unknown,
}

/// Why a member got a vote, or lost it. The supervisor that decided knows all of it; another host what follows from
/// what was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VoteReason {
    /// So many shall vote, and fewer did, or more.
    Target {
        /// How many.
        target: u64,
    },
    /// An admin wants it to vote, or not to.
    Wish,
    /// Its invite carries no right to vote, and those of enough others do.
    WithoutRight,
    /// It left, leaves, or is banned.
    Gone,
    /// It had not answered the supervisor for so long.
    Silent {
        /// In seconds.
        for_s: u64,
    },
    /// It votes in the place of another.
    InPlaceOf {
        /// Which.
        member: MemberId,
    },
    /// Another, which an admin wants to vote, votes in its place.
    MadeRoomFor {
        /// Which.
        member: MemberId,
    },
    /// Its region had more votes than that of whoever has it now.
    Spread,
    /// With it an even number would vote, which survives no more failures.
    Even,
    /// The supervisor of that time decided so, and it alone knows why.
    Decided {
        /// Who that was, if it is known.
        by: Option<MemberId>,
    },
    /// What a newer daemon says and this program does not know.
    #[serde(other)]
    Unknown,
}

/// One change of leadership, or of who votes, as one host saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When, in milliseconds since the Unix epoch, by that host's clock.
    pub at_ms: u64,
    /// The term since then.
    pub term: Term,
    /// The supervisor since then; `None` while there was none.
    pub leader: Option<MemberId>,
    /// The host's own part since then.
    pub role: RaftRole,
    /// Why.
    pub cause: TransitionCause,
    /// The member the cause speaks of.
    pub of: Option<MemberId>,
    /// Why a vote was given or taken; `None` with every other cause.
    #[serde(default)]
    pub reason: Option<VoteReason>,
}

/// The leaderships and the changes of who votes that one host saw, also before its last start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorHistory {
    /// How many more it saw before those it remembers.
    pub forgotten: u64,
    /// Oldest first.
    pub transitions: Vec<Transition>,
}

/// Have another member lead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// A voter's name, id or overlay address; the best of the other voters when absent.
    #[serde(default)]
    pub to: Option<String>,
}

/// It leads now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReply {
    /// The term it leads in.
    pub term: Term,
    /// The supervisor's id.
    pub leader: MemberId,
    /// The supervisor's name; `None` when it left at that moment.
    pub name: Option<Name>,
}

schema! {
    SupervisorHistory => "mesh.supervisor_history/v1",
    TransferReply => "mesh.transfer/v1",
}
