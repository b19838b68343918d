//! What the world was told, to hold the mesh to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use mesh_control::command::{Command, Outcome};
use mesh_control::raft::Applied;
use mesh_model::view::ClusterView;
use mesh_model::{InviteId, LogIndex, MemberId, OverlayAddrs};

/// A command somebody was told is agreed.
#[derive(Debug, Clone)]
pub struct Ack {
    /// Its place in the log.
    pub index: LogIndex,
    /// What was asked for.
    pub command: Command,
    /// What became of it.
    pub outcome: Outcome,
}

/// Everything that was acknowledged, and what follows from it.
#[derive(Default)]
pub struct Reference {
    acks: Vec<Ack>,
    /// The overlay addresses of everyone who ever was a member.
    addrs: BTreeMap<MemberId, OverlayAddrs>,
    /// Members whose departure or removal was proposed: present or not, both are right until it is acknowledged.
    leaving: BTreeSet<MemberId>,
    /// Who was admitted under each invite.
    admitted: BTreeMap<InviteId, BTreeSet<MemberId>>,
}

impl Reference {
    /// `command` was acknowledged.
    pub fn acknowledge(&mut self, command: Command, applied: Applied) {
        if let Outcome::Admitted { member, addrs } = applied.outcome {
            self.addrs.insert(member, addrs);
            // Later answers are about a member that came in before, perhaps with another invite: a host
            // that was refused asks again with a new one while its first request is still on its way.
            if let Command::Admit(admission) = &command
                && member.0 == applied.index
            {
                self.admitted.entry(admission.invite).or_default().insert(member);
            }
        }
        self.acks.push(Ack { index: applied.index, command, outcome: applied.outcome });
    }

    /// A view was seen.
    pub fn see(&mut self, view: &ClusterView) {
        let banned = view.banned.values().map(|banned| &banned.member);
        for member in view.members.values().chain(banned) {
            self.addrs.insert(member.id, member.addrs);
        }
    }

    /// `member` has asked to leave, or somebody asked that it be removed.
    pub fn ask_to_leave(&mut self, member: MemberId) {
        self.leaving.insert(member);
    }

    /// Whether anybody has ever asked that `member` go.
    pub fn is_leaving(&self, member: MemberId) -> bool {
        self.leaving.contains(&member)
    }

    /// Everything acknowledged, oldest first.
    pub fn acks(&self) -> &[Ack] {
        &self.acks
    }

    /// Who was admitted under `invite`, as far as anyone was told.
    pub fn admitted_under(&self, invite: InviteId) -> usize {
        self.admitted.get(&invite).map_or(0, BTreeSet::len)
    }

    /// Whether `addr` is an overlay address of `member`.
    pub fn owns(&self, member: MemberId, addr: IpAddr) -> bool {
        self.addrs.get(&member).is_some_and(|addrs| addrs.contains(addr))
    }
}
