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
    /// The supervisor won an election.
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
    /// What a newer daemon says and this program does not know.
    #[serde(other)]
    Unknown,
}

/// One change of leadership, as one host saw it.
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
}

/// The leaderships one host saw since its daemon started.
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
