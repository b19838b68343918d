//! What the daemon tells of itself: status, peers, tunnels.

use std::time::Instant;

use mesh_control::node::Drops;
use mesh_control::raft::{FarStamp as SeenStamp, GroupStatus};
use mesh_control::refusals::Refusals;
use mesh_control::sync::Divergence as Seen;
use mesh_dataplane::PeerStats;
use mesh_model::MemberId;
use mesh_model::api::v1::{
    DaemonState, Divergence, DivergentState, DropCount, FarStamp, GossipMember, GossipState,
    Offload, Path, Peer, Peers, RaftStatus, Role, Status, Tunnel, Tunnels,
};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::wire::sync::Claim;

use super::driver::{Gossip, Sighting};
use super::refusal::{Answer, internal};
use super::supervising::raft_role;
use super::{Daemon, Mesh, epoch};
use crate::io::clock;
use crate::pipeline::PathStats;

impl Daemon {
    /// Everything at one glance.
    pub(crate) async fn status(&self) -> Answer<Status> {
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: DaemonState::NotJoined,
            degraded: None,
            divergences: Vec::new(),
            far_stamp: None,
            key: None,
            epoch: None,
            mesh: None,
            mesh_name: None,
            prefixes: None,
            member: None,
            name: None,
            addrs: None,
            role: None,
            interface: None,
            listen_port: self.config.listen.port,
            uptime_s: self.started.elapsed().as_secs(),
            members: 0,
            raft: None,
            peers: Vec::new(),
            gossip: Vec::new(),
            drops: Vec::new(),
            workers: 0,
            offloads: Vec::new(),
        };
        if let Some(mesh) = self.mesh.load_full() {
            mesh.describe(&mut status).await?;
        }
        Ok(status)
    }

    /// The other members.
    pub(crate) async fn peers(&self) -> Answer<Peers> {
        let mesh = self.mesh()?;
        let stats = mesh.stats().await?;
        let gossip = mesh.gossip().await;
        Ok(Peers { peers: mesh.peer_list(&stats, &gossip, &mesh.group.status()) })
    }

    /// The WireGuard tunnels.
    pub(crate) async fn tunnels(&self) -> Answer<Tunnels> {
        let mesh = self.mesh()?;
        let view = mesh.view();
        let now = clock::now();
        let tunnels = mesh.stats().await?.peers.into_iter();
        Ok(Tunnels {
            public_key: mesh.keys().current.public(),
            listen_port: mesh.listen.port(),
            tunnels: tunnels
                // A member that left between the two looks is left out.
                .filter_map(|peer| Some(tunnel(view.members.get(&peer.member)?, peer, now)))
                .collect(),
        })
    }
}

impl Mesh {
    async fn stats(&self) -> Answer<PathStats> {
        self.path_stats().await.ok_or_else(|| internal("the packet thread has ended"))
    }

    async fn describe(&self, status: &mut Status) -> Answer<()> {
        let stats = self.stats().await?;
        let gossip = self.gossip().await;
        let group = self.group.status();
        let view = self.view();
        status.state = self.state(&view);
        status.degraded = self.degraded();
        status.divergences = self.group.divergences().into_iter().map(divergence).collect();
        status.far_stamp = self.group.far_stamp().map(far_stamp);
        status.key = self.key_status();
        status.epoch = epoch::told(&group.epoch);
        status.mesh = Some(view.mesh());
        status.mesh_name = Some(view.mesh_name.clone());
        status.prefixes = Some(view.prefixes);
        status.member = Some(self.me);
        status.name = Some(self.own.name.clone());
        status.addrs = Some(self.own.addrs);
        // The others may still count this host's vote; it does not take part.
        status.role = status.degraded.is_none().then(|| role(self.me, &group));
        status.interface.clone_from(&self.interface);
        status.listen_port = self.listen.port();
        status.members = view.members.len();
        status.peers = self.peer_list(&stats, &gossip, &group);
        status.gossip = gossip.own.iter().chain(&gossip.others).map(gossip_member).collect();
        status.drops = drops(&stats, &gossip.drops, self.group.refusals());
        status.workers = stats.workers;
        status.offloads = offloads(&stats);
        status.raft = Some(raft_status(group));
        Ok(())
    }

    /// What this host is in the mesh, as far as it has heard.
    fn state(&self, view: &ClusterView) -> DaemonState {
        if view.members.contains_key(&self.me) {
            DaemonState::Member
        } else if view.banned.contains_key(&self.me) {
            DaemonState::Banned
        } else {
            DaemonState::Removed
        }
    }

    fn peer_list(&self, stats: &PathStats, gossip: &Gossip, group: &GroupStatus) -> Vec<Peer> {
        let now = clock::now();
        let view = self.view();
        let others = view.members.values().filter(|member| member.id != self.me);
        let peer = |member: &MemberView| {
            let path = stats.peers.iter().find(|peer| peer.member == member.id);
            let seen = gossip.others.iter().find(|sighting| sighting.member == member.id);
            self.peer(member, path, seen, group, now)
        };
        others.map(peer).collect()
    }

    fn peer(
        &self,
        member: &MemberView,
        path: Option<&PeerStats>,
        seen: Option<&Sighting>,
        group: &GroupStatus,
        now: Instant,
    ) -> Peer {
        let facts = seen.and_then(|sighting| sighting.facts.as_ref());
        let established = path.is_some_and(|peer| peer.established);
        let round_trip = self.round_trip(member.id);
        Peer {
            member: member.id,
            name: member.name.clone(),
            addrs: member.addrs,
            role: role(member.id, group),
            state: seen.map_or(GossipState::Unknown, |sighting| sighting.state),
            path: if established { Path::Direct } else { Path::None },
            post_quantum: path.is_some_and(|peer| peer.is_paired),
            endpoint: path.and_then(|peer| peer.endpoint),
            last_handshake_ms: path.and_then(|peer| ago(peer.last_handshake, now)),
            rx_bytes: path.map_or(0, |peer| peer.rx_bytes),
            tx_bytes: path.map_or(0, |peer| peer.tx_bytes),
            rtt_us: round_trip.and_then(|rtt| u64::try_from(rtt.as_micros()).ok()),
            version: facts.map(|facts| facts.version.clone()),
            reads: facts.map(|facts| facts.reads),
            capabilities: facts.map(|facts| facts.capabilities.clone()).unwrap_or_default(),
            applied: facts.map(|facts| facts.applied),
            last_seen_ms: path.and_then(|peer| ago(peer.last_received, now)),
        }
    }
}

pub(super) fn divergence(seen: Seen) -> Divergence {
    let party = |(member, claim): (_, Claim)| DivergentState { member, state_hash: claim.state };
    Divergence { index: seen.index, parties: seen.parties.into_iter().map(party).collect() }
}

fn far_stamp(seen: SeenStamp) -> FarStamp {
    let SeenStamp { index, at_ms, by } = seen;
    FarStamp { index, at_ms, by }
}

/// A member's part in agreement.
fn role(member: MemberId, group: &GroupStatus) -> Role {
    if group.leadership.leader == Some(member) {
        Role::Supervisor
    } else if group.voters.contains(&member) {
        Role::Voter
    } else {
        Role::Learner
    }
}

fn raft_status(group: GroupStatus) -> RaftStatus {
    RaftStatus {
        edition: group.edition,
        reads: group.reads,
        role: raft_role(group.leadership.role),
        term: group.leadership.term,
        leader: group.leadership.leader,
        commit: group.commit,
        applied: group.applied,
        voters: group.voters,
        learners: group.learners,
        state_hash: group.state_hash,
    }
}

fn gossip_member(sighting: &Sighting) -> GossipMember {
    GossipMember {
        member: sighting.member,
        state: sighting.state,
        incarnation: sighting.incarnation,
    }
}

fn tunnel(member: &MemberView, peer: PeerStats, now: Instant) -> Tunnel {
    Tunnel {
        member: member.id,
        name: member.name.clone(),
        public_key: peer.key,
        endpoint: peer.endpoint,
        established: peer.established,
        post_quantum: peer.is_paired,
        last_handshake_ms: ago(peer.last_handshake, now),
        rx_bytes: peer.rx_bytes,
        tx_bytes: peer.tx_bytes,
        keepalive_s: peer.keepalive.map(|interval| interval.as_secs()),
        allowed_ips: peer.allowed_ips,
    }
}

/// What ended early or was refused: packets, then gossip, then agreement, sync and joining.
fn drops(stats: &PathStats, gossip: &Drops, refusals: &Refusals) -> Vec<DropCount> {
    let gossip = gossip.iter().map(|(reason, count)| (reason.name(), count));
    let refused = refusals.iter().map(|(reason, count)| (reason.name(), count));
    let said = gossip.chain(refused).filter(|(_, count)| *count > 0);
    let all = stats.seen_drops().chain(said);
    all.map(|(reason, packets)| DropCount { reason: reason.to_owned(), packets }).collect()
}

fn offloads(stats: &PathStats) -> Vec<Offload> {
    let named = stats.offloads.named().into_iter();
    named.map(|(name, active)| Offload { name: name.to_owned(), active }).collect()
}

/// Milliseconds since `then`.
fn ago(then: Option<Instant>, now: Instant) -> Option<u64> {
    let elapsed = now.saturating_duration_since(then?);
    u64::try_from(elapsed.as_millis()).ok()
}

#[cfg(test)]
mod tests;
