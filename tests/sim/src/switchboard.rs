//! Agreement's calls between hosts: the [`Transport`] port over the virtual underlay.
//!
//! In the daemon these calls ride the tunnels. Here they do not (they are streams, and QUIC is not a
//! core), but they live under the tunnels' law: a call gets through only while each end's plan has
//! the other as a peer, one of them knows where the other is, both daemons live, and the underlay
//! carries it, once each way. A daemon that has crashed speaks and answers no more, even though its
//! tasks take a moment to end.
//! What a host says waits for its disk, for agreement says nothing before it is kept; and a host
//! whose disk has failed must say nothing more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::ports::{Transport, TransportError};
use mesh_control::raft::{Group, RpcError};
use mesh_model::MemberId;

use crate::clock::Clock;
use crate::disk::{Busy, Disk};
use crate::invariants::{
    NothingAfterAFailedSync, Violation, alarm_names_the_traitor, banned_are_cut_off,
};
use crate::life::LifeId;
use crate::net::{HostNo, Net};
use crate::plant::Plant;
use crate::trace::Trace;
use crate::traitor::speech::{self, Reply};
use crate::traitor::{Outlook, Said, Traitor};
use crate::tunnels::Tunnels;

/// Who answers for a member.
struct Station {
    host: HostNo,
    life: LifeId,
    /// `None` while agreement is still starting.
    group: Option<Group>,
    tunnels: Tunnels,
    disk: Disk,
    busy: Busy,
    silence: NothingAfterAFailedSync,
}

impl Station {
    /// How long what is said now waits for the disk.
    fn wait_for_disk(&mut self, now: Duration) -> Duration {
        self.busy.ask(self.disk.take_owed(), now)
    }
}

/// What the world and the tasks of agreement share.
pub struct Board {
    /// The underlay.
    pub net: Net,
    /// The story so far.
    pub trace: Trace,
    /// Calls made.
    pub calls: u64,
    /// The first thing seen here that must not be.
    pub violation: Option<Violation>,
    /// The bug that is planted, if it is one of what is said.
    pub plant: Option<Plant>,
    /// The one that lies in what it says, if there is one.
    pub traitor: Option<Traitor>,
    stations: BTreeMap<MemberId, Station>,
}

/// A handle to the [`Board`].
#[derive(Clone)]
pub struct Switchboard {
    board: Arc<Mutex<Board>>,
    clock: Clock,
}

impl Switchboard {
    /// A board over `net`.
    pub fn new(net: Net, trace: Trace, clock: Clock) -> Self {
        let (violation, traitor, stations) = (None, None, BTreeMap::new());
        let board = Board { net, trace, calls: 0, violation, plant: None, traitor, stations };
        Self { board: Arc::new(Mutex::new(board)), clock }
    }

    /// The board. Never held across an `await`.
    pub fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.lock().trace.note(self.clock.elapsed(), what);
    }

    /// `member`'s daemon is up.
    pub fn connect(&self, member: MemberId, host: HostNo, life: LifeId, disk: Disk) {
        let station = Station {
            host,
            life,
            group: None,
            tunnels: Tunnels::default(),
            disk,
            busy: Busy::default(),
            silence: NothingAfterAFailedSync::default(),
        };
        let mut board = self.lock();
        board.stations.insert(member, station);
        if let Some(traitor) = board.traitor.as_mut().filter(|traitor| traitor.host == host) {
            traitor.member = Some(member);
        }
    }

    /// `member`'s daemon is gone.
    pub fn disconnect(&self, member: MemberId) {
        self.lock().stations.remove(&member);
    }

    /// Nobody answers any more. Whoever answers holds lines, and each line this board, so none of them would ever go by itself.
    pub fn disconnect_all(&self) {
        let stations = std::mem::take(&mut self.lock().stations);
        // Without the lock, which what ends with them may want.
        drop(stations);
    }

    /// `member` answers with `group` from now on.
    pub fn answer_with(&self, member: MemberId, group: Group) {
        if let Some(station) = self.lock().stations.get_mut(&member) {
            station.group = Some(group);
        }
    }

    /// `member` has `tunnels` and no others.
    pub fn set_tunnels(&self, member: MemberId, tunnels: Tunnels) {
        if let Some(station) = self.lock().stations.get_mut(&member) {
            station.tunnels = tunnels;
        }
    }

    /// What life `life` of `member` calls others with.
    pub fn line(&self, member: MemberId, life: LifeId) -> Line {
        Line { switchboard: self.clone(), me: member, life }
    }
}

impl Board {
    fn alive(&mut self, member: MemberId, life: LifeId) -> Option<&mut Station> {
        self.stations.get_mut(&member).filter(|station| station.life == life)
    }

    /// The host of `to`, if a tunnel of `from` ends there.
    fn far_end(&self, from: MemberId, to: MemberId) -> Option<HostNo> {
        let (near, far) = (self.stations.get(&from)?, self.stations.get(&to)?);
        near.tunnels.join(from, (to, &far.tunnels)).then_some(far.host)
    }

    /// `request` of `from`, as if it were asked in the epoch of `to`.
    fn as_of_epoch(&self, from: MemberId, to: MemberId, request: Bytes) -> Bytes {
        let epoch = |member| {
            let group = self.stations.get(&member)?.group.as_ref()?;
            Some(group.status().epoch.id)
        };
        match (epoch(from), epoch(to)) {
            (Some(own), Some(other)) => speech::in_epoch(request, own, other),
            _ => request,
        }
    }

    /// What becomes of what `member` says, if it is the traitor.
    fn bend(
        &mut self,
        member: MemberId,
        lie: impl FnOnce(&mut Traitor, &Outlook) -> Said,
    ) -> Option<Said> {
        let traitor = self.traitor.as_mut().filter(|traitor| traitor.is(member))?;
        let status = self.stations.get(&member)?.group.as_ref()?.status();
        let groups = self.stations.values().filter_map(|station| station.group.as_ref());
        let outlook = Outlook {
            voters: status.voters.len(),
            changing: status.changing,
            commit: status.commit,
            slowest: groups.map(|group| group.status().applied).min()?,
        };
        Some(lie(traitor, &outlook))
    }
}

/// One life's way to the others.
#[derive(Clone)]
pub struct Line {
    switchboard: Switchboard,
    me: MemberId,
    life: LifeId,
}

/// Where a request arrived.
struct Arrived {
    host: HostNo,
    life: LifeId,
    group: Group,
    at: Duration,
    /// Whether whom it asks knew then that the asking one is banned.
    banned: bool,
}

impl Line {
    /// Sets out; the delay until `to` hears it, `None` when it gets lost.
    fn send(&self, to: MemberId, len: usize) -> Result<Option<Duration>, TransportError> {
        let mut board = self.switchboard.lock();
        let board = &mut *board;
        let Some(own) = board.alive(self.me, self.life) else { return Ok(None) };
        if !own.tunnels.lead_to(to) {
            return Err(TransportError::Unreachable(to));
        }
        let at = self.switchboard.clock.elapsed();
        let (from, held) = (own.host, own.wait_for_disk(at));
        let target = board.far_end(self.me, to);
        let fate = target.and_then(|target| board.net.fate_of_call((from, target), len, at + held));
        let fate = fate.map(|delay| held + delay);
        board.calls += 1;
        board.trace.note(at, format_args!("call {} -> {to} {len} {fate:?}", self.me));
        Ok(fate)
    }

    /// Gets there, if there is somebody with a tunnel to us.
    fn arrive(&self, to: MemberId) -> Option<Arrived> {
        let mut board = self.switchboard.lock();
        let station = board.stations.get_mut(&to);
        let station = station.filter(|station| station.tunnels.lead_to(self.me))?;
        let at = self.switchboard.clock.elapsed();
        station.silence.see(station.disk.has_failed(), at);
        let group = station.group.clone()?;
        let banned = group.views().borrow().banned.contains_key(&self.me);
        Some(Arrived { host: station.host, life: station.life, group, at, banned })
    }

    /// Turns back with `answer`; the delay until we hear it.
    fn turn_back(&self, to: MemberId, asked: &Arrived, answer: Option<usize>) -> Option<Duration> {
        let now = self.switchboard.clock.elapsed();
        let mut board = self.switchboard.lock();
        let station = board.alive(to, asked.life)?;
        let held = station.wait_for_disk(now);
        let spoken = answer.map_or(Ok(()), |_| {
            station.silence.check(asked.host, asked.at)?;
            banned_are_cut_off::check_answer(to, self.me, asked.banned)
        });
        if let Err(violation) = spoken {
            board.violation.get_or_insert(violation);
        }
        let own = board.alive(self.me, self.life)?.host;
        let fate = board.net.fate_of_call((asked.host, own), answer.unwrap_or(0), now + held);
        fate.map(|delay| held + delay)
    }

    /// What this host asks `to` in place of `request`: something else if it is the traitor.
    fn as_asked(&self, to: MemberId, request: Bytes) -> Option<Bytes> {
        let mut board = self.switchboard.lock();
        let request = match board.plant {
            Some(Plant::NoPassage) if speech::asks_the_way(&request) => return None,
            Some(Plant::AnyEpoch) => board.as_of_epoch(self.me, to, request),
            _ => request,
        };
        let bent = board.bend(self.me, |traitor, outlook| traitor.ask(request.clone(), outlook));
        self.told(&mut board, (self.me, to), request, bent)
    }

    /// What `to` answers in place of `answer`.
    fn as_answered(&self, to: MemberId, answer: Bytes) -> Option<Bytes> {
        let mut board = self.switchboard.lock();
        if board.plant == Some(Plant::NoSources) && speech::is_news(&answer) {
            return None;
        }
        let bent = board.bend(to, |traitor, outlook| traitor.answer(answer.clone(), outlook));
        let answer = self.told(&mut board, (to, self.me), answer, bent)?;
        let traitor = board.traitor.as_ref().filter(|traitor| traitor.is(self.me));
        Some(traitor.map_or(answer.clone(), |traitor| traitor.hear(answer)))
    }

    fn told(
        &self,
        board: &mut Board,
        (from, to): (MemberId, MemberId),
        truth: Bytes,
        bent: Option<Said>,
    ) -> Option<Bytes> {
        let now = self.switchboard.clock.elapsed();
        match bent {
            None => Some(truth),
            Some(Said::Truth(said)) => Some(said),
            Some(Said::Lie(said)) => {
                let kind = said.get(1).copied().unwrap_or_default();
                board.trace.note(now, format_args!("lie {from} -> {to} {kind} {}", said.len()));
                Some(said)
            }
            Some(Said::Nothing) => {
                board.trace.note(now, format_args!("silence {from} -> {to}"));
                None
            }
        }
    }

    /// Whoever holds the traitor's word beside another that contradicts it has raised the alarm.
    fn check_alarm(&self, by: MemberId, group: &Group, answer: &Result<Bytes, RpcError>) {
        let Ok(Some(Reply::Attested(words))) = answer.as_ref().map(|bytes| speech::open(bytes))
        else {
            return;
        };
        let mut board = self.switchboard.lock();
        let Some(traitor) = board.traitor.as_ref().and_then(|traitor| traitor.member) else {
            return;
        };
        let (view, divergences) = (group.views().borrow().clone(), group.divergences());
        let named = alarm_names_the_traitor::check(by, traitor, (&words, &divergences), &view);
        if let Err(violation) = named {
            board.violation.get_or_insert(violation);
        }
    }

    /// There and back; `None` when anything got lost on the way.
    async fn travel(&self, to: MemberId, request: Bytes) -> Option<Result<Bytes, TransportError>> {
        let request = self.as_asked(to, request)?;
        let there = match self.send(to, request.len()) {
            Ok(fate) => fate?,
            Err(error) => return Some(Err(error)),
        };
        tokio::time::sleep(there).await;
        let arrived = self.arrive(to)?;
        let (group, from) = (arrived.group.clone(), self.me);
        // The answering side works on, whether or not the caller still waits.
        let work = tokio::spawn(async move { group.handle_rpc(from, &request).await });
        let answer = work.await.ok()?;
        self.check_alarm(to, &arrived.group, &answer);
        let answer = match answer {
            Ok(answer) => Ok(self.as_answered(to, answer)?),
            Err(error) => Err(error),
        };
        let back = self.turn_back(to, &arrived, answer.as_ref().ok().map(Bytes::len))?;
        tokio::time::sleep(back).await;
        self.switchboard.lock().alive(self.me, self.life)?;
        Some(
            answer
                .map_err(|error| TransportError::Broken { member: to, reason: error.to_string() }),
        )
    }
}

impl Transport for Line {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let travel = async {
            match self.travel(to, request).await {
                Some(reply) => reply,
                // Whoever waits for what was lost waits until its time is up.
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::time::timeout(limit, travel).await;
        outcome.unwrap_or(Err(TransportError::Timeout(to)))
    }
}
