//! The end of a run: everything acknowledged is asked for again, and all must be well.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_control::raft::{Applied, Group, GroupStatus};
use mesh_model::MemberId;

use super::World;
use super::queue::{Event, Purpose};
use super::ruling::FIND_BACK;
use crate::host::Host;
use crate::invariants::{Standing, Violation};
use crate::life::Life;
use crate::net::HostNo;
use crate::profile::Profile;

/// How long it takes until what is agreed is with everybody (docs/adr/0025).
const EVERYWHERE: Duration = Duration::from_secs(5);

/// How long after its time the end comes at the latest. An exchange of voters takes a second.
const LATEST: Duration = Duration::from_secs(20);

impl World {
    /// The members that are up, mean to stay, can be helped and were not banned a moment ago.
    pub(super) fn staying(&self) -> Vec<(HostNo, MemberId)> {
        let up = self.hosts.values().filter_map(|host| Some((host.no, host.life()?)));
        up.filter(|(no, life)| !self.is_traitor(life.me) && !self.is_finding_its_way(*no))
            .filter(|(_, life)| !self.reference.is_leaving(life.me) && !self.is_stranded(life))
            .filter(|(_, life)| !self.was_banned_lately(life.me))
            .map(|(no, life)| (no, life.me))
            .collect()
    }

    /// Whether the one on `no` came in a moment ago and is behind, or has heard of no leader: it asks one after the other of those
    /// that its door named, and most of them may be away or gone.
    fn is_finding_its_way(&self, no: HostNo) -> bool {
        let Some(host) = self.hosts.get(&no) else { return false };
        let (Some(joined), Some(life)) = (host.joined, host.life()) else { return false };
        let own = life.group.as_ref().map(Group::status);
        let settled = own.zip(self.furthest()).is_some_and(|(own, mesh)| {
            own.applied >= mesh.applied && own.leadership.leader.is_some()
        });
        !settled && self.clock.elapsed() < joined + FIND_BACK
    }

    /// Whether `life` was away for too long. Agreement cannot help such a member; it has to join again. Records 25 and 34 say when:
    /// nobody that it knows and that knows it has what was agreed since, or whoever signed that can be believed neither
    /// because a majority of the voters it knows votes still, nor because the voters it knows vouch for a majority of those
    /// that vote now.
    pub(super) fn is_stranded(&self, life: &Life) -> bool {
        let (Some(mesh), Some(group)) = (self.furthest(), life.group.as_ref()) else {
            return false;
        };
        let own = group.status();
        if own.applied >= mesh.applied {
            return self.is_alone_with_the_traitor(&own);
        }
        if own.epoch.id != mesh.epoch.id {
            return !self.is_shown_the_way(life, &mesh);
        }
        // Of those that entries name which it has not applied it may not even know that they are members.
        let view = life.node.view();
        let own_voters: Vec<MemberId> =
            own.voters.iter().copied().filter(|voter| view.members.contains_key(voter)).collect();
        let votes =
            |voter: &&MemberId| self.status_of(**voter).is_some() && mesh.voters.contains(voter);
        let is_majority = |some: usize, of: &[MemberId]| 2 * some > of.len();
        let has_news = |member: &MemberId| {
            self.status_of(*member).is_some_and(|seen| seen.applied >= mesh.applied)
        };
        let known = |voter: &&MemberId| {
            let vouches = |by: &MemberId| {
                self.are_joined(life, *by)
                    && self.status_of(*by).is_some_and(|seen| seen.voters.contains(voter))
            };
            own_voters.contains(voter) || own_voters.iter().any(vouches)
        };
        let still_vote = is_majority(own_voters.iter().filter(votes).count(), &own_voters);
        let vouched =
            is_majority(mesh.voters.iter().filter(votes).filter(known).count(), &mesh.voters);
        let mut sources = view.members.keys();
        let sourced = sources.any(|member| self.are_joined(life, *member) && has_news(member));
        !(sourced && (still_vote || vouched))
    }

    /// Whether a member that stands at `own` is alone with the traitor: it lacks something that was agreed, and whoever else voted by
    /// then has left.
    fn is_alone_with_the_traitor(&self, own: &GroupStatus) -> bool {
        let Some(theirs) = self.traitor().and_then(|traitor| self.status_of(traitor)) else {
            return false;
        };
        let mut others = theirs.voters.iter().filter(|voter| !self.is_traitor(**voter));
        let agreed = self.reference.acks().iter().map(|ack| ack.index).max();
        own.applied < theirs.applied
            && Some(theirs.applied) >= agreed
            && others.all(|voter| self.status_of(*voter).is_none())
    }

    /// Whether somebody that `life` has a tunnel with came into the epoch of `mesh` from the one before: whoever came in later has no
    /// way to show (record 30).
    fn is_shown_the_way(&self, life: &Life, mesh: &GroupStatus) -> bool {
        let mut members = life.node.view().members.keys();
        members.any(|member| self.can_show(*member, life, mesh))
    }

    /// Whether `guide` can show `life` the way into the epoch of `mesh`.
    pub(super) fn can_show(&self, guide: MemberId, life: &Life, mesh: &GroupStatus) -> bool {
        let status = self.status_of(guide).filter(|_| self.are_joined(life, guide));
        status.is_some_and(|it| it.epoch.id == mesh.epoch.id && it.epoch.aside.is_some())
    }

    /// What the one that is furthest has seen, the traitor aside.
    pub(super) fn furthest(&self) -> Option<GroupStatus> {
        let lives = self.hosts.values().filter_map(Host::life);
        let honest = lives.filter(|life| !self.is_traitor(life.me));
        let seen = honest.filter_map(|life| life.group.as_ref()).map(Group::status);
        seen.max_by_key(|seen| (seen.leadership.term, seen.applied))
    }

    /// Agreement as `member` sees it, if it is up.
    pub(super) fn status_of(&self, member: MemberId) -> Option<GroupStatus> {
        self.life_of(member)?.group.as_ref().map(Group::status)
    }

    pub(super) fn life_of(&self, member: MemberId) -> Option<&Life> {
        self.hosts.values().filter_map(Host::life).find(|life| life.me == member)
    }

    /// Whether `life` and `member` can talk through a tunnel, or could if either knew where the other is, and somebody can tell them. That nobody
    /// did is no excuse but for one that has heard of nothing since it came in, or was shown the way into an epoch: all it ever knew is
    /// what its door told it, or its guide, and that one may be gone, with what it had not told the others yet.
    fn are_joined(&self, life: &Life, member: MemberId) -> bool {
        let Some(other) = self.life_of(member) else { return false };
        let (here, there) = (life.tunnels(), (member, &other.tunnels()));
        let heard = life.group.as_ref().map(Group::status).is_some_and(|own| {
            own.applied > life.me.0.max(self.invariants.epochs.first_of(own.epoch.id.number))
        });
        here.join(life.me, there)
            || heard && here.could_join(life.me, there) && self.has_go_between(life.me, member)
    }

    /// Whether gossip can get from `one` to `other`, from each to those that it has a tunnel with.
    fn has_go_between(&self, one: MemberId, other: MemberId) -> bool {
        let lives = self.hosts.values().filter_map(Host::life);
        let mut apart: BTreeMap<_, _> = lives.map(|life| (life.me, life.tunnels())).collect();
        let mut next: Vec<_> = apart.remove_entry(&one).into_iter().collect();
        while let Some((me, tunnels)) = next.pop() {
            let joined = apart.extract_if(.., |other, theirs| tunnels.join(me, (*other, theirs)));
            next.extend(joined);
        }
        !apart.contains_key(&other)
    }

    /// How many members are stranded.
    fn stranded(&self) -> usize {
        let lives = self.hosts.values().filter_map(Host::life);
        let meant = lives.filter(|life| !self.reference.is_leaving(life.me));
        meant.filter(|life| !self.is_traitor(life.me) && self.is_stranded(life)).count()
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

    /// The last look, once nothing was agreed for a while: voters change also without anybody's asking.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        let Profile { stormy, calm, .. } = self.options.profile;
        let (now, news) = (self.clock.elapsed(), self.last_news());
        if now < (news + EVERYWHERE).min(stormy + calm + LATEST) {
            self.after(Duration::from_secs(1), Event::End);
            return Ok(());
        }
        self.over = true;
        self.note(format_args!("end"));
        self.stats.stranded = self.stranded() as u64;
        self.check_all_pardoned()?;
        self.check_all_went_on()?;
        self.check_condemned()?;
        self.check_keys()?;
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
