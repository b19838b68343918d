//! Our side: a lab of daemons that all vote and all hold the root key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_model::api::v1::{
    DaemonState, Document, InviteReply, Invites, RaftRole, RevokeReply, Status, VersionReply,
    Voters, route,
};
use mesh_model::id::{InviteId, MemberId};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::client::{Door, Post};
use super::cluster::{Cluster, Standing};
use crate::error::{Context as _, Result};
use crate::fabric::Fabric;
use crate::host::{Host, PORT};
use crate::http::{self, Reply};
use crate::lab::{Lab, SETTLE_LIMIT};
use crate::netns::Netns;
use crate::wait::eventually;

/// The root key's file in a state directory. Every member of this mesh gets a copy, so that each of them can make
/// what the others agree on.
const ROOT_KEY: &str = "admin.key";

/// A mesh whose members all vote.
pub struct Daemons {
    lab: Lab,
    members: Vec<MemberId>,
    /// An invite that is.
    revoked: InviteId,
}

impl Daemons {
    /// `size` hosts on a bridge, one mesh, all with a vote.
    pub fn start(size: usize) -> Result<Self> {
        let mut lab = Lab::bridged(size)?;
        lab.form()?;
        let target = size.to_string();
        let _: Voters = lab.host(1).mesh().get(&["voters", "target", &target])?;
        let all_vote = |host: &Host| host.supervisor().is_ok_and(|seen| seen.voters.len() == size);
        eventually(SETTLE_LIMIT, "all members vote", || {
            lab.hosts().iter().all(all_vote).then_some(())
        })?;
        let key = lab.host(1).state_dir().join(ROOT_KEY);
        for host in &lab.hosts()[1..] {
            std::fs::copy(&key, host.state_dir().join(ROOT_KEY)).context("copy the root key")?;
        }
        let members: Result<_> = lab.hosts().iter().map(|host| Ok(host.membership()?.0)).collect();
        let revoked = lab.host(1).invite(1)?.invite;
        let _: RevokeReply =
            lab.host(1).mesh().get(&["invites", "revoke", &revoked.to_string()])?;
        Ok(Self { members: members?, lab, revoked })
    }

    fn get<T: DeserializeOwned>(&self, number: usize, path: &str) -> Result<T> {
        http::get(&self.lab.host(number).socket(), path)
    }

    /// Whom member `number` follows and how far it has come, if it is whole.
    fn standing_of(&self, number: usize) -> Option<(MemberId, u64, usize)> {
        let status: Status = self.get(number, route::STATUS).ok()?;
        let raft = status.raft.filter(|_| status.state == DaemonState::Member)?;
        let role = matches!(raft.role, RaftRole::Leader | RaftRole::Follower);
        role.then_some((raft.leader?, raft.applied, raft.voters.len()))
    }
}

impl Cluster for Daemons {
    fn name(&self) -> &'static str {
        "meshd"
    }

    fn version(&self) -> String {
        let version = self.get(1, route::VERSION);
        version.map_or_else(|_| "?".to_owned(), |reply: VersionReply| reply.version)
    }

    fn size(&self) -> usize {
        self.members.len()
    }

    fn fabric(&self) -> &Fabric {
        self.lab.fabric().expect("a lab on a bridge")
    }

    fn netns(&self, number: usize) -> Arc<Netns> {
        self.lab.host(number).netns_handle()
    }

    fn door(&self, number: usize) -> Door {
        Door::Unix(self.lab.host(number).socket())
    }

    fn processes(&self) -> Vec<Pid> {
        self.lab.hosts().iter().filter_map(Host::pid).collect()
    }

    /// An invite: signed, half a kilobyte in the log, and there to be found afterwards.
    fn write(&self, _nth: u64, number: usize) -> Post {
        let endpoint = crate::fabric::underlay_v4(number);
        let body =
            format!("{{\"uses\":1,\"lifetime_s\":86400,\"endpoints\":[\"{endpoint}:{PORT}\"]}}");
        Post { path: route::INVITES, body }
    }

    /// An invite that is revoked is revoked once more: signed, into the log and through everybody's state, which it
    /// leaves as it was. Of invites there can be no more than some thousands.
    fn small_command(&self, _nth: u64) -> Post {
        let body = format!("{{\"invite\":\"{}\"}}", self.revoked);
        Post { path: route::INVITES_REVOKE, body }
    }

    fn acknowledged(&self, _nth: u64, reply: &Reply) -> Option<String> {
        let document: Document<InviteReply> =
            (reply.status == 200).then(|| serde_json::from_str(&reply.body).ok())??;
        Some(document.body.invite.to_string())
    }

    fn records(&self, number: usize) -> Result<BTreeSet<String>> {
        let invites: Invites = self.get(number, route::INVITES)?;
        Ok(invites.invites.into_iter().map(|invite| invite.invite.to_string()).collect())
    }

    fn standing(&self) -> Option<Standing> {
        let standings: Option<BTreeSet<_>> =
            (1..=self.size()).map(|number| self.standing_of(number)).collect();
        let (leader, applied, voters) = *standings.filter(|all| all.len() == 1)?.first()?;
        let leader = 1 + self.members.iter().position(|member| *member == leader)?;
        (voters == self.size()).then_some(Standing { leader, applied })
    }

    fn kill(&mut self, number: usize) -> Result<()> {
        self.lab.host_mut(number).kill()
    }

    fn start(&mut self, number: usize) -> Result<()> {
        self.lab.host_mut(number).start()
    }

    fn last_words(&mut self) -> String {
        self.lab.show_logs()
    }
}

/// How long a client waits for an answer: longer than a proposal may take.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);
