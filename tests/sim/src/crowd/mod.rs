//! A mesh of a thousand: what a world of ten cannot show.
//!
//! Every member runs agreement as the daemon runs it: Raft, log and snapshots on a disk, sync, checkpoints and
//! their signatures. Gossip is modelled (each member hears of some others every second, truly and a second
//! late), tunnels and the load of [`World`](crate::world::World) are left out: a million tunnels fit into no machine, and
//! neither knows of the other.
//!
//! ```text
//! assemble: admit all ──> start each from its welcome ──> until everybody is fed or follows
//! trial:    trouble ──> commit ──> who applied it when, and who sent it to how many
//! ```
//!
//! A [`trial`] is what happens while something is agreed, and what must hold afterwards.

pub mod census;
pub mod trial;
mod wires;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_control::command::{Command, NEWEST, Outcome, Proposal};
use mesh_control::node::Sighting;
use mesh_control::raft::{Applied, Group, MemoryDisk, Role, Start, Store, Timing};
use mesh_control::sync::Supply;
use mesh_model::MemberId;
use mesh_model::trust::{AdminsHead, MAX_INVITE_USES};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::clock::{self, Clock};
use crate::invariants::Violation;
use crate::net::HostNo;
use crate::seeds::{GroupSeeds, RunSeed};
use crate::trust::{Keys, Mesh, Ticket};
use crate::wall;
use trial::Report;
use wires::Wires;

/// How many others each member hears of each second. Gossip at a probe a second, with what rides on it, tells more.
const HEARD_OF: usize = 8;

/// How long everybody may take to find a source after all were started at once.
const ASSEMBLY: Duration = Duration::from_secs(60);

/// Lets a mesh of `members` live through all trials, and hands each report to `told`.
pub fn run(members: u64, seed: u64, mut told: impl FnMut(Report)) -> Result<(), Violation> {
    clock::runtime().block_on(async {
        let mut crowd = Crowd::assemble(members, RunSeed(seed)).await?;
        for trouble in trial::ALL {
            told(crowd.suffer(trouble).await?);
        }
        Ok(())
    })
}

/// One member's machine.
struct Machine {
    keys: Keys,
    disk: MemoryDisk,
    starts: u64,
    /// `None` while it is down.
    group: Option<Group>,
}

/// A mesh of very many.
pub struct Crowd {
    seed: RunSeed,
    rng: ChaCha8Rng,
    clock: Clock,
    mesh: Mesh,
    wires: Wires,
    machines: BTreeMap<MemberId, Machine>,
    invites: u64,
}

impl Crowd {
    /// A mesh of `members`, all of them running, each with somebody to have the log from.
    pub async fn assemble(members: u64, seed: RunSeed) -> Result<Self, Violation> {
        let clock = Clock::start();
        let founder = Keys::new(seed, HostNo(0), 1);
        let mesh = Mesh::found(seed, &founder);
        let rng = ChaCha8Rng::from_seed(seed.of("crowd", 0));
        let wires = Wires::new(seed.of("wires", 0));
        let machines = BTreeMap::new();
        let mut crowd = Self { seed, rng, clock, mesh, wires, machines, invites: 0 };
        let disk = MemoryDisk::new();
        let start = Start::Genesis(crowd.mesh.genesis.clone());
        let store = Store::create(disk.attach(), &crowd.mesh.root, start);
        let store = store.map_err(|error| Violation::new("a_store_serves", error.to_string()))?;
        let machine = Machine { keys: founder, disk, starts: 0, group: None };
        crowd.machines.insert(MemberId::FOUNDER, machine);
        crowd.start(store).await?;
        crowd.admit(members).await?;
        crowd.until("everybody is fed or follows", ASSEMBLY, Self::is_assembled).await?;
        Ok(crowd)
    }

    /// Lets all of them in, and starts each from what the founder held afterwards.
    async fn admit(&mut self, members: u64) -> Result<(), Violation> {
        let mut joined = Vec::new();
        let mut ticket = self.ticket(MAX_INVITE_USES);
        for number in 2..=members {
            if joined.len() % MAX_INVITE_USES as usize == 0 {
                ticket = self.ticket(MAX_INVITE_USES);
                self.agree(MemberId::FOUNDER, ticket.command()).await?;
            }
            let keys = Keys::new(self.seed, HostNo(0), number);
            let admission = Command::Admit(ticket.admission(&self.mesh.root, &keys));
            match self.agree(MemberId::FOUNDER, admission).await?.outcome {
                Outcome::Admitted { member, .. } => joined.push((member, keys)),
                other => return Err(Violation::new("liveness", format!("{number}: {other:?}"))),
            }
        }
        let Some(founder) = self.group(MemberId::FOUNDER) else { return Ok(()) };
        let snapshot = founder.snapshot();
        for (member, keys) in joined {
            let disk = MemoryDisk::new();
            let start = Start::Welcome {
                member,
                genesis: self.mesh.genesis.clone(),
                admins: AdminsHead::of_root(&self.mesh.root.key),
                snapshot: snapshot.clone(),
            };
            let store = Store::create(disk.attach(), &self.mesh.root, start);
            let store =
                store.map_err(|error| Violation::new("a_store_serves", error.to_string()))?;
            self.machines.insert(member, Machine { keys, disk, starts: 0, group: None });
            self.start(store).await?;
        }
        Ok(())
    }

    async fn start(&mut self, store: Store) -> Result<(), Violation> {
        let me = store.me();
        let Some(machine) = self.machines.get_mut(&me) else { return Ok(()) };
        machine.starts += 1;
        let seeds = GroupSeeds(self.seed.of("group", me.0 << 16 | machine.starts));
        let line = self.wires.line(me, machine.starts);
        let (clock, key) = (self.clock, machine.keys.identity.clone());
        let wall_ms = move || wall::millis(clock.elapsed());
        let group =
            Box::pin(Group::start(store, key, line, &seeds, wall_ms, Timing::default())).await;
        let group = group.map_err(|error| Violation::new("a_store_serves", error.to_string()))?;
        self.wires.connect(me, machine.starts, group.clone());
        machine.group = Some(group);
        Ok(())
    }

    /// An invite for `uses` hosts.
    fn ticket(&mut self, uses: u32) -> Ticket {
        self.invites += 1;
        self.mesh.invite(self.invites, uses, wall::millis(self.clock.elapsed()))
    }

    /// Has `command` agreed, asking `at`.
    async fn agree(&self, at: MemberId, command: Command) -> Result<Applied, Violation> {
        let group = self.group(at);
        let group = group.ok_or_else(|| Violation::new("liveness", format!("{at} is down")))?;
        let applied = group.propose(Proposal { at_ms: 0, command }).await;
        applied.map_err(|error| Violation::new("liveness", format!("not agreed at {at}: {error}")))
    }

    fn group(&self, member: MemberId) -> Option<Group> {
        self.machines.get(&member)?.group.clone()
    }

    /// Those that run, with their groups.
    fn running(&self) -> impl Iterator<Item = (MemberId, &Group)> {
        let groups = self.machines.iter();
        groups.filter_map(|(member, machine)| Some((*member, machine.group.as_ref()?)))
    }

    /// Who leads, by its own word and the latest term.
    fn leader(&self) -> Option<MemberId> {
        let led = self.running().map(|(member, group)| (member, *group.leadership().borrow()));
        let leads = led.filter(|(_, seen)| seen.role == Role::Leader && seen.leader.is_some());
        leads.max_by_key(|(_, seen)| seen.term).map(|(member, _)| member)
    }

    /// Those whom the leader feeds, itself included.
    fn fed(&self) -> BTreeSet<MemberId> {
        let Some(leader) = self.leader().and_then(|leader| self.group(leader)) else {
            return BTreeSet::new();
        };
        let status = leader.status();
        status.voters.into_iter().chain(status.learners).collect()
    }

    /// Five vote, two more are fed, and everybody else has found a source.
    fn is_assembled(&self) -> bool {
        self.running().all(|(_, group)| group.sync_status().progress.supply != Supply::Seeking)
            && self.fed().len() >= trial::LEAST_FED
    }

    /// `count` members at random that nobody feeds.
    fn some_followers(&mut self, count: usize) -> Vec<MemberId> {
        let fed = self.fed();
        let running: Vec<MemberId> = self.running().map(|(member, _)| member).collect();
        let followers: Vec<_> = running.into_iter().filter(|one| !fed.contains(one)).collect();
        followers.sample(&mut self.rng, count).copied().collect()
    }

    /// Power fails at `member`.
    fn crash(&mut self, member: MemberId) {
        self.wires.disconnect(member);
        let Some(machine) = self.machines.get_mut(&member) else { return };
        machine.disk.crash();
        if let Some(group) = machine.group.take() {
            tokio::spawn(async move { group.shutdown().await });
        }
    }

    /// `member` starts again from its disk.
    async fn restart(&mut self, member: MemberId) -> Result<(), Violation> {
        let Some(machine) = self.machines.get(&member) else { return Ok(()) };
        let store = Store::open(machine.disk.attach(), member, &self.mesh.root);
        let store = store.map_err(|error| Violation::new("a_store_serves", error.to_string()))?;
        self.start(store).await
    }

    /// What gossip tells in a second: the truth about some others.
    fn gossip(&mut self) {
        let applied: BTreeMap<MemberId, Option<u64>> = self
            .machines
            .iter()
            .map(|(member, machine)| {
                (*member, machine.group.as_ref().map(|group| group.views().borrow().applied))
            })
            .collect();
        let members: Vec<MemberId> = applied.keys().copied().collect();
        let groups: Vec<Group> = self.running().map(|(_, group)| group.clone()).collect();
        for group in groups {
            for _ in 0..HEARD_OF {
                let about = members[self.rng.random_range(0..members.len())];
                if about != group.me() {
                    let index = applied[&about];
                    group.handle_sighting(Sighting {
                        member: about,
                        dead: index.is_none(),
                        applied: index.unwrap_or(0),
                        reads: Some(NEWEST),
                    });
                }
            }
        }
    }

    /// Lives on until `done`, or for `limit` at the most.
    async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<Duration, Violation> {
        const LOOK: Duration = Duration::from_millis(50);
        let begun = self.clock.elapsed();
        let mut gossip_at = begun;
        loop {
            let now = self.clock.elapsed();
            if now >= gossip_at {
                self.gossip();
                gossip_at = now + Duration::from_secs(1);
            }
            if done(self) {
                return Ok(now - begun);
            }
            if now - begun >= limit {
                return Err(Violation::new("liveness", format!("{what}: not within {limit:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lives on for `time`.
    async fn pass(&mut self, time: Duration) {
        let end = self.clock.elapsed() + time;
        // It cannot fail before its limit, and has nothing to wait for but that.
        let _ = self.until("time passes", time, |crowd| crowd.clock.elapsed() >= end).await;
    }
}

/// Has `command` agreed at `group`, asking again until `limit` is over; at which index.
async fn propose(group: Group, command: Command, limit: Duration) -> Option<u64> {
    let asking = async {
        loop {
            let proposal = Proposal { at_ms: 0, command: command.clone() };
            match Box::pin(group.propose(proposal)).await {
                Ok(applied) => return applied.index,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    tokio::time::timeout(limit, asking).await.ok()
}
