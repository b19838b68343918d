//! Builds are installed and taken back, and somebody wants what only the newer one has.

use std::time::Duration;

use mesh_control::command::Command;
use mesh_control::raft::{HeldBack, MemoryDisk, Role, Start, Store, StoreError};
use mesh_model::Edition;
use mesh_model::codec::CodecError;

use super::World;
use super::queue::{Event, Purpose};
use crate::host::{Host, Stage};
use crate::invariants::{Standpoint, Violation};
use crate::net::HostNo;
use crate::upgrade::{Act, NEWER};

/// How long it takes to start the daemon of another build.
const REPLACED: Duration = Duration::from_millis(100);

/// How long an operator takes to put the newer build back where the older one did not start.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

impl World {
    /// Operators do something, if there are any.
    pub(super) fn operate(&mut self) {
        let Some(longest) = self.options.profile.upgrading.filter(|_| !self.calm) else { return };
        let pause = self.operators.pause(longest);
        self.after(pause, Event::Operate);
        let machines: Vec<_> = self.hosts.values().map(|host| (host.no, host.reads)).collect();
        match self.operators.next(&machines, self.clock.elapsed()) {
            None => {}
            Some(Act::Install(no, reads)) => self.install(no, reads),
            Some(Act::Want(no)) => {
                let number = self.operators.next_want();
                self.propose(no, Command::Trial(number), Purpose::Trial);
            }
        }
    }

    /// Every host runs the newer build from now on.
    pub(super) fn upgrade_everybody(&mut self) {
        for no in self.numbers() {
            self.install(no, NEWER);
        }
    }

    /// `no` runs a build that reads `reads`, from now on if it is up.
    pub(super) fn install(&mut self, no: HostNo, reads: Edition) {
        let Some(host) = self.hosts.get_mut(&no).filter(|host| host.reads != reads) else { return };
        host.reads = reads;
        self.note(format_args!("install {no} {reads}"));
        if self.hosts.get(&no).is_some_and(|host| matches!(host.stage, Stage::Up(_))) {
            self.save_hints_of(no);
            self.crash(no);
            self.after(REPLACED, Event::Restart(no));
        }
    }

    /// The build on `no` did not start on what a newer one wrote, and changed nothing. Its operator puts that one back.
    pub(super) fn came_too_late(
        &mut self,
        no: HostNo,
        found: &CodecError,
    ) -> Result<(), Violation> {
        self.note(format_args!("too late to go back at {no}: {found}"));
        if !found.is_newer() || !self.operators.have_wanted() {
            let message = format!("{no} calls its store newer than it is: {found}");
            return Err(Violation::new("a_store_serves", message));
        }
        self.install(no, NEWER);
        self.after(SECOND_THOUGHTS, Event::Restart(no));
        Ok(())
    }

    /// Whether the build on `no` reads what it is to start from. A build that does not finds out before it writes anything.
    pub(super) fn can_begin_with(&self, no: HostNo, start: &Start) -> Result<(), StoreError> {
        let Some(host) = self.hosts.get(&no).filter(|host| host.reads < NEWER) else {
            return Ok(());
        };
        let store = Store::create(MemoryDisk::new().attach(), &self.mesh.root, start.clone())?;
        store.read_up_to(host.reads).map(drop)
    }

    /// Holds `no` to what its build can read.
    pub(super) fn check_build(&self, no: HostNo) -> Result<(), Violation> {
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let Some(group) = host.life().and_then(|life| life.group.as_ref()) else { return Ok(()) };
        let status = group.status();
        self.invariants.builds.check(Standpoint {
            member: group.me(),
            reads: host.reads,
            edition: status.edition,
            applied: status.applied,
            leads: status.leadership.role == Role::Leader,
            outdated: group.outdated().is_some(),
        })
    }

    /// Something new was refused because of others.
    pub(super) fn held_back(&mut self, held: &HeldBack) -> Result<(), Violation> {
        self.stats.held_back += 1;
        self.invariants.builds.check_refusal(held)
    }

    /// In the end nobody is outdated, and all have what was agreed.
    pub(super) fn check_all_went_on(&self) -> Result<(), Violation> {
        for (no, member) in self.staying() {
            let group =
                self.hosts.get(&no).and_then(Host::life).and_then(|life| life.group.as_ref());
            let Some(group) = group else { continue };
            if let Some(unread) = group.outdated() {
                let message = format!("{member} runs the newer build and is outdated: {unread}");
                return Err(Violation::new("liveness", message));
            }
            if self.invariants.builds.has_gone_on() && group.status().edition != NEWER {
                let message = format!("the mesh went on, and {member} did not");
                return Err(Violation::new("no_acknowledged_command_lost", message));
            }
        }
        Ok(())
    }
}
