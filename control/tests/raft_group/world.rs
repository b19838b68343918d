//! Members with memory disks on a network in memory, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::command::{Command, NEWEST, Outcome};
#[cfg(feature = "next")]
use mesh_control::node::Sighting;
use mesh_control::ports::{Seeds, Transport, TransportError};
use mesh_control::raft::{
    Applied, Group, GroupError, GroupStatus, MemoryDisk, ProposeError, Role, Start, Store, Timing,
};
use mesh_model::trust::{AdminsHead, Ruling, VoterTarget};
use mesh_model::{Edition, IdentitySecret, MemberId};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{BORN_MS, Host, Mesh, Ticket, after};
use crate::liar::Lie;

/// One way through the network, unless the test says otherwise: a fast home line.
const TRAVEL: Duration = Duration::from_millis(5);

/// How long a test waits for what must come, in virtual time: many elections.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is up, who is cut off, and everything that was sent.
#[derive(Default)]
struct Wires {
    groups: BTreeMap<MemberId, Group>,
    cut: BTreeSet<MemberId>,
    /// Nothing arrives at these, neither questions nor answers, and nobody is told.
    deaf: BTreeSet<MemberId>,
    /// Nothing arrives at the second of these from the first.
    severed: BTreeSet<(MemberId, MemberId)>,
    /// What is sent to or by these is on its way for so much longer.
    far: BTreeMap<MemberId, Duration>,
    /// Of so many messages one is lost on its way; none while it is 0.
    lost_of: u64,
    sent: u64,
    newer: BTreeSet<MemberId>,
    /// They answer in the version in which they were asked.
    answer_in_kind: bool,
    /// What these answer tells the first proposal's time a millisecond late.
    distorting: BTreeSet<MemberId>,
    /// Who tells whom something else than it knows, as a source.
    lying: Option<(BTreeSet<MemberId>, MemberId, Lie)>,
    lies: u64,
    trace: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Net {
    wires: Arc<Mutex<Wires>>,
    born: Instant,
    travel: Duration,
}

impl Net {
    fn new(travel: Duration) -> Self {
        Self { wires: Arc::default(), born: Instant::now(), travel }
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().expect("no test panics while it holds the network")
    }

    fn reach(&self, from: MemberId, to: MemberId) -> Result<Group, TransportError> {
        let wires = self.lock();
        let connected = !wires.cut.contains(&from) && !wires.cut.contains(&to);
        let group = wires.groups.get(&to).filter(|_| connected);
        group.cloned().ok_or(TransportError::Unreachable(to))
    }

    /// What `to` hears: members of the next version are understood by each other only.
    fn as_said(&self, from: MemberId, to: MemberId, message: &[u8]) -> Vec<u8> {
        let wires = self.lock();
        let mut said = message.to_vec();
        if wires.newer.contains(&from) && !wires.newer.contains(&to) {
            // The first byte is the version; no build reads this one.
            said[0] = u8::MAX;
        }
        said
    }

    /// What `to` hears of an answer.
    fn as_answered(&self, from: MemberId, to: MemberId, message: &[u8]) -> Vec<u8> {
        let in_kind = self.lock().answer_in_kind;
        let mut said = if in_kind { message.to_vec() } else { self.as_said(from, to, message) };
        let time = BORN_MS.to_le_bytes();
        let at = said.windows(time.len()).position(|bytes| bytes == time);
        if let Some(at) = at.filter(|_| self.lock().distorting.contains(&from)) {
            said[at] ^= 1;
        }
        self.as_told(from, to, said)
    }

    /// What `to` hears if `from` lies to it.
    fn as_told(&self, from: MemberId, to: MemberId, said: Vec<u8>) -> Vec<u8> {
        let mut wires = self.lock();
        let lying = wires.lying.as_ref();
        let lie = lying.filter(|(liars, victim, _)| liars.contains(&from) && *victim == to);
        let Some(told) = lie.and_then(|(_, _, lie)| lie.tell(&said)) else { return said };
        wires.lies += 1;
        told
    }

    fn note(&self, from: MemberId, to: MemberId, request: &[u8]) {
        let at = self.born.elapsed().as_micros();
        let hash = blake3::hash(request).to_hex();
        // The second byte is the kind of request.
        let (kind, len) = (request[1], request.len());
        self.lock().trace.push(format!("{at} {from}->{to} {kind} {len} {}", &hash[..8]));
    }

    /// How long it takes from one to the other.
    fn way(&self, from: MemberId, to: MemberId) -> Duration {
        let wires = self.lock();
        let longer = [from, to].iter().filter_map(|id| wires.far.get(id)).sum::<Duration>();
        self.travel + longer
    }

    /// Never returns when the message does not arrive.
    async fn arrive(&self, from: MemberId, to: MemberId) {
        let is_lost = {
            let mut wires = self.lock();
            wires.sent += 1;
            wires.deaf.contains(&to)
                || wires.severed.contains(&(from, to))
                || wires.sent.checked_rem(wires.lost_of) == Some(0)
        };
        if is_lost {
            std::future::pending().await
        }
    }

    async fn carry(
        &self,
        from: MemberId,
        to: MemberId,
        request: &[u8],
    ) -> Result<Bytes, TransportError> {
        self.note(from, to, request);
        sleep(self.way(from, to)).await;
        self.arrive(from, to).await;
        let said = self.as_said(from, to, request);
        let reply = self.reach(from, to)?.handle_rpc(from, &said).await;
        sleep(self.way(from, to)).await;
        self.arrive(to, from).await;
        self.reach(to, from)?;
        let reply = reply.map(|reply| self.as_answered(to, from, &reply).into());
        reply.map_err(|error| TransportError::Broken { member: to, reason: error.to_string() })
    }
}

/// The network as one member has it.
#[derive(Clone)]
struct Link {
    me: MemberId,
    net: Net,
}

impl Transport for Link {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let carried = timeout(limit, self.net.carry(self.me, to, &request)).await;
        carried.unwrap_or(Err(TransportError::Timeout(to)))
    }
}

struct Entropy([u8; 32]);

impl Seeds for Entropy {
    fn seed(&self) -> [u8; 32] {
        self.0
    }
}

/// One host.
struct Node {
    host: Host,
    disk: MemoryDisk,
    starts: u8,
    /// The newest edition its build reads.
    reads: Edition,
}

pub(crate) struct World {
    pub(crate) mesh: Mesh,
    ticket: Ticket,
    net: Net,
    nodes: BTreeMap<MemberId, Node>,
    wall_ms: Arc<AtomicU64>,
    /// These hosts' clocks are ahead, by so many milliseconds.
    fast: Arc<Mutex<BTreeMap<MemberId, u64>>>,
    seed: u8,
    hosts: u64,
}

impl World {
    /// A mesh of one, with an invite for the others.
    pub(crate) async fn found(seed: u8) -> Self {
        Self::found_across(TRAVEL, seed).await
    }

    async fn found_across(travel: Duration, seed: u8) -> Self {
        let mesh = Mesh::new(1);
        let ticket = mesh.invite(1, 500);
        let net = Net::new(travel);
        let (nodes, wall_ms) = (BTreeMap::new(), Arc::new(AtomicU64::new(BORN_MS)));
        let fast = Arc::default();
        let mut world = Self { ticket, net, nodes, wall_ms, fast, seed, hosts: 0, mesh };
        let disk = MemoryDisk::new();
        let start = Start::Genesis(world.mesh.genesis.clone());
        let store = Store::create(disk.attach(), &world.mesh.root, start).expect("an empty disk");
        let host = world.mesh.founder.clone();
        world.nodes.insert(MemberId::FOUNDER, Node { host, disk, starts: 0, reads: NEWEST });
        world.run(store).await;
        let added = world.propose(MemberId::FOUNDER, world.ticket.add()).await;
        assert!(matches!(added.expect("agreed").outcome, Outcome::InviteAdded(_)));
        world
    }

    /// A mesh of `members` with as many voters as it should have.
    pub(crate) async fn of(members: usize, seed: u8) -> Self {
        Self::across(TRAVEL, members, seed).await
    }

    /// The same, each of them by an invite of its own.
    pub(crate) async fn of_strangers(members: usize, seed: u8) -> Self {
        let mut world = Self::found(seed).await;
        for number in 1..members {
            world.ticket = world.mesh.invite(100 + number as u64, 1);
            let added = world.propose(MemberId::FOUNDER, world.ticket.add()).await;
            assert!(matches!(added.expect("agreed").outcome, Outcome::InviteAdded(_)));
            world.join().await;
        }
        world.settle().await;
        world
    }

    /// The same, `travel` apart.
    pub(crate) async fn across(travel: Duration, members: usize, seed: u8) -> Self {
        let mut world = Self::found_across(travel, seed).await;
        for _ in 1..members {
            world.join().await;
        }
        world.settle().await;
        world
    }

    /// A mesh of `members`, of which three, five or seven vote.
    pub(crate) async fn of_voters(voters: u8, seed: u8, members: usize) -> Self {
        let mut world = Self::found(seed).await;
        for _ in 1..members {
            world.join().await;
        }
        let policy = world.mesh.policy(1, VoterTarget::of(voters), &[]);
        let leader = world.leader().await;
        world.propose(leader, Command::SetVoters(policy)).await.expect("agreed");
        world
            .until("so many vote", |world| {
                let seen = world.running().into_iter().map(|id| world.status(id));
                let mut seen = seen.map(|status| (status.voters, status.changing, status.applied));
                let Some(first) = seen.next() else { return false };
                first.0.len() == usize::from(voters) && !first.1 && seen.all(|other| other == first)
            })
            .await;
        world
    }

    async fn run(&mut self, store: Store) {
        self.try_run(store).await.expect("starts");
    }

    async fn try_run(&mut self, store: Store) -> Result<(), GroupError> {
        let me = store.me();
        let node = self.nodes.get_mut(&me).expect("a host has a disk before it runs");
        node.starts += 1;
        let mut seed = [self.seed; 32];
        seed[..8].copy_from_slice(&me.0.to_le_bytes());
        seed[8] = node.starts;
        let link = Link { me, net: self.net.clone() };
        let wall_ms = Arc::clone(&self.wall_ms);
        let fast = Arc::clone(&self.fast);
        let wall = move || {
            let ahead = fast.lock().expect("no test panics while it holds it").get(&me).copied();
            wall_ms.load(Ordering::Relaxed) + ahead.unwrap_or_default()
        };
        let store = store.read_up_to(node.reads).expect("nothing in it is too new");
        let (key, timing) = (node.host.identity.clone(), Timing::default());
        let started = Group::start(store, key, link, &Entropy(seed), wall, timing).await;
        self.net.lock().groups.insert(me, started?);
        Ok(())
    }

    pub(crate) fn group(&self, member: MemberId) -> Group {
        self.net.lock().groups[&member].clone()
    }

    pub(crate) fn status(&self, member: MemberId) -> GroupStatus {
        self.group(member).status()
    }

    pub(crate) fn disk(&self, member: MemberId) -> &MemoryDisk {
        &self.nodes[&member].disk
    }

    /// From its next start on, `member` runs on `disk`.
    pub(crate) fn replace_disk(&mut self, member: MemberId, disk: MemoryDisk) {
        self.nodes.get_mut(&member).expect("a host").disk = disk;
    }

    /// From its next start on, `member` runs a build that reads no later edition than `reads`.
    #[cfg(feature = "next")]
    pub(crate) fn install(&mut self, member: MemberId, reads: Edition) {
        self.nodes.get_mut(&member).expect("a host").reads = reads;
    }

    /// Gossip has told everybody what all members read.
    #[cfg(feature = "next")]
    pub(crate) fn spread_word(&self) {
        for at in self.running() {
            for (member, node) in &self.nodes {
                let (member, reads) = (*member, Some(node.reads));
                let seen = Sighting { member, dead: false, applied: 0, reads };
                self.group(at).handle_sighting(seen);
            }
        }
    }

    /// Those that run, by id.
    pub(crate) fn running(&self) -> Vec<MemberId> {
        self.net.lock().groups.keys().copied().collect()
    }

    pub(crate) async fn propose(
        &self,
        at: MemberId,
        command: Command,
    ) -> Result<Applied, ProposeError> {
        self.group(at).propose(after(0, command)).await
    }

    /// Another host's admission.
    pub(crate) fn admission(&mut self) -> Command {
        self.hosts += 1;
        self.ticket.admit(&Host::new(self.hosts))
    }

    /// Admits another host without starting it.
    pub(crate) async fn admit(&mut self, at: MemberId) -> Result<MemberId, ProposeError> {
        let admission = self.admission();
        let applied = self.propose(at, admission).await?;
        match applied.outcome {
            Outcome::Admitted { member, .. } => {
                assert_eq!(member, MemberId(applied.index));
                Ok(member)
            }
            other => panic!("host {} was not admitted: {other:?}", self.hosts),
        }
    }

    /// Admits another host and starts it from its welcome.
    pub(crate) async fn join(&mut self) -> MemberId {
        let at = self.leader().await;
        let member = self.admit(at).await.expect("agreed");
        let snapshot = self.group(at).snapshot_at_least(member.0, PATIENCE).await;
        let snapshot = snapshot.expect("the leader has applied what it agreed to");
        let genesis = self.mesh.genesis.clone();
        let admins = AdminsHead::of_root(&self.mesh.root.key);
        let disk = MemoryDisk::new();
        let start = Start::Welcome { member, genesis, admins, snapshot };
        let store =
            Store::create(disk.attach(), &self.mesh.root, start).expect("a genuine welcome");
        assert!(store.view().members.contains_key(&member), "a replica from the first moment");
        let host = Host::new(self.hosts);
        self.nodes.insert(member, Node { host, disk, starts: 0, reads: NEWEST });
        self.run(store).await;
        member
    }

    pub(crate) fn goodbye(&self, member: MemberId) -> Command {
        self.nodes[&member].host.depart(self.mesh.id(), member)
    }

    /// What the root rules about `member`, by what `at` knows.
    pub(crate) fn judge(&self, at: MemberId, member: MemberId, ruling: Ruling) -> Command {
        let serial = self.group(at).next_serial(member);
        self.mesh.judge((member, &self.nodes[&member].host), serial, ruling)
    }

    /// An admin says for the first time what `member` is labelled with.
    pub(crate) async fn tag(&self, member: MemberId, tags: &[&str]) {
        let tagging = self.mesh.tagging((member, &self.nodes[&member].host), 1, tags);
        let at = self.leader().await;
        let applied = self.propose(at, Command::Tag(tagging)).await.expect("agreed");
        assert_eq!(applied.outcome, Outcome::Tagged(member));
    }

    /// The clock of every host shows `ms` milliseconds since the mesh began.
    pub(crate) fn set_clock(&self, ms: u64) {
        self.wall_ms.store(BORN_MS + ms, Ordering::Relaxed);
    }

    /// The clock of `member` is ahead of all others from now on.
    pub(crate) fn set_ahead(&self, member: MemberId, ms: u64) {
        self.fast.lock().expect("no test panics while it holds it").insert(member, ms);
    }

    /// The invite again: agreed, and changes nothing.
    pub(crate) fn filler(&self) -> Command {
        self.ticket.add()
    }

    /// Power fails at `member`: what its disk had not flushed is gone.
    pub(crate) async fn crash(&self, member: MemberId) {
        let group = self.net.lock().groups.remove(&member).expect("it runs");
        self.disk(member).crash();
        group.shutdown().await;
    }

    /// `member` ends in good order.
    pub(crate) async fn stop(&self, member: MemberId) {
        let group = self.net.lock().groups.remove(&member).expect("it runs");
        group.shutdown().await;
    }

    /// A founder's store that begins with `snapshot`.
    #[cfg(feature = "next")]
    pub(crate) fn founder_from(&self, snapshot: Vec<u8>) -> Store {
        let (member, genesis) = (MemberId::FOUNDER, self.mesh.genesis.clone());
        let admins = AdminsHead::of_root(&self.mesh.root.key);
        let start = Start::Welcome { member, genesis, admins, snapshot };
        Store::create(MemoryDisk::new().attach(), &self.mesh.root, start).expect("its own state")
    }

    /// What `member` finds on its disk.
    pub(crate) fn store(&self, member: MemberId) -> Store {
        let disk = self.disk(member).attach();
        Store::open(disk, member, &self.mesh.root).expect("its own store")
    }

    /// The same with what the host saw of who led and voted before.
    pub(crate) async fn restart_recalling(&mut self, member: MemberId, kept: &[u8]) {
        let mut store = self.store(member);
        store.recall(kept).expect("its own");
        self.run(store).await;
    }

    pub(crate) async fn restart(&mut self, member: MemberId) {
        let store = self.store(member);
        self.run(store).await;
    }

    /// The same, of one that may not start.
    pub(crate) async fn try_restart(&mut self, member: MemberId) -> Result<(), GroupError> {
        let store = self.store(member);
        self.try_run(store).await
    }

    pub(crate) fn cut(&self, member: MemberId) {
        self.net.lock().cut.insert(member);
    }

    pub(crate) fn heal(&self, member: MemberId) {
        self.net.lock().cut.remove(&member);
    }

    /// `member` is farther away from everybody from now on, by `longer` for each way.
    pub(crate) fn move_away(&self, member: MemberId, longer: Duration) {
        self.net.lock().far.insert(member, longer);
    }

    /// Nothing goes between `a` and `b` any more.
    pub(crate) fn sever(&self, a: MemberId, b: MemberId) {
        self.net.lock().severed.extend([(a, b), (b, a)]);
    }

    /// Whatever was severed is whole.
    pub(crate) fn splice(&self) {
        self.net.lock().severed.clear();
    }

    /// Of `of` messages one is lost from now on.
    pub(crate) fn lose_one(&self, of: u64) {
        self.net.lock().lost_of = of;
    }

    /// Nothing arrives at `member` any more, what it says does.
    pub(crate) fn deafen(&self, member: MemberId) {
        self.net.lock().deaf.insert(member);
    }

    /// Power fails at `member`, and whoever asks it hears nothing, as over a network.
    pub(crate) async fn vanish(&self, member: MemberId) {
        self.deafen(member);
        self.crash(member).await;
    }

    /// From now on `members` speak the next version, which the others do not understand.
    pub(crate) fn speak_newer(&self, members: impl IntoIterator<Item = MemberId>) {
        self.net.lock().newer = members.into_iter().collect();
    }

    /// From now on `member` tells others of its log what is not in it.
    pub(crate) fn distort(&self, member: MemberId) {
        self.net.lock().distorting.insert(member);
    }

    /// From now on `liars` tell `victim` this when it follows them.
    pub(crate) fn lie_to(
        &self,
        victim: MemberId,
        liars: impl IntoIterator<Item = MemberId>,
        lie: Lie,
    ) {
        self.net.lock().lying = Some((liars.into_iter().collect(), victim, lie));
    }

    /// Nobody lies any more.
    pub(crate) fn tell_the_truth(&self) {
        self.net.lock().lying = None;
    }

    /// How many lies were told.
    pub(crate) fn lies(&self) -> u64 {
        self.net.lock().lies
    }

    /// What `member` signs with.
    pub(crate) fn identity(&self, member: MemberId) -> IdentitySecret {
        self.nodes[&member].host.identity.clone()
    }

    /// From now on newer members answer older ones so that they understand it.
    pub(crate) fn answer_in_kind(&self) {
        self.net.lock().answer_in_kind = true;
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.net.lock().trace.clone()
    }

    /// Waits until `done`, or fails the test.
    pub(crate) async fn until(&self, what: &str, done: impl FnMut(&Self) -> bool) {
        self.until_within(Duration::from_millis(20), what, done).await;
    }

    /// Waits until `done` and misses nothing that lasts as long as a message travels.
    pub(crate) async fn until_at_once(&self, what: &str, done: impl FnMut(&Self) -> bool) {
        self.until_within(TRAVEL / 5, what, done).await;
    }

    async fn until_within(&self, look: Duration, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let waited = timeout(PATIENCE, async {
            while !done(self) {
                sleep(look).await;
            }
        });
        if waited.await.is_err() {
            let now: Vec<_> = self.running().iter().map(|id| (*id, self.status(*id))).collect();
            let cut = self.net.lock().cut.clone();
            let trace = self.trace();
            let last = trace[trace.len().saturating_sub(40)..].join("\n");
            panic!("{what}: not within {PATIENCE:?}; cut off {cut:?}: {now:#?}\n{last}");
        }
    }

    /// Waits until the votes of `gone` are others': three vote by what `at` knows, and none of those.
    pub(crate) async fn replaced(&self, at: MemberId, gone: &[MemberId]) {
        self.until("their votes are others'", |world| {
            let now = world.status(at);
            let is_gone = |voter: &MemberId| gone.contains(voter);
            now.voters.len() == 3 && !now.changing && !now.voters.iter().any(is_gone)
        })
        .await;
    }

    fn leader_now(&self) -> Option<MemberId> {
        let cut = self.net.lock().cut.clone();
        let leads = |id: &MemberId| self.status(*id).leadership.role == Role::Leader;
        let reachable = self.running().into_iter().filter(|id| !cut.contains(id));
        reachable.filter(leads).max_by_key(|id| self.status(*id).leadership.term)
    }

    /// The leader, once there is one among those that are not cut off.
    pub(crate) async fn leader(&self) -> MemberId {
        self.until("a leader", |world| world.leader_now().is_some()).await;
        self.leader_now().expect("just seen")
    }

    /// Waits until all that run have as many voters as they should and the same state.
    pub(crate) async fn settle(&self) {
        let voters = match self.running().len() {
            0..=2 => 1,
            _ => 3,
        };
        self.until("the same voters everywhere", |world| {
            let seen = world.running().into_iter().map(|id| world.status(id));
            if seen.clone().any(|status| status.changing) {
                return false;
            }
            let mut seen = seen.map(|status| (status.voters, status.state_hash, status.applied));
            let Some(first) = seen.next() else { return true };
            first.0.len() == voters && seen.all(|other| other == first)
        })
        .await;
    }
}

/// Runs `test` in a thread and runtime of its own, in virtual time.
pub(crate) fn in_virtual_time<T: Send + 'static, F: Future<Output = T>>(
    test: impl FnOnce() -> F + Send + 'static,
) -> T {
    let run = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(test())
    });
    match run.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
