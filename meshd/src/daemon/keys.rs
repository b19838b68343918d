//! `mesh keys` and the line about the key in `mesh status`: which WireGuard keys members have, and how this host stands with its
//! own. [`rotating`](super::rotating) changes it.

use mesh_control::rotation::{OLD_MS, held_since, kept_until};
use mesh_dataplane::OtherKey;
use mesh_model::MemberId;
use mesh_model::api::v1::{KeyBefore, KeyStage, KeyStatus, MemberKey, MemberName, TunnelKeys};
use mesh_model::view::{ClusterView, MemberView};

use super::refusal::{Answer, ending};
use super::rotating::not_a_member;
use super::{Daemon, Mesh};
use crate::io::clock;

impl Daemon {
    /// The WireGuard keys.
    pub(crate) async fn tunnel_keys(&self) -> Answer<TunnelKeys> {
        let mesh = self.mesh()?;
        let view = mesh.newest_view();
        let own = view.place_of(mesh.me).ok_or_else(not_a_member)?;
        let keys = mesh.keys();
        let before = match (own.change, &keys.other) {
            (Some(change), Some(OtherKey::Before(before))) => Some(KeyBefore {
                key: before.public(),
                until_ms: kept_until(&change),
                behind: names(&view, &mesh.waited_for(change.at).await.ok_or_else(ending)?),
            }),
            _ => None,
        };
        let next = match &keys.other {
            Some(OtherKey::Next(next)) => Some(next.public()),
            _ => None,
        };
        let members = view.members.values().map(member_key).collect();
        Ok(TunnelKeys { own: member_key(own), before, next, members, applied: view.applied })
    }
}

impl Mesh {
    /// How this host stands with its key; `None`: it has no place in the mesh.
    pub(super) fn key_status(&self) -> Option<KeyStatus> {
        let now_ms = clock::wall_ms();
        let (serial, since_ms) = self
            .group
            .read(|state, _| Some((state.keys().serial(self.me), held_since(state, self.me)?)))?;
        let stage = match self.keys().other {
            None => KeyStage::Settled,
            Some(OtherKey::Next(_)) => KeyStage::Prepared,
            Some(OtherKey::Before(_)) => KeyStage::Agreed,
        };
        let is_old = now_ms.saturating_sub(since_ms) >= OLD_MS;
        Some(KeyStatus { serial, since_ms: since_ms.min(now_ms), stage, is_old })
    }
}

fn member_key(member: &MemberView) -> MemberKey {
    MemberKey {
        member: member.id,
        name: member.name.clone(),
        key: member.tunnel,
        serial: member.change.map_or(0, |change| change.serial),
        index: member.change.map(|change| change.at),
        since_ms: member.change.map(|change| change.since_ms),
    }
}

/// Those of `members` that are known, by name.
pub(super) fn names(view: &ClusterView, members: &[MemberId]) -> Vec<MemberName> {
    let known = members.iter().filter_map(|id| view.place_of(*id));
    known.map(|member| MemberName { member: member.id, name: member.name.clone() }).collect()
}
