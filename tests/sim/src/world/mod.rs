//! A whole mesh in one thread: hosts with the real cores, the underlay between them, one queue of what
//! happens next.
//!
//! ```text
//!            queue ──due──> World ──> Life (Engine, Node) ──datagrams──> Net ──delay──> queue
//!  tokio's paused clock       ^  └──> Group::propose ...                            (or lost)
//!            tasks of agreement ──notices──┘       └─ Switchboard (calls between groups)
//! ```
//!
//! There is one task that owns the world; agreement runs beside it on the same thread. Whenever all
//! tasks wait, tokio's clock jumps to the next timer. Nothing here asks the operating system for time
//! or randomness, so equal seeds give equal runs: [`trace`](crate::trace) is how that is shown.

mod betraying;
mod breaking;
mod daemons;
mod ending;
mod governing;
mod membership;
mod packets;
mod queue;
mod reading;
mod recovering;
mod rotating;
mod ruling;
mod saving;
mod upgrading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_control::command::Command;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

use crate::admin::Admin;
use crate::bench::Bench;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::host::Host;
use crate::invariants::{Invariants, Liveness, Violation, banned_are_cut_off};
use crate::life::{LifeId, Output};
use crate::load::Load;
use crate::net::{HostNo, Net, Quality};
use crate::plant::{Plant, Refusals};
use crate::profile::Profile;
use crate::reference::Reference;
use crate::seeds::RunSeed;
use crate::switchboard::Switchboard;
use crate::trace::{Line, Trace};
use crate::traitor::Traitor;
use crate::trust::Mesh;
use crate::upgrade::{OLDER, Operators};
use betraying::Treason;
use queue::{Event, Queue, Said};
use recovering::Lost;
use ruling::Courts;

/// The host that founds the mesh.
const FOUNDER: HostNo = HostNo(1);

/// The most events at one moment of virtual time. A busy moment of seven hosts has some hundreds; more
/// is a core that asks to be woken again and again without getting on.
const MAX_EVENTS_AT_ONCE: u64 = 50_000;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Where all randomness comes from.
    pub seed: u64,
    /// What kind of run.
    pub profile: Profile,
    /// End after this many events, if that comes first: to close in on a failure.
    pub max_events: Option<u64>,
    /// Keep the trace's lines.
    pub keep_trace: bool,
    /// A bug to plant.
    pub plant: Option<Plant>,
}

/// What happened, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Hosts.
    pub hosts: u64,
    /// Events handled.
    pub events: u64,
    /// Things that broke or mended.
    pub faults: u64,
    /// Crashes, those of blackouts and of failed disks included.
    pub crashes: u64,
    /// Inner packets sent honestly.
    pub sent: u64,
    /// Those that arrived.
    pub delivered: u64,
    /// Inner packets sent under a forged source.
    pub forged: u64,
    /// Admissions asked for without an invite's secret, and decided.
    pub intruders: u64,
    /// Commands acknowledged.
    pub commands: u64,
    /// Rulings, policies and ends of bans decided.
    pub rulings: u64,
    /// Keys that hosts made.
    pub keys_made: u64,
    /// Changes of keys that were agreed.
    pub rekeys: u64,
    /// Times the lead was handed over on request.
    pub transfers: u64,
    /// What only the newer build has, agreed.
    pub trials: u64,
    /// The same, refused because somebody was too old.
    pub held_back: u64,
    /// Times the mesh went on from one host that was left.
    pub recoveries: u64,
    /// Messages that the traitor made something else of.
    pub lies: u64,
    /// Records that the forger proposed and the mesh refused.
    pub forgeries: u64,
    /// Runs in which the alarm named the traitor.
    pub alarms: u64,
    /// Linearisable reads that were answered.
    pub reads: u64,
    /// Terms that had a leader.
    pub terms: u64,
    /// Members that were away until agreement could not reach them any more.
    pub stranded: u64,
    /// Calls between agreement groups.
    pub calls: u64,
    /// Virtual time.
    pub elapsed: Duration,
}

/// A simulated mesh.
pub struct World {
    options: Options,
    seed: RunSeed,
    clock: Clock,
    queue: Queue,
    notices: mpsc::UnboundedReceiver<Said>,
    notice: mpsc::UnboundedSender<Said>,
    switchboard: Switchboard,
    hosts: BTreeMap<HostNo, Host>,
    mesh: Mesh,
    rng: ChaCha8Rng,
    /// Draws who reads.
    readers: ChaCha8Rng,
    load: Load,
    admin: Admin,
    operators: Operators,
    courts: Courts,
    bench: Bench,
    governors: ChaCha8Rng,
    /// Draws who changes its key.
    rotators: ChaCha8Rng,
    /// Who answered to a key in the middle of the calm that everybody could do without.
    superfluous: Vec<(HostNo, LifeId)>,
    /// What admins said of each other, of labels and of who may reach whom, and whether enough of them signed it.
    governed: Vec<(Command, bool)>,
    treason: Option<Treason>,
    lost: Lost,
    faults: Faults,
    invariants: Invariants,
    liveness: Liveness,
    reference: Reference,
    refusals: Refusals,
    lives: u64,
    nonce: u64,
    stats: Stats,
    /// Nothing breaks any more.
    calm: bool,
    /// All sessions have ended once more.
    sessions_ended: bool,
    over: bool,
    /// Probes on their way, by nonce.
    probes: BTreeMap<u64, crate::invariants::Pair>,
    /// Acknowledged commands whose repetition has not been answered yet.
    unanswered: BTreeSet<usize>,
    /// Events at the present moment.
    at_once: (Duration, u64),
}

/// A link between the best and the worst of `profile`.
fn quality(profile: &Profile, rng: &mut ChaCha8Rng) -> Quality {
    let badness: f64 = rng.random();
    let (best, worst) = (profile.best, profile.worst);
    let between = |a: Duration, b: Duration| a + (b.saturating_sub(a)).mul_f64(badness);
    Quality {
        delay_min: between(best.delay_min, worst.delay_min),
        delay_max: between(best.delay_max, worst.delay_max),
        loss: best.loss + (worst.loss - best.loss) * badness,
        duplication: best.duplication + (worst.duplication - best.duplication) * badness,
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.switchboard.disconnect_all();
    }
}

impl World {
    /// A mesh about to be founded. Must be made and run inside a tokio runtime of one thread that was
    /// started paused, on a thread of its own.
    pub fn new(options: Options) -> Self {
        let clock = Clock::start();
        let seed = RunSeed(options.seed);
        let mut rng = ChaCha8Rng::from_seed(seed.of("world", 0));
        let profile = options.profile;
        let count = rng.random_range(profile.hosts_min..=profile.hosts_max);
        let mut hosts: BTreeMap<_, _> = (1..=count)
            .map(|no| (HostNo(no), Host::new(HostNo(no), profile.clocks, seed)))
            .collect();
        if profile.upgrading.is_some() {
            hosts.values_mut().for_each(|host| host.reads = OLDER);
        }
        let mesh = Mesh::found(seed, &hosts[&FOUNDER].keys);
        let bench = mesh.bench();
        let liar = HostNo(rng.random_range(2..=count));
        let net = Net::new(quality(&profile, &mut rng), seed.of("net", 0));
        let switchboard = Switchboard::new(net, Trace::new(options.keep_trace), clock);
        switchboard.lock().plant = options.plant;
        let (notice, notices) = mpsc::unbounded_channel();
        let mut world = Self {
            options,
            seed,
            clock,
            queue: Queue::default(),
            notices,
            notice,
            switchboard,
            hosts,
            mesh,
            rng,
            readers: ChaCha8Rng::from_seed(seed.of("readers", 0)),
            load: Load::new(seed.of("load", 0), liar, profile.churn),
            admin: Admin::new(seed.of("admin", 0)),
            operators: Operators::new(seed.of("operators", 0)),
            courts: Courts::default(),
            bench,
            governors: ChaCha8Rng::from_seed(seed.of("governors", 0)),
            rotators: ChaCha8Rng::from_seed(seed.of("rotators", 0)),
            superfluous: Vec::new(),
            governed: Vec::new(),
            treason: None,
            lost: Lost::default(),
            faults: Faults::new(profile, seed.of("faults", 0)),
            invariants: Invariants::default(),
            liveness: Liveness::default(),
            reference: Reference::default(),
            refusals: Refusals::default(),
            lives: 0,
            nonce: 0,
            stats: Stats { hosts: u64::from(count), ..Stats::default() },
            calm: false,
            sessions_ended: false,
            over: false,
            probes: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            at_once: (Duration::ZERO, 0),
        };
        world.schedule();
        world
    }

    /// What is known from the start.
    fn schedule(&mut self) {
        let Profile { stormy, calm, script, .. } = self.options.profile;
        let first_fault = self.faults.pause();
        self.queue.add(Duration::ZERO, Event::Load);
        self.queue.add(first_fault, Event::Fault);
        self.queue.add(Duration::from_secs(5), Event::SaveHints);
        self.schedule_rulings();
        self.queue.add(Duration::ZERO, Event::Operate);
        self.schedule_governing();
        self.schedule_rotating();
        self.schedule_treason();
        for (at, kind) in script {
            self.queue.add(*at, Event::Scripted(*kind));
        }
        self.queue.add(stormy, Event::Calm);
        self.queue.add(stormy + calm.mul_f64(0.5), Event::Repeat);
        for part in [0.6, 0.7, 0.8] {
            self.queue.add(stormy + calm.mul_f64(part), Event::Probe);
        }
        self.queue.add(stormy + calm.mul_f64(0.82), Event::EndSessions);
        for part in [0.85, 0.9, 0.95] {
            self.queue.add(stormy + calm.mul_f64(part), Event::Probe);
        }
        self.queue.add(stormy + calm, Event::End);
    }

    /// Runs to the end, or to the first violation.
    pub async fn run(&mut self) -> Result<(), Violation> {
        self.found()?;
        while !self.over {
            let next = self.clock.at(self.next_time());
            tokio::select! {
                biased;
                Some(said) = self.notices.recv() => {
                    self.clock.show();
                    self.hear(said)?;
                }
                () = tokio::time::sleep_until(next) => {
                    self.clock.show();
                    self.advance()?;
                }
            }
            if let Some(violation) = self.switchboard.lock().violation.take() {
                return Err(violation);
            }
        }
        Ok(())
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        let board = self.switchboard.lock();
        Stats {
            terms: self.invariants.leaders.terms() as u64,
            calls: board.calls,
            lies: board.traitor.as_ref().map_or(0, Traitor::lies),
            elapsed: self.clock.elapsed(),
            ..self.stats
        }
    }

    /// A hash over the trace and what hosts sent, and the lines as far as they were kept.
    pub fn story(&self) -> (blake3::Hash, Vec<Line>) {
        let board = self.switchboard.lock();
        (board.trace.digest(), board.trace.lines().to_vec())
    }

    /// When something is to be done next.
    fn next_time(&self) -> Duration {
        let wakes = self.hosts.values().filter_map(|host| host.life()?.wake());
        let wakes = wakes.map(|at| self.clock.since_start(at));
        wakes.chain(self.queue.first()).min().unwrap_or(Duration::MAX)
    }

    /// Does everything that is due.
    fn advance(&mut self) -> Result<(), Violation> {
        let now = self.clock.elapsed();
        while let Some(event) = self.queue.due(now) {
            self.count(now)?;
            self.handle(event)?;
            if self.over {
                return Ok(());
            }
        }
        for no in self.numbers() {
            let at = self.clock.now();
            let Some(life) = self.hosts.get_mut(&no).and_then(Host::life_mut) else { continue };
            if life.wake().is_some_and(|wake| wake <= at) {
                let output = life.handle_timeout(at);
                self.count(now)?;
                self.carry_out(no, output)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, now: Duration) -> Result<(), Violation> {
        self.stats.events += 1;
        if self.at_once.0 != now {
            self.at_once = (now, 0);
        }
        self.at_once.1 += 1;
        if self.at_once.1 > MAX_EVENTS_AT_ONCE {
            let message = format!("{MAX_EVENTS_AT_ONCE} events at one moment, and more to come");
            return Err(Violation::new("time_goes_on", message));
        }
        if self.options.max_events.is_some_and(|most| self.stats.events >= most) {
            self.over = true;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Datagram { from, sender, to, bytes } => {
                self.arrive((from, sender), to, bytes)?;
            }
            Event::Load => self.act()?,
            Event::Fault => self.break_something(),
            Event::Scripted(kind) => self.follow_script(kind),
            Event::Restart(no) => self.restart(no)?,
            Event::Recover(no) => self.recover(no)?,
            Event::Replace { host, back } => self.replace(host, back)?,
            Event::Muster => self.muster()?,
            Event::SaveHints => self.save_hints(),
            Event::TryJoin(joiner) => self.try_join(joiner),
            Event::AskDoor { door, joiner, admission } => {
                self.ask_door(door, joiner, *admission)?;
            }
            Event::Answer { joiner, reply } => self.answer_joiner(joiner, reply)?,
            Event::TryLeave { host, incarnation } => self.try_leave(host, incarnation),
            Event::Rule => self.rule(),
            Event::Operate => self.operate(),
            Event::Govern => self.govern(),
            Event::TryRemove { host, incarnation } => self.try_remove(host, incarnation),
            Event::Pardon => self.pardon_everybody(),
            Event::Betray => self.betray(),
            Event::Forge => self.forge(),
            Event::Watch => self.watch_out()?,
            Event::Calm => self.calm_down(),
            Event::Rotate => self.rotate()?,
            Event::SettleKeys => self.settle_keys()?,
            Event::EndSessions => {
                self.sessions_ended = true;
                self.end_sessions()?;
            }
            Event::Repeat => {
                self.note_superfluous_keys();
                self.repeat_everything();
            }
            Event::Probe => self.probe()?,
            Event::End => self.end()?,
        }
        Ok(())
    }

    /// Adds `event` in `delay` from now.
    fn after(&mut self, delay: Duration, event: Event) {
        self.queue.add(self.clock.elapsed() + delay, event);
    }

    fn numbers(&self) -> Vec<HostNo> {
        self.hosts.keys().copied().collect()
    }

    /// What `host`'s wall clock shows, in milliseconds since the Unix epoch.
    fn wall_ms(&self, host: &Host) -> u64 {
        host.clock.millis(self.clock.elapsed())
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.switchboard.note(what);
    }

    /// Carries out what the life on `no` said.
    fn carry_out(&mut self, no: HostNo, output: Output) -> Result<(), Violation> {
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return Ok(()) };
        let (me, view) = (life.me, Arc::clone(life.node.view()));
        banned_are_cut_off::check_plan(me, &view, life.node.plan())?;
        if output.replanned {
            self.switchboard.set_tunnels(me, life.tunnels());
        }
        for (to, bytes) in output.datagrams {
            self.transmit((no, me), to, bytes);
        }
        for packet in output.delivered {
            self.delivered((me, &view), &packet)?;
        }
        if output.removed {
            self.note(format_args!("removed {no} {me}"));
        }
        Ok(())
    }
}
