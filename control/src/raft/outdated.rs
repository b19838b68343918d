//! A member that meets something newer than itself.
//!
//! Members of two neighbouring versions shall run together (record 32). One that was left behind further hears voters speak a
//! version it does not understand. It cannot know what they agree on, so it asks nobody for a vote, says so, and
//! goes on with what it has: the view, and the tunnels that follow from it. Its leader hears no answer from it, takes it for silent, and gives
//! its vote to another after the settle time.
//!
//! ```text
//!            a voter speaks a newer version
//! current ────────────────────────────────────> outdated    no candidate, says so
//!         and no leader is understood
//!         <────────────────────────────────────
//!          a leader is understood: it was upgraded, or they went back
//! ```
//!
//! A version is said by one byte, and a plain member could say any: who has a vote believes only voters. One of them may
//! lie, and block elections; so it may anyhow. Who has none hears what was agreed from plain members, and has nothing to
//! lose by believing them: it campaigns for nothing.

use std::sync::{Mutex, PoisonError};

use mesh_model::MemberId;
use mesh_model::codec::CodecError;

use super::group::{Group, Inner};
/// What was heard and not understood.
#[derive(Default)]
pub(super) struct Outdated(Mutex<Option<CodecError>>);

impl Outdated {
    /// Keeps `heard`, and says whether there was something else before.
    fn replace(&self, heard: Option<CodecError>) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = kept.is_some() != heard.is_some();
        *kept = heard;
        differs
    }

    pub(super) fn get(&self) -> Option<CodecError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Group {
    /// What this host's voters say in a version that this build does not understand; `None` while it understands its
    /// leader.
    pub fn outdated(&self) -> Option<CodecError> {
        self.inner().outdated.get()
    }
}

impl Inner {
    /// `from` said something that is `unread`.
    pub(super) fn note_unread(&self, from: MemberId, unread: &CodecError) {
        let voters = self.known_voters();
        let votes = voters.contains(&self.me);
        if !unread.is_newer() || votes && !voters.contains(&from) {
            return;
        }
        // Whoever still understands its leader, or leads, has not been left behind by the others. A voter has to
        // understand it itself.
        if self.confirmed_leadership().leader.is_some_and(|leader| !votes || self.hears(leader)) {
            return;
        }
        if self.outdated.replace(Some(unread.clone())) {
            tracing::warn!(%from, %unread, "the mesh has gone on to a newer version; this host does not vote");
        }
    }

    /// A leader was understood.
    pub(super) fn note_read(&self) {
        if self.outdated.replace(None) {
            tracing::info!("the mesh's version is understood again");
        }
    }
}
