//! The mesh loses its majority for good, and admins have it go on from one host that is left (docs/adr/0030).
//!
//! All voters but at most one die at once, so nothing more can be agreed in the old epoch. Some time later an admin has one
//! host go on that holds all that was acknowledged: by no other are all the promises kept that the invariants hold the mesh to. Of
//! the dead at most half come back: more of them could agree on something in the old epoch before they hear of the new
//! one. That would be void by the admins' word, and nobody could be held to it. The others are replaced by new hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_control::raft::{Group, Role, Store};
use mesh_model::{Cosigned, MemberId};
use rand::RngExt as _;
use rand::seq::{IteratorRandom as _, SliceRandom as _};

use super::World;
use super::queue::Event;
use crate::host::{Host, Stage};
use crate::invariants::Violation;
use crate::invariants::all_cross::LOOK;
use crate::net::HostNo;

/// The fewest voters of which a majority can be lost while a host is left.
const FEWEST: usize = 3;

/// The longest it takes until somebody comes and recovers the mesh, in milliseconds.
const COMING_MS: u64 = 15_000;

/// The longest pause until one more of the dead comes back, in milliseconds.
const AWAY_MS: u64 = 30_000;

/// Those that were lost.
#[derive(Default)]
pub(super) struct Lost {
    /// They do not start by themselves.
    hosts: BTreeSet<HostNo>,
    /// Whom the mesh is to go on from. Once is enough for a run, and that one stays: others could not show the way.
    survivor: Option<HostNo>,
}

impl World {
    /// Whether `no` is lost, at least for now.
    pub(super) fn is_lost(&self, no: HostNo) -> bool {
        self.lost.hosts.contains(&no)
    }

    /// Whether the mesh went on from `no`, or is to.
    pub(super) fn is_survivor(&self, no: HostNo) -> bool {
        self.lost.survivor == Some(no)
    }

    /// The majority of the voters dies.
    pub(super) fn lose_the_majority(&mut self) {
        let Some((leader, voters)) = self.led_by_enough() else { return };
        let Some(survivor) = self.survivor(leader) else { return };
        self.lost.survivor = Some(survivor);
        let votes = |host: &&Host| host.member.is_some_and(|member| voters.contains(&member));
        let lost = self.hosts.values().filter(votes).map(|host| host.no);
        let mut lost: Vec<HostNo> = lost.filter(|no| *no != survivor).collect();
        self.note(format_args!("lost {lost:?}, left {survivor}"));
        for no in &lost {
            self.crash(*no);
        }
        self.lost.hosts.extend(&lost);
        let coming = Duration::from_millis(self.rng.random_range(0..COMING_MS));
        self.after(coming, Event::Recover(survivor));
        lost.shuffle(&mut self.rng);
        let most = voters.len() / 2;
        for (number, no) in lost.into_iter().enumerate() {
            let away = Duration::from_millis(self.rng.random_range(0..AWAY_MS));
            let back = number < most;
            self.after(coming + away, Event::Replace { host: no, back });
        }
    }

    /// The host that leads, and who votes, if nothing is in the way of losing them.
    fn led_by_enough(&self) -> Option<(HostNo, Vec<MemberId>)> {
        let last = Duration::from_millis(COMING_MS + AWAY_MS);
        let late = self.clock.elapsed() + last > self.options.profile.stormy;
        if late || self.lost.survivor.is_some() {
            return None;
        }
        let (no, status) = self.hosts.values().find_map(|host| {
            let status = host.life()?.group.as_ref()?.status();
            (status.leadership.role == Role::Leader).then_some((host.no, status))
        })?;
        // Of those it leads every one dies that could agree on more.
        let known = |member: &MemberId| self.hosts.values().any(|it| it.member == Some(*member));
        let enough = status.voters.len() >= FEWEST && !status.changing;
        (enough && status.voters.iter().all(known)).then_some((no, status.voters))
    }

    /// A host that has all that was acknowledged.
    fn survivor(&mut self, leader: HostNo) -> Option<HostNo> {
        let agreed = self.hosts.get(&leader)?.life()?.group.as_ref()?.status().commit;
        let stays = |host: &&Host| {
            let has_all = |life: &crate::life::Life| {
                life.node.view().applied >= agreed
                    && life.node.view().members.contains_key(&life.me)
                    && !self.reference.is_leaving(life.me)
            };
            host.life().is_some_and(has_all) && !host.disk.is_troubled()
        };
        let hosts: Vec<HostNo> = self.hosts.values().filter(stays).map(|host| host.no).collect();
        hosts.into_iter().choose(&mut self.rng)
    }

    /// An admin has the mesh go on from `no`.
    pub(super) fn recover(&mut self, no: HostNo) -> Result<(), Violation> {
        // What was not written otherwise is lost, as in a crash.
        self.save_hints_of(no);
        self.crash(no);
        let (root, now_ms) = (self.mesh.root, self.hosts.get(&no).map(|host| self.wall_ms(host)));
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let (Stage::Down, Some(member), Some(now_ms)) = (&host.stage, host.member, now_ms) else {
            return Ok(());
        };
        host.disk.mend();
        let refused = |error: &dyn std::fmt::Display| {
            Violation::new("recovery", format!("{no} cannot go on alone: {error}"))
        };
        let mut store =
            Store::open(host.disk.open(), member, &root).map_err(|error| refused(&error))?;
        let survey = store.survey().map_err(|error| refused(&error))?;
        let mut begun = Cosigned::new(&survey.statement(now_ms, None));
        self.bench.cosign(&survey.admins().head(), &mut begun);
        let epoch = store.begin_epoch(&begun).map_err(|error| refused(&error))?;
        drop(store);
        let id = epoch.id(&begun);
        self.note(format_args!("recover {no} {member} from {} into {id}", epoch.from));
        self.invariants.leaders.named(id.first_term(), member);
        self.invariants.epochs.begin(id, epoch.first);
        self.stats.recoveries += 1;
        self.after(LOOK, Event::Muster);
        self.restart(no)
    }

    /// It is looked whether somebody stays in an epoch that is over though another could show it the way.
    pub(super) fn muster(&mut self) -> Result<(), Violation> {
        self.after(LOOK, Event::Muster);
        let Some(mesh) = self.furthest() else { return Ok(()) };
        let lives = || self.hosts.values().filter_map(|host| Some((host.no, host.life()?)));
        let left = lives().filter(|(_, life)| {
            let status = life.group.as_ref().map(Group::status);
            status.is_some_and(|own| own.epoch.id != mesh.epoch.id)
        });
        let board = self.switchboard.lock();
        let open = |one, other| board.net.is_open((one, other)) && board.net.is_open((other, one));
        let waiting = left.flat_map(|(no, life)| {
            let guides = lives().filter(move |(guide, _)| open(no, *guide));
            let guides = guides.filter(|(_, guide)| self.can_show(guide.me, life, &mesh));
            guides.map(|(_, guide)| ((life.me, life.id), (guide.me, guide.id)))
        });
        let waiting: Vec<_> = waiting.collect();
        drop(board);
        self.invariants.crossings.see(&waiting, self.clock.elapsed())
    }

    /// What becomes of one that was lost: it is `back`, or another host takes its place.
    pub(super) fn replace(&mut self, no: HostNo, back: bool) -> Result<(), Violation> {
        self.lost.hosts.remove(&no);
        match back {
            true => self.restart(no),
            false => {
                self.retire(no);
                Ok(())
            }
        }
    }
}
