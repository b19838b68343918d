//! Daemons come and go.

use std::sync::Arc;
use std::time::Duration;

use mesh_control::raft::{Group, GroupFailure, Leadership, Start, Store, StoreError, Timing};
use mesh_model::MemberId;
use mesh_model::view::ClusterView;
use mesh_model::wire::join::PeerHint;

use super::queue::{Event, Notice, Said};
use super::rotating::missing;
use super::saving::stamp_floor;
use super::{FOUNDER, World};
use crate::host::{Host, Stage};
use crate::invariants::Violation;
use crate::life::{Birth, Life, LifeId};
use crate::net::HostNo;
use crate::plant::{self, Plant};
use crate::seeds::GroupSeeds;
use crate::upgrade::NEWER;

/// How long a service manager waits before it starts a daemon again that ended by itself.
const SERVICE_RESTART: Duration = Duration::from_secs(2);

impl World {
    /// `mesh init` on the first host.
    pub(super) fn found(&mut self) -> Result<(), Violation> {
        let start = Start::Genesis(self.mesh.genesis.clone());
        self.invariants.records.asks(FOUNDER, &self.hosts[&FOUNDER].keys);
        self.settle_in(FOUNDER, MemberId::FOUNDER, start, Vec::new())
    }

    /// Makes `no`'s store from `start` and brings its daemon up.
    pub(super) fn settle_in(
        &mut self,
        no: HostNo,
        member: MemberId,
        start: Start,
        hints: Vec<PeerHint>,
    ) -> Result<(), Violation> {
        let (plant, now) = (self.options.plant, self.clock.elapsed());
        let Some(host) = self.hosts.get_mut(&no) else { return Ok(()) };
        (host.member, host.joined) = (Some(member), Some(now));
        host.hints = hints;
        let store = Store::create(host.disk.open(), &self.mesh.root, start);
        let store = store.and_then(|store| store.read_up_to(host.reads));
        let store = store.map_err(|error| refused(no, "create", &error))?;
        match plant {
            Some(Plant::AnswerBeforeSync) => host.disk.lie_about_sync(),
            Some(Plant::DeafToDisk | Plant::DeafAtHome) => host.disk.keep_failures(),
            _ => {}
        }
        self.bring_up(no, store)
    }

    /// A dead host starts again from its disk.
    pub(super) fn restart(&mut self, no: HostNo) -> Result<(), Violation> {
        let root = self.mesh.root;
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let (Stage::Down, Some(member)) = (&host.stage, host.member) else { return Ok(()) };
        if self.is_lost(no) {
            return Ok(());
        }
        self.note(format_args!("restart {no}"));
        let opened = Store::open(host.disk.open(), member, &root);
        match opened.and_then(|store| store.read_up_to(host.reads)) {
            Ok(store) => self.bring_up(no, store),
            Err(StoreError::Disk(error)) if host.disk.has_failed() => {
                self.note(format_args!("store of {no} not opened: {error}"));
                host.disk.crash();
                self.after(SERVICE_RESTART, Event::Restart(no));
                Ok(())
            }
            Err(StoreError::OtherVersion(found)) => self.came_too_late(no, &found),
            Err(error) => Err(refused(no, "open", &error)),
        }
    }

    /// Disk, then tunnels and gossip, then agreement: the boot order of the daemon.
    fn bring_up(&mut self, no: HostNo, store: Store) -> Result<(), Violation> {
        self.lives += 1;
        let (id, me, view) = (LifeId(self.lives), store.me(), store.view());
        let now = self.clock.now();
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let Some(own) = view.place_of(me) else {
            // It heard of its departure, or removal, before it crashed.
            self.retire(no);
            return Ok(());
        };
        let keys = host.keys.cast(own).map_err(|error| missing(no, error))?;
        let birth = Birth {
            id,
            host: no,
            me,
            identity: &host.keys.identity,
            keys,
            reads: host.reads,
            view: Arc::clone(&view),
            hints: host.hints.clone(),
            boot_ms: self.wall_ms(host),
            stamp_floor: stamp_floor(host),
        };
        let mut life = Life::new(birth, own, self.seed, now);
        match self.options.plant {
            Some(Plant::AnySource) => life.bend_updates(plant::any_source),
            Some(Plant::DeafToKeys) => life.bend_updates(plant::deaf_to_keys),
            Some(Plant::KeptTunnels) => life.bend_updates(plant::kept_tunnels),
            _ => {}
        }
        if let Some(rumours) = self.rumours_of(no, id) {
            life.forge_gossip(rumours);
        }
        self.note(format_args!("up {no} {me} at index {}", view.applied));
        let reads = self.hosts.get(&no).map_or(NEWER, |host| host.reads);
        self.invariants.builds.start(me, reads);
        self.switchboard.connect(me, no, id, host.disk.clone());
        let output = life.output(now);
        if let Some(host) = self.hosts.get_mut(&no) {
            host.stage = Stage::Up(Box::new(life));
        }
        self.check_view(me, &view)?;
        self.carry_out(no, output)?;
        self.start_agreement(no, (id, me), store);
        Ok(())
    }

    fn start_agreement(&self, no: HostNo, (life, me): (LifeId, MemberId), store: Store) {
        let line = self.switchboard.line(me, life);
        let seeds = GroupSeeds(self.seed.of("group", life.0));
        let notice = self.notice.clone();
        let Some(host) = self.hosts.get(&no) else { return };
        let (time, clock, key) = (self.clock, host.clock.clone(), host.keys.identity.clone());
        let wall_ms = move || clock.millis(time.elapsed());
        tokio::spawn(async move {
            let timing = Timing::default();
            let started = Box::pin(Group::start(store, key, line, &seeds, wall_ms, timing)).await;
            // The world going away means that the run is over.
            let _ = notice.send(Said { host: no, life, notice: Notice::Started(started) });
        });
    }

    /// Hears what a task says. What a crashed daemon's tasks still say is not heard.
    pub(super) fn hear(&mut self, said: Said) -> Result<(), Violation> {
        let Said { host: no, life, notice } = said;
        if !self.hosts.get(&no).is_some_and(|host| host.lives(life)) {
            if let Notice::Started(Ok(group)) = notice {
                tokio::spawn(async move { group.shutdown().await });
            }
            return Ok(());
        }
        self.check_vouched(no, &notice)?;
        match notice {
            Notice::Started(Ok(group)) => self.agreement_started(no, life, group),
            Notice::Started(Err(error)) => {
                if self.hosts.get(&no).is_some_and(|host| host.disk.has_failed()) {
                    self.give_up(no);
                    return Ok(());
                }
                Err(Violation::new("a_store_serves", format!("{no} cannot start: {error}")))
            }
            Notice::View(view) => self.new_view(no, view),
            Notice::Leadership(seen) => self.new_leadership(no, &seen),
            Notice::Failed(failure) => self.agreement_failed(no, &failure),
            Notice::Proposed { command, purpose, begun, result, .. } => {
                if let Ok(applied) = &result {
                    self.invariants.history.respond(begun, &command, applied)?;
                    self.invariants.rulings.respond(&command, applied)?;
                    self.invariants.policies.respond(&command, applied)?;
                    self.invariants.keys.respond(&command, applied)?;
                    self.invariants.reads.respond(applied);
                    self.invariants.builds.respond(applied);
                    self.read_somewhere();
                    self.refusals.learn(no, &command, applied);
                }
                self.proposed(no, *command, purpose, result)
            }
            Notice::Forged { command, answer } => self.was_forged(&command, answer.as_ref()),
            Notice::Kept { step, done: true, .. } => self.kept(no, step),
            Notice::Kept { done: false, .. } => Ok(()),
            Notice::Transferred { result, .. } => self.transferred(no, result),
            Notice::Read { begun, result, applied, .. } => {
                self.was_read(no, begun, &result, applied)
            }
            Notice::Welcome { joiner, outcome, snapshot, .. } => {
                self.welcome(no, joiner, &outcome, snapshot);
                Ok(())
            }
        }
    }

    /// Holds what `no` vouches for to the state of its disk.
    fn check_vouched(&self, no: HostNo, notice: &Notice) -> Result<(), Violation> {
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return Ok(()) };
        let Some((asker, asked)) = notice.vouched() else { return Ok(()) };
        self.switchboard.check_vouched(life.me, asker, asked)
    }

    fn agreement_started(&mut self, no: HostNo, id: LifeId, group: Group) -> Result<(), Violation> {
        let Some(life) = self.hosts.get_mut(&no).and_then(Host::life_mut) else { return Ok(()) };
        let me = life.me;
        for peer in life.node.peers() {
            group.handle_sighting(peer.sighting());
        }
        life.group = Some(group.clone());
        self.switchboard.answer_with(me, group.clone());
        self.watch(no, id, &group);
        let (seen, view) = (*group.leadership().borrow(), Arc::clone(&group.views().borrow()));
        self.new_leadership(no, &seen)?;
        self.new_view(no, view)
    }

    /// Has tasks tell the world what happens to `group`.
    fn watch(&self, no: HostNo, life: LifeId, group: &Group) {
        let tell = {
            let notice = self.notice.clone();
            move |what| notice.send(Said { host: no, life, notice: what }).is_ok()
        };
        let mut views = group.views();
        let say = tell.clone();
        tokio::spawn(async move {
            while views.changed().await.is_ok() {
                let view = Arc::clone(&views.borrow_and_update());
                if !say(Notice::View(view)) {
                    return;
                }
            }
        });
        let mut leadership = group.leadership();
        let say = tell.clone();
        tokio::spawn(async move {
            while leadership.changed().await.is_ok() {
                let seen = *leadership.borrow_and_update();
                if !say(Notice::Leadership(seen)) {
                    return;
                }
            }
        });
        let group = group.clone();
        tokio::spawn(async move {
            tell(Notice::Failed(group.failed().await));
        });
    }

    fn new_view(&mut self, no: HostNo, view: Arc<ClusterView>) -> Result<(), Violation> {
        let now = self.clock.now();
        let Some(life) = self.hosts.get_mut(&no).and_then(Host::life_mut) else { return Ok(()) };
        let me = life.me;
        let output = life.handle_view(Arc::clone(&view), now);
        self.note(format_args!("view {me} {} {}", view.applied, view.hash));
        self.check_view(me, &view)?;
        self.check_rulings(no, &view)?;
        self.check_build(no)?;
        self.carry_out(no, output)
    }

    /// Holds `view` of `me` to what must be true of every view.
    fn check_view(&mut self, me: MemberId, view: &ClusterView) -> Result<(), Violation> {
        // The first to speak is the one that says most.
        self.invariants.acknowledged.check_view(me, view, &self.reference)?;
        self.invariants.addresses.check(view)?;
        self.invariants.hashes.check(me, view)?;
        self.invariants.records.check_view(me, view)?;
        self.invariants.keys.see(me, view)?;
        self.invariants.history.see(me, view)?;
        self.reference.see(view);
        Ok(())
    }

    pub(super) fn new_leadership(
        &mut self,
        no: HostNo,
        seen: &Leadership,
    ) -> Result<(), Violation> {
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return Ok(()) };
        let me = life.me;
        let (role, term, leader) = (seen.role, seen.term, seen.leader);
        self.note(format_args!("leadership {me} {role:?} {term} {leader:?}"));
        self.invariants.leaders.check(me, seen)?;
        self.check_build(no)
    }

    fn agreement_failed(&mut self, no: HostNo, failure: &GroupFailure) -> Result<(), Violation> {
        let rightly = self.hosts.get(&no).is_some_and(|host| host.disk.has_failed());
        self.note(format_args!("failed {no} {failure}"));
        if rightly && matches!(failure, GroupFailure::Store(_)) {
            self.give_up(no);
            return Ok(());
        }
        Err(Violation::new("agreement_lives", format!("agreement on {no} ended: {failure}")))
    }

    /// The daemon ends by itself, and the service manager starts it again.
    fn give_up(&mut self, no: HostNo) {
        self.crash(no);
        self.after(SERVICE_RESTART, Event::Restart(no));
    }

    /// A host dies: power loss, or `kill -9`.
    pub(super) fn crash(&mut self, no: HostNo) {
        let Some(host) = self.hosts.get_mut(&no) else { return };
        if host.life().is_none() {
            return;
        }
        let Stage::Up(life) = std::mem::replace(&mut host.stage, Stage::Down) else { return };
        host.disk.crash();
        self.stats.crashes += 1;
        self.switchboard.disconnect(life.me);
        self.note(format_args!("crash {no}"));
        end_tasks(*life);
    }

    /// A host that has left is wiped. It may come back as somebody else.
    pub(super) fn retire(&mut self, no: HostNo) {
        let Some(host) = self.hosts.get_mut(&no) else { return };
        let fresh = Host::reinstalled(no, host.incarnation + 1, host.clock.clone(), self.seed);
        let fresh = Host { reads: host.reads, ..fresh };
        let gone = std::mem::replace(host, fresh);
        gone.disk.crash();
        self.note(format_args!("retire {no}"));
        if let Stage::Up(life) = gone.stage {
            self.switchboard.disconnect(life.me);
            end_tasks(*life);
        }
    }
}

/// Lets the tasks of a dead daemon end. They cannot write or speak any more; this only keeps them from
/// using up time.
fn end_tasks(life: Life) {
    if let Some(group) = life.group {
        tokio::spawn(async move { group.shutdown().await });
    }
}

fn refused(no: HostNo, what: &str, error: &StoreError) -> Violation {
    Violation::new("a_store_serves", format!("{no} cannot {what} its store: {error}"))
}
