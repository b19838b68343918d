//! Sync as the rest of the house sees and steers it.

use mesh_model::trust::{Ruling, Verdict};
use mesh_model::{LogIndex, MemberId};

use super::following::nudge;
use super::group::{Group, Inner};
use crate::command::{Command, Proposal};
use crate::gossip::Sighting;
use crate::sync::{Desk, Divergence, PreferenceError, Progress, Supply, Sync};

/// How a member has what is agreed, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// It leads.
    Leads,
    /// The leader sends it.
    Fed,
    /// It asks this member.
    Follows(MemberId),
    /// It looks for somebody to ask.
    Seeking,
    /// Members hold different states at one index; what it does meanwhile is in [`Progress::supply`].
    Diverged,
    /// The mesh has gone on to a version that this build does not understand.
    Outdated,
    /// Agreement here has ended.
    Stopped,
}

/// How this member follows, and whom it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncStatus {
    /// In one word: what somebody has to look at comes before where the log is from.
    pub state: SyncState,
    /// Where it gets the log from.
    pub progress: Progress,
    /// Up to where a majority of the voters signed what it holds.
    pub proven: LogIndex,
    /// How many members are between this one and those that the leader feeds, 0 for one of them; `None` while it is
    /// not known.
    pub depth: Option<u8>,
    /// Who asks it.
    pub served: Vec<MemberId>,
    /// How many it turned away because all places were taken.
    pub turned_away: u64,
    /// Members that hold different states at one index, as far as this one has seen.
    pub divergences: Vec<Divergence>,
}

impl Group {
    /// Gossip knows something of a member.
    pub fn handle_sighting(&self, seen: Sighting) {
        let inner = &*self.inner();
        let Sighting { member, dead, applied, reads } = seen;
        if let Some(reads) = reads {
            inner.census.note(member, reads);
        }
        let matters = inner.sync().handle_sighting(member, dead, applied, inner.moment());
        if matters {
            nudge(&inner.nudges);
        }
    }

    /// How this member follows.
    pub fn sync_status(&self) -> SyncStatus {
        let inner = self.inner();
        inner.observe();
        let now = inner.moment();
        let progress = inner.sync().progress(now);
        let proven = inner.proven();
        let divergences = self.divergences();
        let state = if inner.ended().is_some() {
            SyncState::Stopped
        } else if self.outdated().is_some() {
            SyncState::Outdated
        } else if !divergences.is_empty() {
            SyncState::Diverged
        } else {
            state_of(progress.supply)
        };
        let is_attached = state != SyncState::Stopped && progress.supply != Supply::Seeking;
        let depth = is_attached.then(|| inner.depth());
        let desk = inner.desk();
        let (served, turned_away) = (desk.served(now).collect(), desk.turned_away());
        SyncStatus { state, progress, proven, depth, served, turned_away, divergences }
    }

    /// Has this member ask `preferred` before all others, the first of them most of all; nobody ends that. It is forgotten
    /// when this process ends, and matters only while nobody feeds this member.
    pub fn sync_from(&self, preferred: &[MemberId]) -> Result<(), PreferenceError> {
        let inner = self.inner();
        inner.observe();
        inner.sync().handle_preference(preferred)?;
        nudge(&inner.nudges);
        Ok(())
    }

    /// Has this member look for a source anew.
    pub fn resync(&self) {
        let inner = self.inner();
        inner.sync().handle_resync();
        nudge(&inner.nudges);
    }

    /// Has this member ask for the whole state.
    pub fn sync_fast(&self) {
        let inner = self.inner();
        inner.sync().handle_fast();
        nudge(&inner.nudges);
    }

    /// Members that hold different states at one index, as far as this one has seen.
    pub fn divergences(&self) -> Vec<Divergence> {
        self.inner().standing_divergences()
    }
}

fn state_of(supply: Supply) -> SyncState {
    match supply {
        Supply::Leads => SyncState::Leads,
        Supply::Leader => SyncState::Fed,
        Supply::Source(source) => SyncState::Follows(source),
        Supply::Seeking => SyncState::Seeking,
    }
}

impl Inner {
    /// Whether changes of membership wait until somebody has looked at a divergence.
    pub(super) fn is_frozen(&self) -> bool {
        !self.standing_divergences().is_empty()
    }

    /// The divergences among present members: the ban of whoever is wrong ends them.
    fn standing_divergences(&self) -> Vec<Divergence> {
        let view = self.view();
        let is_member =
            |id: &MemberId| view.members.contains_key(id) && !view.banned.contains_key(id);
        let words = self.testimony.words();
        let divergences = words.divergences().iter();
        divergences.filter(|divergence| divergence.stands(is_member)).cloned().collect()
    }

    /// Where members diverged, if `proposal` has to wait because of it. What takes rights away does not: a ban is how a
    /// voter that cheats is put out, an exclusion is one without an admin, and everybody may leave. Nor does what changes nothing about who is
    /// a member. Who is banned is let back in like a newcomer: not now.
    pub(super) fn frozen_against(&self, proposal: &Proposal) -> Option<LogIndex> {
        let pardons = |verdict: Verdict| verdict.ruling == Ruling::Pardoned;
        let waits = match &proposal.command {
            Command::Invite(_) | Command::Admit(_) | Command::SetVoters(_) | Command::Lapse(_) => {
                true
            }
            Command::Judge(verdict) => verdict.peek().is_ok_and(pardons),
            Command::Depart { .. }
            | Command::Revoke(_)
            | Command::ChangeAdmins(_)
            | Command::Tag(_)
            | Command::SetAccess(_)
            | Command::Exclude { .. }
            | Command::Rekey(_) => false,
            #[cfg(feature = "next")]
            Command::Trial(_) => false,
        };
        let divergences = if waits { self.standing_divergences() } else { Vec::new() };
        divergences.first().map(|divergence| divergence.index)
    }

    pub(super) fn sync(&self) -> std::sync::MutexGuard<'_, Sync> {
        self.sync.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
