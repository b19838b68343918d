//! The end of a run: everything acknowledged is asked for again, and all must be well.

use std::collections::BTreeMap;

use mesh_control::raft::{Applied, Group};
use mesh_model::MemberId;

use super::World;
use super::queue::Purpose;
use crate::host::Host;
use crate::invariants::{Standing, Violation};
use crate::life::Life;
use crate::net::HostNo;

impl World {
    /// The members that are up, mean to stay, can be helped and were not banned a moment ago.
    pub(super) fn staying(&self) -> Vec<(HostNo, MemberId)> {
        let up = self.hosts.values().filter_map(|host| Some((host.no, host.life()?)));
        up.filter(|(_, life)| !self.reference.is_leaving(life.me) && !self.is_stranded(life))
            .filter(|(_, life)| !self.was_banned_lately(life.me))
            .map(|(no, life)| (no, life.me))
            .collect()
    }

    /// Whether `life` was away for too long: it has no tunnel to the leader because it has not heard of
    /// it, or none of the voters it knows can vouch for the leader, because they have left or were away for
    /// too long themselves. Agreement cannot help such a member; it has to join again. Known and documented
    /// there (`raft/speaker.rs`).
    fn is_stranded(&self, life: &Life) -> bool {
        let groups = self.hosts.values().filter_map(|host| host.life()?.group.as_ref());
        let seen =
            groups.map(Group::status).max_by_key(|seen| (seen.leadership.term, seen.applied));
        let (Some(mesh), Some(group)) = (seen, life.group.as_ref()) else { return false };
        let own = group.status();
        let Some(leader) = mesh.leadership.leader.filter(|leader| *leader != life.me) else {
            return false;
        };
        let behind = own.applied < mesh.applied;
        let unknown = !life.node.view().members.contains_key(&leader);
        let others = own.voters.iter().filter(|voter| **voter != life.me);
        let vouched = others.copied().any(|voter| voter == leader || self.vouches(voter, leader));
        behind && (unknown || !vouched)
    }

    /// Whether `member` is up and takes `leader` for a voter.
    fn vouches(&self, member: MemberId, leader: MemberId) -> bool {
        let mut lives = self.hosts.values().filter_map(Host::life);
        let life = lives.find(|life| life.me == member);
        let status = life.and_then(|life| life.group.as_ref()).map(Group::status);
        status.is_some_and(|status| status.voters.contains(&leader))
    }

    /// How many members are stranded.
    fn stranded(&self) -> usize {
        let lives = self.hosts.values().filter_map(Host::life);
        lives.filter(|life| !self.reference.is_leaving(life.me) && self.is_stranded(life)).count()
    }

    /// Proposes everything acknowledged once more, a member each.
    pub(super) fn repeat_everything(&mut self) {
        let members = self.staying();
        let commands: Vec<_> =
            self.reference.acks().iter().map(|ack| ack.command.clone()).collect();
        for (number, command) in commands.into_iter().enumerate() {
            let Some((no, _)) = members.get(number % members.len().max(1)) else { return };
            self.unanswered.insert(number);
            self.propose(*no, command, Purpose::Repeat(number));
        }
    }

    /// The repetition of acknowledgement `number` was answered.
    pub(super) fn repeated(&mut self, number: usize, again: &Applied) -> Result<(), Violation> {
        self.unanswered.remove(&number);
        let Some(ack) = self.reference.acks().get(number) else { return Ok(()) };
        self.invariants.acknowledged.check_again(
            ack,
            again,
            (&self.reference, &self.invariants.rulings),
        )
    }

    /// The last look.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        self.over = true;
        self.note(format_args!("end"));
        self.stats.stranded = self.stranded() as u64;
        self.check_all_pardoned()?;
        self.check_all_went_on()?;
        if let Some(number) = self.unanswered.first() {
            let message =
                format!("acknowledgement {number} was asked for again and nobody answered");
            return Err(Violation::new("liveness", message));
        }
        let standings: Vec<Standing> = self
            .staying()
            .into_iter()
            .filter_map(|(no, member)| self.standing(no, member))
            .collect();
        for standing in &standings {
            let status = standing.status.as_ref();
            let (at, hash) = status.map_or((0, None), |s| (s.applied, Some(s.state_hash)));
            self.note(format_args!("stands {} {} {at} {hash:?}", standing.host, standing.member));
        }
        self.liveness.check(&standings)
    }

    fn standing(&self, host: HostNo, member: MemberId) -> Option<Standing> {
        let life = self.hosts.get(&host).and_then(Host::life)?;
        let gossip: BTreeMap<_, _> =
            life.node.peers().map(|peer| (peer.member, peer.state)).collect();
        let status = life.group.as_ref().map(Group::status);
        Some(Standing { host, member, status, gossip })
    }
}
