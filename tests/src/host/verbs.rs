//! What a host's operator says to its daemon.

use std::time::Duration;

use mesh_model::addr::OverlayAddrs;
use mesh_model::api::v1::{DaemonState, InviteReply, JoinedReply, Status, Supervisor, WaitReply};
use mesh_model::id::MemberId;

use super::Host;
use crate::error::{Error, Result};
use crate::mesh::Mesh;

impl Host {
    /// `mesh`, pointed at this host's daemon.
    pub fn mesh(&self) -> Mesh {
        Mesh::new(&self.binaries.mesh, &self.socket())
    }

    /// Makes this host the first member of a new mesh.
    pub fn init(&self) -> Result<JoinedReply> {
        self.mesh().get(&["init", "--name", &self.name()])
    }

    /// A token that admits `uses` hosts.
    pub fn invite(&self, uses: u32) -> Result<InviteReply> {
        self.mesh().get(&["invite", "--uses", &uses.to_string()])
    }

    /// Joins with `token`, handed over on standard input as the manual recommends.
    pub fn join(&self, token: &str) -> Result<JoinedReply> {
        self.mesh().run_with_input(&["join", "--name", &self.name()], token)?.document()
    }

    /// `mesh status`.
    pub fn status(&self) -> Result<Status> {
        self.mesh().get(&["status"])
    }

    /// How many packets it has dropped, or messages refused, for `reason`.
    pub fn dropped(&self, reason: &str) -> Result<u64> {
        let drops = self.status()?.drops;
        Ok(drops.iter().find(|drop| drop.reason == reason).map_or(0, |drop| drop.packets))
    }

    /// `mesh supervisor`.
    pub fn supervisor(&self) -> Result<Supervisor> {
        self.mesh().get(&["supervisor"])
    }

    /// `mesh wait --for WHAT`.
    pub fn wait_for(&self, what: &str, limit: Duration) -> Result<WaitReply> {
        let limit = format!("{}s", limit.as_secs());
        self.mesh().get(&["wait", "--for", what, "--timeout", &limit])
    }

    /// This host's id and overlay addresses, once it is a member.
    pub fn membership(&self) -> Result<(MemberId, OverlayAddrs)> {
        let status = self.status()?;
        match (status.state, status.member, status.addrs) {
            (DaemonState::Member, Some(member), Some(addrs)) => Ok((member, addrs)),
            _ => Err(Error::Failed(format!("{} is no member", self.name()))),
        }
    }
}
