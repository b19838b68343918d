//! By which way members came in.
//!
//! Whoever has a stolen token brings in as many hosts as it admits, and one host can run a hundred daemons. So where
//! members are counted to decide about another, not they are counted but the ways they came in by.

use std::collections::BTreeSet;

use mesh_model::{AdminId, InviteId, LogIndex, MemberId};

use super::State;

/// What a member's admission descends from. Members of one lineage have one voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lineage {
    /// The genesis.
    Founder,
    /// An invite, of whichever admin: one that is in office can ban, and needs no sock puppets.
    Invite(InviteId),
    /// All invites of an admin that is none any more. Its key may be in hands that made themselves many.
    Removed(AdminId),
}

impl State {
    /// The lineage of `member`, which has a place in the mesh, as of index `at` of the log.
    pub fn lineage(&self, member: MemberId, at: LogIndex) -> Option<Lineage> {
        match self.members.present().get(&member)?.invite() {
            None => Some(Lineage::Founder),
            Some(invite) => self.lineage_by(invite, at),
        }
    }

    /// The lineage of whoever came in by the invite `id`, as of index `at` of the log.
    pub(super) fn lineage_by(&self, id: InviteId, at: LogIndex) -> Option<Lineage> {
        let admin = self.invites.get(&id)?.stated().by();
        let removal = self.admins.get(admin)?.removed;
        Some(match removal {
            Some(removal) if removal.at <= at => Lineage::Removed(admin),
            _ => Lineage::Invite(id),
        })
    }

    /// The lineages of everybody that can say something about `subject` now: all present members but itself.
    pub fn lineages_beside(&self, subject: MemberId) -> BTreeSet<Lineage> {
        let has_a_say = |id: &MemberId| *id != subject && !self.is_out(*id);
        let present = self.members.present().keys().copied().filter(has_a_say);
        present.filter_map(|id| self.lineage(id, LogIndex::MAX)).collect()
    }
}
