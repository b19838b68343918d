//! Things break and mend.

use std::collections::BTreeSet;

use mesh_control::raft::Role;
use rand::RngExt as _;

use super::World;
use super::queue::Event;
use crate::faults::{Condition, Fault, Kind};
use crate::host::{Host, Stage};
use crate::net::HostNo;

/// The longest a host takes to come back when power returns, in milliseconds.
const BOOT_MS: u64 = 3000;

/// The longest a service manager takes to start a daemon again that was killed, in milliseconds.
const AT_ONCE_MS: u64 = 200;

impl World {
    /// The next fault.
    pub(super) fn break_something(&mut self) {
        if self.calm {
            return;
        }
        let pause = self.faults.pause();
        self.after(pause, Event::Fault);
        let condition = self.condition();
        let fault = self.faults.next(&condition);
        self.suffer(fault, &condition);
    }

    /// What the script says.
    pub(super) fn follow_script(&mut self, kind: Kind) {
        let condition = self.condition();
        let fault = self.faults.of(kind, &condition);
        self.suffer(fault, &condition);
    }

    fn suffer(&mut self, fault: Option<Fault>, condition: &Condition) {
        let Some(fault) = fault else { return };
        self.stats.faults += 1;
        self.note(format_args!("fault {fault:?}"));
        self.apply(fault, &condition.up);
    }

    fn condition(&self) -> Condition {
        let numbers = |stage: fn(&Stage) -> bool| -> BTreeSet<HostNo> {
            let hosts = self.hosts.values().filter(|host| stage(&host.stage));
            hosts.map(|host| host.no).collect()
        };
        let up = numbers(|stage| matches!(stage, Stage::Up(_)));
        let down = numbers(|stage| matches!(stage, Stage::Down));
        Condition { up, down, leader: self.leader() }
    }

    /// The host that leads; of several that say so the one of the latest term.
    fn leader(&self) -> Option<HostNo> {
        let says =
            |host: &Host| Some((host.no, *host.life()?.group.as_ref()?.leadership().borrow()));
        let said = self.hosts.values().filter_map(says);
        let leaders = said.filter(|(_, seen)| seen.role == Role::Leader);
        leaders.max_by_key(|(_, seen)| seen.term).map(|(no, _)| no)
    }

    fn apply(&mut self, fault: Fault, up: &BTreeSet<HostNo>) {
        match fault {
            Fault::Crash(no) => {
                self.crash(no);
                // Every third is a daemon that dies and is started again at once, while what it said
                // before is still on its way.
                if self.rng.random_bool(0.33) {
                    let delay = self.some_millis(AT_ONCE_MS);
                    self.after(delay, Event::Restart(no));
                }
            }
            Fault::Restart(no) => self.queue.add(self.clock.elapsed(), Event::Restart(no)),
            Fault::Cut(_, links) => self.switchboard.lock().net.cut(&links),
            Fault::Worsen(weather, links) => self.switchboard.lock().net.worsen(&links, weather),
            Fault::Heal => self.switchboard.lock().net.heal(),
            Fault::Disk(no, trouble) => {
                if let Some(host) = self.hosts.get(&no) {
                    host.disk.trouble(trouble);
                }
            }
            Fault::MendDisk(no) => {
                if let Some(host) = self.hosts.get(&no) {
                    host.disk.mend();
                }
            }
            Fault::SetClock(no, ahead_ms) => {
                let (elapsed, now) = (self.clock.elapsed(), self.clock.now());
                if let Some(host) = self.hosts.get_mut(&no) {
                    host.clock.set(ahead_ms);
                    let wall_ms = host.clock.millis(elapsed);
                    if let Some(life) = host.life_mut() {
                        life.handle_wall(wall_ms, now);
                    }
                }
            }
            Fault::LoseMajority => self.lose_the_majority(),
            Fault::Blackout => {
                for no in up {
                    self.crash(*no);
                    let delay = self.some_millis(BOOT_MS);
                    self.after(delay, Event::Restart(*no));
                }
            }
        }
    }

    /// Nothing breaks from now on, and what is broken mends.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.note(format_args!("calm"));
        self.upgrade_everybody();
        {
            let mut board = self.switchboard.lock();
            board.net.heal();
            board.net.set_quality(self.options.profile.best);
        }
        let troubled = self.hosts.values().filter(|host| host.disk.is_troubled());
        let troubled: Vec<HostNo> = troubled.map(|host| host.no).collect();
        for no in troubled {
            // A disk that failed once is replaced or reset, and that takes a reboot.
            self.crash(no);
            if let Some(host) = self.hosts.get(&no) {
                host.disk.mend();
            }
        }
        for no in self.numbers() {
            if self.hosts.get(&no).map(Host::is_down) == Some(true) {
                let delay = self.some_millis(BOOT_MS);
                self.after(delay, Event::Restart(no));
            }
        }
    }
}
