//! The state as the rest of the house sees it: members as they are now, put together from what was said of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::view::{BannedView, ClusterView, ExclusionView, MemberView};
use mesh_model::{InviteId, LogIndex};

use super::{Ban, KeyEntry, Member, State};

impl State {
    /// The state as the rest of the house sees it, `applied` being the index of its last entry.
    pub fn view(&self, applied: LogIndex) -> ClusterView {
        let genesis = &self.founding.genesis;
        let (mut members, mut banned) = (BTreeMap::new(), BTreeMap::new());
        for member in self.placed() {
            let id = member.id;
            match self.out(&member) {
                None => drop(members.insert(id, member)),
                Some(out) => drop(banned.insert(id, out)),
            }
        }
        ClusterView {
            root: genesis.root,
            mesh_name: genesis.name.clone(),
            prefixes: genesis.prefixes,
            applied,
            hash: self.hash(),
            members,
            banned,
            access: self.access.policy().cloned().map(Arc::new),
        }
    }

    /// Why and until when nobody is to have to do with `member`, if so.
    fn out(&self, member: &MemberView) -> Option<BannedView> {
        let member = member.clone();
        if let Some(Ban { since_ms, until_ms, reason }) = self.bans.ban(member.id) {
            let reason = reason.cloned();
            return Some(BannedView { member, since_ms, until_ms, reason, exclusion: None });
        }
        let held = self.exclusion(member.id)?;
        let (since_ms, until_ms) = (held.since_ms(), Some(held.until_ms()));
        let (reporters, misconduct) = (held.reporters(), held.misconduct());
        let exclusion = Some(ExclusionView { reporters, misconduct });
        Some(BannedView { member, since_ms, until_ms, reason: None, exclusion })
    }

    /// The members with a place in the mesh that came in by `invite`.
    pub fn admitted_under(&self, invite: InviteId) -> impl Iterator<Item = MemberView> {
        let came_by = move |member: &MemberView| {
            self.members.present().get(&member.id).and_then(Member::invite) == Some(invite)
        };
        self.placed().filter(came_by)
    }

    /// Everyone with a place in the mesh, as the rest of the house sees it.
    fn placed(&self) -> impl Iterator<Item = MemberView> {
        self.members.present().iter().map(|(id, member)| MemberView {
            id: *id,
            name: member.record().name.clone(),
            identity: member.record().identity,
            tunnel: self.keys.current(*id, member.record().tunnel),
            addrs: member.addrs(),
            tags: self.tags_of(*id, member),
            change: self.keys.get(*id).map(KeyEntry::change),
        })
    }
}
