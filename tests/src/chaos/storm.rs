//! Real daemons under faults drawn from a seed: killed, stopped and continued, cut off one way and both, on links
//! that lose; meanwhile somebody writes.
//!
//! ```text
//! for the span:  a fault begins, lasts a few seconds, ends; up to three at once
//!                host 1 makes invites; the last host joins, leaves, joins ...
//! then:          everything is mended, all daemons run
//! must hold:     something went wrong, something was acknowledged, and something new is agreed;
//!                what was acknowledged is there, everywhere; equal state at equal index; all are alive to each
//!                other; no daemon has ended by itself; no error and no panic in any log
//! ```
//!
//! The seed decides which faults come when. What they meet, real time decides: a seed that fails is a good place to look,
//! and no replay.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_model::api::v1::{GossipState, InviteReply, Invites};
use mesh_model::id::InviteId;
use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::mesh::{Mesh, exit};
use crate::wait::eventually;
use crate::wire::Rule;

/// Faults at once: with more, nothing but elections would happen.
const MAX_FAULTS: usize = 3;

/// How long a fault lasts: from less than an election takes to longer than gossip waits for the dead.
const FAULT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(12)];

/// How long until the next one begins.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];

/// How often what is due is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// The share of frames that a bad link loses.
const LOSS: f64 = 0.2;

/// How long the mesh may take to be whole again: a minute until a silent voter is replaced, and an election.
const MEND_LIMIT: Duration = Duration::from_secs(90);

/// Between one invite and the next, so that a run of an hour makes no more than a mesh may hold.
const WRITE_EVERY: Duration = Duration::from_millis(400);

/// What is wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// The daemon is dead.
    Killed(usize),
    /// The daemon stands still.
    Stopped(usize),
    /// No frames from the first to the second of each pair.
    Cut(Vec<(usize, usize)>),
    /// Frames of this host are lost now and then, in both directions.
    Lossy(usize),
}

/// Who is cut off from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Some of the hosts from the others.
    Some,
    /// One host from all others.
    One,
    /// One host from one other.
    Link,
}

impl Cut {
    /// The directions that carry nothing, one at least. `host` is on one side, and another one on the other.
    fn draw(self, host: usize, hosts: usize, chance: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
        let other = 1 + (host + chance.random_range(0..hosts - 1)) % hosts;
        let one_way: bool = chance.random();
        let near: BTreeSet<usize> = match self {
            Self::Some => {
                (1..=hosts).filter(|&it| it == host || (it != other && chance.random())).collect()
            }
            Self::One | Self::Link => BTreeSet::from([host]),
        };
        (1..=hosts)
            .flat_map(|from| (1..=hosts).map(move |to| (from, to)))
            .filter(|(from, to)| near.contains(from) != near.contains(to))
            .filter(|(from, _)| !one_way || near.contains(from))
            .filter(|(from, to)| self != Self::Link || *from == other || *to == other)
            .collect()
    }
}

/// A mesh in a storm.
#[derive(Debug)]
pub struct Storm {
    lab: Lab,
    seed: u64,
    chance: ChaCha8Rng,
    faults: Vec<(Instant, Fault)>,
    seen: Weathered,
}

/// What it has been through.
#[derive(Debug, Clone, Default)]
pub struct Weathered {
    /// Daemons killed and started again.
    pub kills: usize,
    /// Daemons stopped and continued.
    pub stops: usize,
    /// Partitions, one way or both, and single links cut.
    pub cuts: usize,
    /// Hosts on a bad link.
    pub losses: usize,
    /// Invites that were acknowledged.
    pub acknowledged: usize,
    /// Invites that failed, or whose answer was lost.
    pub unanswered: usize,
    /// Until all were whole again.
    pub mended_after: Duration,
}

impl Storm {
    /// A formed mesh of `hosts` on our own wire. `seed` decides what it will go through.
    pub fn prepare(hosts: usize, seed: u64) -> Result<Self> {
        let mut lab = Lab::wired(hosts, seed)?;
        lab.form()?;
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self { lab, seed, chance, faults: Vec::new(), seen: Weathered::default() })
    }

    /// Faults for `span`, then everything is mended and held to account.
    pub fn run(mut self, span: Duration) -> Result<Weathered> {
        let over = AtomicBool::new(false);
        let (writer, comer) = (self.lab.host(1).mesh(), self.comer().mesh());
        let name = self.comer().name();
        let written = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write(&writer, &over));
            let coming = scope.spawn(|| come_and_go(&comer, &writer, &name, &over));
            let weathered = self.weather(span);
            over.store(true, Ordering::Relaxed);
            let written = writing.join().unwrap_or_else(|_| Err("the writer panicked".into()));
            let token = coming.join().unwrap_or_else(|_| Err("the comer panicked".into()));
            weathered.and(Ok((written?, token?)))
        });
        let outcome = written.and_then(|(written, token)| self.account(&written, token.as_deref()));
        match outcome.and_then(|()| self.lab.check_logs()) {
            Ok(()) => Ok(self.seen),
            Err(error) => {
                let kept = std::env::temp_dir().join(format!("mesh-storm-{}", self.seed));
                self.lab.keep_logs(&kept)?;
                Err(Error::Failed(format!("{error}; the logs are in {}", kept.display())))
            }
        }
    }

    /// The host that joins and leaves and joins again.
    fn comer(&self) -> &crate::host::Host {
        self.lab.host(self.lab.hosts().len())
    }

    /// Faults begin and end.
    fn weather(&mut self, span: Duration) -> Result<()> {
        let end = Instant::now() + span;
        let mut next = Instant::now();
        while Instant::now() < end {
            let now = Instant::now();
            if let Some(at) = self.faults.iter().position(|(until, _)| *until <= now) {
                let (_, fault) = self.faults.remove(at);
                self.finish(fault)?;
            }
            if now >= next {
                next = now + self.between(PAUSE);
                if self.faults.len() < MAX_FAULTS {
                    let until = now + self.between(FAULT);
                    let fault = self.draw();
                    self.begin(&fault)?;
                    self.faults.push((until, fault));
                    self.lay_wire();
                }
            }
            self.check_running()?;
            std::thread::sleep(LOOK);
        }
        while let Some((_, fault)) = self.faults.pop() {
            self.finish(fault)?;
        }
        Ok(())
    }

    /// A time between the two, more often a short one.
    fn between(&mut self, [shortest, longest]: [Duration; 2]) -> Duration {
        let share: f64 = self.chance.random();
        shortest + (longest - shortest).mul_f64(share * share)
    }

    /// The next fault. A host that is dead or stands still is not struck again.
    fn draw(&mut self) -> Fault {
        let hosts = self.lab.hosts().len();
        let host = self.chance.random_range(1..=hosts);
        let struck = self.faults.iter().any(|(_, fault)| {
            matches!(fault, Fault::Killed(other) | Fault::Stopped(other) if *other == host)
        });
        match self.chance.random_range(0..7) {
            0 | 1 if !struck => Fault::Killed(host),
            2 if !struck => Fault::Stopped(host),
            3 => Fault::Lossy(host),
            kind => {
                let cut = match kind {
                    4 => Cut::Some,
                    5 => Cut::Link,
                    _ => Cut::One,
                };
                Fault::Cut(cut.draw(host, hosts, &mut self.chance))
            }
        }
    }

    fn begin(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Killed(host) => {
                self.seen.kills += 1;
                self.lab.host_mut(*host).kill()
            }
            Fault::Stopped(host) => {
                self.seen.stops += 1;
                self.lab.host_mut(*host).running()?.signal(Signal::SIGSTOP)
            }
            Fault::Cut(_) => {
                self.seen.cuts += 1;
                Ok(())
            }
            Fault::Lossy(_) => {
                self.seen.losses += 1;
                Ok(())
            }
        }
    }

    fn finish(&mut self, fault: Fault) -> Result<()> {
        self.lay_wire();
        match fault {
            Fault::Killed(host) => self.lab.host_mut(host).start_unready(),
            Fault::Stopped(host) => self.lab.host_mut(host).running()?.signal(Signal::SIGCONT),
            Fault::Cut(_) | Fault::Lossy(_) => Ok(()),
        }
    }

    /// The wire as the faults of the moment have it.
    fn lay_wire(&self) {
        let (wire, hosts) = (self.lab.wire(), self.lab.hosts().len());
        wire.heal();
        let lossy = |host| self.faults.iter().any(|(_, fault)| *fault == Fault::Lossy(host));
        for (from, to) in (1..=hosts).flat_map(|from| (1..=hosts).map(move |to| (from, to))) {
            let loss = if lossy(from) || lossy(to) { LOSS } else { 0.0 };
            wire.rule(from, to, Rule { loss, ..Rule::default() });
        }
        for (_, fault) in &self.faults {
            if let Fault::Cut(pairs) = fault {
                pairs.iter().for_each(|&(from, to)| wire.cut(from, to));
            }
        }
    }

    /// Who was not killed must run.
    fn check_running(&mut self) -> Result<()> {
        for number in 1..=self.lab.hosts().len() {
            let killed = self.faults.iter().any(|(_, fault)| *fault == Fault::Killed(number));
            if !killed && !self.lab.host_mut(number).is_running() {
                let ended = self.lab.host_mut(number).running()?.poll_exit();
                return Err(Error::Failed(format!("the daemon of n{number} ended: {ended:?}")));
            }
        }
        Ok(())
    }

    /// Everything is whole again, and nothing that was acknowledged is missing.
    fn account(&mut self, written: &Written, token: Option<&str>) -> Result<()> {
        let started = Instant::now();
        eventually(MEND_LIMIT, "the host that comes and goes is a member", || {
            self.bring_back(token).ok()?.then_some(())
        })?;
        eventually(MEND_LIMIT, "all hosts show the same state and find each other alive", || {
            self.is_whole().ok()?.then_some(())
        })?;
        self.seen.mended_after = started.elapsed();
        let Weathered { kills, stops, cuts, losses, .. } = self.seen;
        if kills + stops + cuts + losses == 0 {
            return Err("there was no storm; nothing was tried".into());
        }
        if written.acknowledged.is_empty() {
            return Err("the storm let nothing be agreed; nothing was tried".into());
        }
        self.lab.host(1).invite(1)?;
        for host in self.lab.hosts() {
            let known: Invites = host.mesh().get(&["invites", "list"])?;
            let known: BTreeSet<InviteId> =
                known.invites.iter().map(|invite| invite.invite).collect();
            let lost: Vec<_> = written.acknowledged.difference(&known).collect();
            if !lost.is_empty() {
                let (name, count) = (host.name(), lost.len());
                return Err(Error::Failed(format!("{name} lost {count} invites: {lost:?}")));
            }
        }
        self.seen.acknowledged = written.acknowledged.len();
        self.seen.unanswered = written.unanswered;
        self.check_running()
    }

    /// Has the host that comes and goes be a member; whether it is one, by its own account and the mesh's.
    fn bring_back(&self, token: Option<&str>) -> Result<bool> {
        let comer = self.comer();
        let Ok((member, _)) = comer.membership() else {
            if token.is_none_or(|token| comer.join(token).is_err()) {
                comer.join(&self.lab.host(1).invite(1)?.token)?;
            }
            return Ok(false);
        };
        let seen = self.lab.host(1).status()?;
        if seen.raft.is_some_and(|raft| raft.leader.is_none()) {
            return Ok(false);
        }
        let known = seen.peers.iter().any(|peer| peer.member == member);
        if !known {
            // Its goodbye was agreed, and neither the answer nor the news of it came back through the storm: the
            // error says what to do then.
            comer.mesh().run(&["leave", "--yes", "--force"])?.json()?;
        }
        Ok(known)
    }

    fn is_whole(&self) -> Result<bool> {
        let members = self.lab.hosts().len();
        let mut agreed = BTreeSet::new();
        for host in self.lab.hosts() {
            let status = host.status()?;
            let alive =
                status.gossip.iter().filter(|seen| seen.state == GossipState::Alive).count();
            let Some(raft) = status.raft else { return Ok(false) };
            if (status.members, alive) != (members, members) || status.degraded.is_some() {
                return Ok(false);
            }
            agreed.insert((raft.applied, raft.state_hash.to_string()));
        }
        Ok(agreed.len() == 1)
    }
}

/// What the writer did.
#[derive(Debug, Default)]
struct Written {
    acknowledged: BTreeSet<InviteId>,
    unanswered: usize,
}

/// Makes invites until it is over.
fn write(mesh: &Mesh, over: &AtomicBool) -> Result<Written> {
    let mut written = Written::default();
    while !over.load(Ordering::Relaxed) {
        // Longer than any run, so that none is forgotten for its age.
        let answer = mesh.run(&["invite", "--lifetime", "24h"])?;
        match answer.code {
            Some(exit::OK) => {
                written.acknowledged.insert(answer.document::<InviteReply>()?.invite);
            }
            Some(exit::FAILED | exit::UNREACHABLE | exit::NO_QUORUM | exit::TIMED_OUT) => {
                written.unanswered += 1;
            }
            _ => return Err(Error::Failed(format!("an invite came to {answer:?}"))),
        }
        std::thread::sleep(WRITE_EVERY);
    }
    Ok(written)
}

/// Leaves and joins until it is over. The token of a join that has had no answer: it may have been used, for the host
/// that tries again with it.
fn come_and_go(mesh: &Mesh, admin: &Mesh, name: &str, over: &AtomicBool) -> Result<Option<String>> {
    let mut pending: Option<String> = None;
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(WRITE_EVERY);
        if let Some(token) = &pending {
            let answer = mesh.run_with_input(&["join", "--name", name], token)?;
            // Joined already: the answer before was lost with the daemon.
            if answer.code == Some(exit::OK) || answer.stderr.contains("already_joined") {
                pending = None;
            }
            continue;
        }
        let left = mesh.run(&["leave", "--yes"])?;
        if left.code == Some(exit::OK) || left.stderr.contains("not_joined") {
            let invite = admin.run(&["invite", "--lifetime", "24h"])?;
            pending = invite.document::<InviteReply>().ok().map(|invite| invite.token);
        }
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_drawn_something_is_cut_and_a_link_is_one() {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        for host in (1..=3).cycle().take(300) {
            assert!(!Cut::Some.draw(host, 3, &mut chance).is_empty());
            assert!(matches!(Cut::One.draw(host, 3, &mut chance).len(), 2 | 4));
            assert!(matches!(Cut::Link.draw(host, 3, &mut chance).len(), 1 | 2));
        }
    }
}
