//! Agreement's calls between hosts: the [`Transport`] port over the virtual underlay.
//!
//! In the daemon these calls ride the tunnels. Here they do not (they are streams, and QUIC is not a
//! core), but they live under the tunnels' law: a call gets through only while each end's plan has
//! the other as a peer, both daemons live, and the underlay carries it, once each way. A daemon
//! that has crashed speaks and answers no more, even though its tasks take a moment to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::ports::{Transport, TransportError};
use mesh_control::raft::Group;
use mesh_model::MemberId;

use crate::clock::Clock;
use crate::life::LifeId;
use crate::net::{HostNo, Net};
use crate::trace::Trace;

/// Who answers for a member.
struct Station {
    host: HostNo,
    life: LifeId,
    /// `None` while agreement is still starting.
    group: Option<Group>,
    /// The peers of its plan.
    peers: BTreeSet<MemberId>,
}

/// What the world and the tasks of agreement share.
pub struct Board {
    /// The underlay.
    pub net: Net,
    /// The story so far.
    pub trace: Trace,
    /// Calls made.
    pub calls: u64,
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
        let board = Board { net, trace, calls: 0, stations: BTreeMap::new() };
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
    pub fn connect(&self, member: MemberId, host: HostNo, life: LifeId) {
        let station = Station { host, life, group: None, peers: BTreeSet::new() };
        self.lock().stations.insert(member, station);
    }

    /// `member`'s daemon is gone.
    pub fn disconnect(&self, member: MemberId) {
        self.lock().stations.remove(&member);
    }

    /// `member` answers with `group` from now on.
    pub fn answer_with(&self, member: MemberId, group: Group) {
        if let Some(station) = self.lock().stations.get_mut(&member) {
            station.group = Some(group);
        }
    }

    /// `member` has tunnels to `peers` and to nobody else.
    pub fn set_peers(&self, member: MemberId, peers: BTreeSet<MemberId>) {
        if let Some(station) = self.lock().stations.get_mut(&member) {
            station.peers = peers;
        }
    }

    /// What life `life` of `member` calls others with.
    pub fn line(&self, member: MemberId, life: LifeId) -> Line {
        Line { switchboard: self.clone(), me: member, life }
    }
}

impl Board {
    fn alive(&self, member: MemberId, life: LifeId) -> Option<&Station> {
        self.stations.get(&member).filter(|station| station.life == life)
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
}

impl Line {
    /// Sets out; the delay until `to` hears it, `None` when it gets lost.
    fn send(&self, to: MemberId, len: usize) -> Result<Option<Duration>, TransportError> {
        let mut board = self.switchboard.lock();
        let board = &mut *board;
        let Some(own) = board.alive(self.me, self.life) else { return Ok(None) };
        if !own.peers.contains(&to) {
            return Err(TransportError::Unreachable(to));
        }
        let (from, target) = (own.host, board.stations.get(&to).map(|station| station.host));
        let at = self.switchboard.clock.elapsed();
        let fate = target.and_then(|target| board.net.fate_of_call((from, target), len, at));
        board.calls += 1;
        board.trace.note(at, format_args!("call {} -> {to} {len} {fate:?}", self.me));
        Ok(fate)
    }

    /// Gets there, if there is somebody with a tunnel to us.
    fn arrive(&self, to: MemberId) -> Option<Arrived> {
        let board = self.switchboard.lock();
        let station = board.stations.get(&to).filter(|station| station.peers.contains(&self.me))?;
        let group = station.group.clone()?;
        Some(Arrived { host: station.host, life: station.life, group })
    }

    /// Turns back; the delay until we hear the reply.
    fn turn_back(&self, to: MemberId, at: &Arrived, len: usize) -> Option<Duration> {
        let mut board = self.switchboard.lock();
        board.alive(to, at.life)?;
        let own = board.alive(self.me, self.life)?.host;
        board.net.fate_of_call((at.host, own), len, self.switchboard.clock.elapsed())
    }

    /// There and back; `None` when anything got lost on the way.
    async fn travel(&self, to: MemberId, request: Bytes) -> Option<Result<Bytes, TransportError>> {
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
        let back = self.turn_back(to, &arrived, answer.as_ref().map_or(0, Bytes::len))?;
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
