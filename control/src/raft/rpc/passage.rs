//! What a member hears that asks one of a later epoch for the way there.

use serde::{Deserialize, Serialize};

/// The way into another epoch.
#[derive(Serialize, Deserialize)]
pub(crate) struct PassageReply {
    /// A [`PassageRecord`](crate::raft::passage::PassageRecord).
    pub(crate) passage: Vec<u8>,
    /// Whether the asker had a vote there already, as far as the one asked knows. Then it has lost its store.
    pub(crate) voted: bool,
}
