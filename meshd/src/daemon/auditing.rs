//! `mesh audit`: who decided what.

use std::collections::{BTreeMap, BTreeSet};

use mesh_control::access::write;
use mesh_control::state::{Admin, Member, State};
use mesh_model::api::v1::{
    AdminName, Audit, AuditContent, AuditEntry, AuditSaid, MemberName, MemberWish, VoterWish,
};
use mesh_model::audit::Beginning;
use mesh_model::trust::{Invite, VoterPolicy, VoterTarget, Wish};
use mesh_model::view::ClusterView;
use mesh_model::{AdminId, LogIndex, MemberId};

use super::Daemon;
use super::refusal::Answer;

impl Daemon {
    /// The audit trail as this host has applied it.
    pub(crate) async fn audit(&self) -> Answer<Audit> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let root = view.root;
        Ok(mesh.group.read(|state, _| {
            let trail = state.audit();
            Audit {
                mesh: root.mesh,
                root: root.key,
                genesis: Beginning(state.signed_genesis().clone()),
                before_hash: trail.before(),
                entries: trail.links().cloned().map(AuditEntry::from).collect(),
                head_hash: trail.head(),
                contents: contents(state, &view),
                members: members(state),
                admins: admins(state),
            }
        }))
    }
}

/// What the present members of `state` are called, also those that are banned.
fn members(state: &State) -> Vec<MemberName> {
    let named = |(id, member): (&MemberId, &Member)| MemberName {
        member: *id,
        name: member.record().name.clone(),
    };
    state.members().present().iter().map(named).collect()
}

/// What those are called who are, or were, admins in `state`.
fn admins(state: &State) -> Vec<AdminName> {
    let named =
        |(id, admin): (&AdminId, &Admin)| AdminName { admin: *id, name: admin.name.clone() };
    state.admins().iter().map(named).collect()
}

/// What entries of the trail only refer to, as far as `state` remembers it.
fn contents(state: &State, view: &ClusterView) -> Vec<AuditContent> {
    let invites = state.invites().iter().map(|(_, invite)| {
        let Invite { range, voter, tags, .. } = invite.terms().clone();
        (invite.stated().at(), AuditSaid::Invite { range, voter, tags })
    });
    let voters = state.voters().stated().map(|stated| {
        let VoterPolicy { target, wishes, .. } = stated.said();
        let wishes = wishes.iter().map(|(member, wish)| MemberWish {
            member: *member,
            wish: match wish {
                Wish::Always => VoterWish::Always,
                Wish::Never => VoterWish::Never,
            },
        });
        let target = target.map(VoterTarget::number);
        (stated.at(), AuditSaid::Voters { target, wishes: wishes.collect() })
    });
    let access = state.access().iter().map(|entry| {
        let rules = entry.policy().rules.iter().map(|rule| write(view, rule)).collect();
        (entry.stated().at(), AuditSaid::Access { rules })
    });
    let told: BTreeSet<LogIndex> = state.audit().iter().map(|entry| entry.index).collect();
    let said: BTreeMap<LogIndex, AuditSaid> = invites.chain(voters).chain(access).collect();
    let said = said.into_iter().filter(|(index, _)| told.contains(index));
    said.map(|(index, said)| AuditContent { index, said }).collect()
}
