//! Documents about how a host follows what is agreed, and whom it serves.

use serde::{Deserialize, Serialize};

use super::document::schema;
use super::invite::MemberName;
use super::status::Divergence;
use crate::id::{LogIndex, MemberId, Term};
use crate::trust::Name;

/// How a host has what is agreed, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// It leads.
    Leads,
    /// The supervisor sends it.
    Fed,
    /// It asks [`SyncStatus::source`].
    Follows,
    /// It looks for somebody to ask.
    Seeking,
    /// Members hold different states at one index.
    Diverged,
    /// The mesh has gone on to a version that its build does not understand.
    Outdated,
    /// Agreement on it has ended.
    Stopped,
    /// What a newer daemon says and this program does not know.
    #[serde(other)]
    Unknown,
}

/// A member that was asked for what is agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSource {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// 0 to 100: falls with each question it does not answer, by half the scale with each wrong answer.
    pub reliability: u8,
    /// On the way there and back, in microseconds; `None` before its first answer.
    pub rtt_us: Option<u64>,
    /// How far it says it has applied the log.
    pub applied: LogIndex,
    /// How often what it sent was proven wrong since the daemon started.
    pub wrong: u64,
}

/// How a host follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// In one word: what somebody has to look at comes before where the log is from.
    pub state: SyncState,
    /// Whether it asks others for what is agreed; it does not while it leads or the supervisor sends it.
    pub asks: bool,
    /// Whom it asks.
    pub source: Option<MemberName>,
    /// Applied here.
    pub index: LogIndex,
    /// The furthest that anybody reliable says it has applied.
    pub target: LogIndex,
    /// How many entries that is more.
    pub behind: u64,
    /// Up to where a majority of the voters has signed what this host holds.
    pub proven: LogIndex,
    /// Entries a second, over the last ten seconds.
    pub rate: f64,
    /// In how many milliseconds what is missing is here, at that rate; `None` when nothing is missing or nothing comes.
    pub left_ms: Option<u64>,
    /// How many members are between this host and those that the supervisor sends the log to, 0 for one of them; `None` while
    /// it is not known.
    pub depth: Option<u8>,
    /// How many members this host serves at most.
    pub places: usize,
    /// Those it serves.
    pub served: Vec<MemberName>,
    /// How many it sent elsewhere because all places were taken, since the daemon started.
    pub turned_away: u64,
    /// Whom it asks before all others, the first most of all.
    pub preferred: Vec<MemberName>,
    /// Those it asked, by id.
    pub sources: Vec<SyncSource>,
    /// Where members hold different states, as far as this host has seen since it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub divergences: Vec<Divergence>,
}

/// Look for a source anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResyncRequest {
    /// Then hold the log from this index on against another member's.
    #[serde(default)]
    pub from_index: Option<LogIndex>,
}

/// Ask these members before all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncFromRequest {
    /// Names, ids or overlay addresses; nobody in particular when empty.
    pub members: Vec<String>,
}

/// What was asked for is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    /// How this host has what is agreed.
    pub state: SyncState,
    /// Whether it asks others. Where it does not, what was asked for waits until it has to.
    pub asks: bool,
    /// Whom it asks before all others.
    pub preferred: Vec<MemberName>,
    /// What came of holding its log against another member's, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<LogComparison>,
}

/// Two members' logs beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogComparison {
    /// The other member.
    pub source: MemberName,
    /// The first index that was compared.
    pub from: LogIndex,
    /// The last.
    pub upto: LogIndex,
    /// Where they differ first; `None` when they do not.
    pub difference: Option<LogDifference>,
}

/// Two entries at one index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDifference {
    /// Where.
    pub index: LogIndex,
    /// What the answering host has there.
    pub here: LogEntryHash,
    /// What the other has; `None` when it only said that it is something else, there or before.
    pub there: Option<LogEntryHash>,
    /// A majority of the voters signed what the answering host's log led to there or later, so the other is wrong. When not,
    /// it is not known which of the two is.
    pub upheld: bool,
}

/// An entry, to tell it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntryHash {
    /// The term of the supervisor that put it there.
    pub term: Term,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

schema! {
    SyncStatus => "mesh.sync/v1",
    SyncReply => "mesh.sync_steered/v1",
}
