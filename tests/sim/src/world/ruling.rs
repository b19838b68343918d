//! An admin rules, and others try to undo it.
//!
//! Bans end before the mesh is looked at for the last time: shortly before things stop to break nobody is
//! banned any more, and whoever still is, by what any host has shown, is pardoned once a second until that has
//! been agreed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_control::command::Command;
use mesh_control::raft::{Leadership, TransferError};
use mesh_model::MemberId;
use mesh_model::trust::{Ruling, VoterTarget, Wish};
use mesh_model::view::ClusterView;

use super::World;
use super::betraying;
use super::queue::{Event, Notice, Purpose, Said};
use crate::admin::{self, Deed, Scene};
use crate::host::Host;
use crate::invariants::Violation;
use crate::net::HostNo;
use crate::plant::Plant;
use crate::trust::Paper;
use crate::wall;

/// How long before the calm the last ban is spoken: what was proposed is decided by then, or waits in the log
/// of a host that is down.
pub(super) const LENIENT: Duration = Duration::from_secs(20);

/// How often it is looked whether somebody has to be pardoned.
const PARDON_AGAIN: Duration = Duration::from_secs(1);

/// How long an admin waits before it removes a host again that is not gone yet.
const REMOVE_AGAIN: Duration = Duration::from_secs(6);

/// How long after its pardon, or its admission by a member that knew little, a member has found its way: it tries every tunnel every 5 s, must catch up with the
/// log, and gossip has to hear of it.
pub(super) const FIND_BACK: Duration = Duration::from_secs(12);

/// What was ruled so far.
#[derive(Default)]
pub(super) struct Courts {
    /// Everything the root has said, oldest first.
    papers: Vec<Paper>,
    /// The serial of the last policy.
    policies: u64,
    /// The view with the highest index that any host has shown.
    newest: Option<Arc<ClusterView>>,
    /// When it was first shown.
    news_at: Duration,
    /// When a member was last known to be banned, in the time in which that is looked at.
    banned_at: BTreeMap<MemberId, Duration>,
    /// How often everybody was pardoned.
    amnesties: usize,
}

impl Courts {
    /// Whether anybody has said who votes.
    pub(super) fn has_policy(&self) -> bool {
        self.policies > 0
    }
}

impl World {
    /// What is known from the start.
    pub(super) fn schedule_rulings(&mut self) {
        let Some(longest) = self.options.profile.ruling.filter(|_| self.admin.is_busy()) else {
            return;
        };
        let first = self.admin.pause(longest);
        self.queue.add(first, Event::Rule);
        let lenient = self.options.profile.stormy.saturating_sub(LENIENT);
        self.queue.add(lenient, Event::Pardon);
    }

    /// The admin's next deed.
    pub(super) fn rule(&mut self) {
        let Some(longest) = self.options.profile.ruling else { return };
        if self.clock.elapsed() + LENIENT >= self.options.profile.stormy {
            return;
        }
        let pause = self.admin.pause(longest);
        self.after(pause, Event::Rule);
        let scene = self.scene();
        let Some((at, deed)) = self.admin.next(&scene) else { return };
        self.note(format_args!("deed {at} {deed:?}"));
        self.carry_out_deed(at, deed);
    }

    fn carry_out_deed(&mut self, at: HostNo, deed: Deed) {
        match deed {
            Deed::Ban(member, for_ms) => {
                let now_ms = self.hosts.get(&at).map_or(0, |host| self.wall_ms(host));
                let until_ms = for_ms.map(|for_ms| now_ms + for_ms);
                self.judge(at, member, Ruling::Banned { until_ms, reason: None });
            }
            Deed::Pardon(member) => self.judge(at, member, Ruling::Pardoned),
            Deed::Remove(member) => {
                let host = self.hosts.values().find(|host| host.member == Some(member));
                let Some((no, incarnation)) = host.map(|host| (host.no, host.incarnation)) else {
                    return;
                };
                self.try_remove(no, incarnation);
            }
            Deed::SetVoters(target, wishes) => self.set_voters(at, target, wishes),
            Deed::Transfer(to) => self.transfer(at, to),
            Deed::Replay(number) => self.replay(at, number),
            Deed::CallOver(member) => {
                self.propose(at, Command::Lapse(member), Purpose::Rule);
            }
        }
    }

    fn scene(&self) -> Scene {
        let view = self.newest_view();
        let (members, banned) =
            view.map(|view| (view.members.clone(), view.banned.clone())).unwrap_or_default();
        let host_of = |id| self.hosts.values().find(|host| host.member == Some(id));
        let needed = |id| host_of(id).is_some_and(|host| self.is_survivor(host.no));
        let stays = |member: &MemberId| {
            !self.reference.is_leaving(*member) && !self.is_traitor(*member) && !needed(*member)
        };
        Scene {
            doors: self.doors(),
            present: members.into_keys().filter(stays).collect(),
            banned: banned.into_keys().filter(stays).collect(),
            fewest: self.treason.as_ref().map_or(admin::FEWEST, |_| betraying::FEWEST),
            papers: self.courts.papers.len(),
        }
    }

    /// Hosts at which something can be proposed.
    pub(super) fn doors(&self) -> Vec<HostNo> {
        let up = self.hosts.values().filter(|host| host.life().is_some());
        up.map(|host| host.no).filter(|no| !self.is_traitors(*no)).collect()
    }

    /// What was agreed last, as far as any host has ever shown: one that is banned may be the only one left.
    pub(super) fn newest_view(&self) -> Option<Arc<ClusterView>> {
        self.courts.newest.clone()
    }

    /// When that was first shown.
    pub(super) fn last_news(&self) -> Duration {
        self.courts.news_at
    }

    /// Rules about `member` at `at`, with the serial that its daemon proposes.
    pub(super) fn judge(&mut self, at: HostNo, member: MemberId, ruling: Ruling) {
        let Some(identity) =
            self.newest_view().and_then(|view| view.place_of(member).map(|found| found.identity))
        else {
            return;
        };
        let Some(serial) = self.next_serial(at, member) else { return };
        let verdict = self.mesh.verdict((member, identity), serial, ruling);
        self.say(at, Paper::Verdict(verdict));
    }

    /// Says at `at` who votes.
    pub(super) fn set_voters(
        &mut self,
        at: HostNo,
        target: Option<VoterTarget>,
        wishes: BTreeMap<MemberId, Wish>,
    ) {
        self.courts.policies += 1;
        let (target, wishes) = self.with_the_traitor(target, wishes);
        let policy = self.mesh.policy(self.courts.policies, target, wishes);
        self.say(at, Paper::Policy(policy));
    }

    fn next_serial(&self, at: HostNo, member: MemberId) -> Option<u64> {
        let life = self.hosts.get(&at).and_then(Host::life)?;
        Some(life.group.as_ref()?.next_serial(member))
    }

    /// The root signs `paper`, and `at` proposes it.
    fn say(&mut self, at: HostNo, paper: Paper) {
        match &paper {
            Paper::Verdict(verdict) => self.invariants.rulings.sign(verdict),
            Paper::Policy(policy) => self.invariants.policies.sign(policy),
        }
        let command = self.mesh.sign(&paper);
        self.courts.papers.push(paper);
        self.propose(at, command, Purpose::Rule);
    }

    /// Somebody at `at` kept what the root said, and says it again.
    fn replay(&mut self, at: HostNo, number: usize) {
        let Some(mut paper) = self.courts.papers.get(number).cloned() else { return };
        if self.options.plant == Some(Plant::ForgottenSerial) {
            match &mut paper {
                Paper::Verdict(verdict) => {
                    let Some(serial) = self.next_serial(at, verdict.member) else { return };
                    verdict.serial = serial;
                }
                Paper::Policy(policy) => policy.serial = self.courts.policies + 1,
            }
        }
        let command = self.mesh.sign(&paper);
        self.propose(at, command, Purpose::Rule);
    }

    /// A host is removed, the first time or again; it hears nothing of it, and its operator wipes it once
    /// others say that it is gone.
    pub(super) fn try_remove(&mut self, no: HostNo, incarnation: u64) {
        let Some(host) = self.hosts.get(&no).filter(|host| host.incarnation == incarnation) else {
            return;
        };
        let Some(member) = host.member else { return };
        if self.has_left(&host.keys.identity.public()) {
            return self.retire(no);
        }
        self.after(REMOVE_AGAIN, Event::TryRemove { host: no, incarnation });
        let doors = self.doors();
        let Some(at) = self.admin.door(&doors) else { return };
        self.reference.ask_to_leave(member);
        self.judge(at, member, Ruling::Removed);
    }

    /// Whoever is still banned is pardoned, at one door after the other: behind most of them there may be nobody who can have it agreed.
    pub(super) fn pardon_everybody(&mut self) {
        self.after(PARDON_AGAIN, Event::Pardon);
        let Some(view) = self.newest_view() else { return };
        let now = self.clock.elapsed();
        let doors = self.doors();
        let Some(&at) = doors.get(self.courts.amnesties % doors.len().max(1)) else { return };
        self.courts.amnesties += 1;
        let traitor = self.traitor();
        for member in view.banned.keys().filter(|id| Some(**id) != traitor) {
            self.courts.banned_at.insert(*member, now);
            self.judge(at, *member, Ruling::Pardoned);
        }
    }

    /// Whether `member` was banned so lately that it need not have found back.
    pub(super) fn was_banned_lately(&self, member: MemberId) -> bool {
        let banned_at = self.courts.banned_at.get(&member);
        banned_at.is_some_and(|at| self.clock.elapsed() < *at + FIND_BACK)
    }

    /// At the end nobody is banned, unless nobody is left who could pardon.
    pub(super) fn check_all_pardoned(&self) -> Result<(), Violation> {
        let view = self.newest_view().filter(|_| !self.staying().is_empty());
        let mut banned = view.iter().flat_map(|view| view.banned.keys());
        match banned.find(|id| !self.is_traitor(**id)) {
            None => Ok(()),
            Some(member) => {
                let message = format!("nobody could have {member} pardoned in the calm");
                Err(Violation::new("liveness", message))
            }
        }
    }

    /// Holds what `no` has applied, and shows as `view`, to what was ruled.
    pub(super) fn check_rulings(
        &mut self,
        no: HostNo,
        view: &Arc<ClusterView>,
    ) -> Result<(), Violation> {
        if self.courts.newest.as_ref().is_none_or(|newest| newest.applied < view.applied) {
            self.courts.newest = Some(Arc::clone(view));
            self.courts.news_at = self.clock.elapsed();
        }
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return Ok(()) };
        let Some(group) = &life.group else { return Ok(()) };
        // The mesh's clock begins where the genesis says, and all hosts' may be behind that.
        let born_ms = wall::millis(Duration::ZERO);
        let shown_ms = self.hosts.values().map(|host| host.clock.latest_ms());
        let latest_ms = shown_ms.fold(born_ms, u64::max);
        group.read(|state, index| {
            self.invariants.epochs.see(life.me, state.epoch(), index)?;
            self.invariants.governance.see(life.me, index, state, &self.bench)?;
            // It may have moved on, and says so in a moment.
            if index == view.applied {
                self.invariants.rulings.see(life.me, view, state.bans(), latest_ms)?;
            }
            self.invariants.policies.see(life.me, index, state.voters())
        })
    }

    /// Somebody at `at` wants `to` to lead, or anybody else.
    fn transfer(&self, at: HostNo, to: Option<MemberId>) {
        let Some(life) = self.hosts.get(&at).and_then(Host::life) else { return };
        let Some(group) = life.group.clone() else { return };
        let (id, notice, asked) = (life.id, self.notice.clone(), self.switchboard.ask(life.me));
        tokio::spawn(async move {
            let result = Box::pin(group.transfer(to)).await;
            let transferred = Notice::Transferred { asked, result };
            // The world going away means that the run is over.
            let _ = notice.send(Said { host: at, life: id, notice: transferred });
        });
    }

    /// What came of it.
    pub(super) fn transferred(
        &mut self,
        at: HostNo,
        result: Result<Leadership, TransferError>,
    ) -> Result<(), Violation> {
        self.note(format_args!("transferred {at} {result:?}"));
        let Ok(seen) = result else { return Ok(()) };
        self.stats.transfers += 1;
        self.new_leadership(at, &seen)
    }
}
