//! Agreement's calls between hosts: the [`Transport`](mesh_control::ports::Transport) port over the virtual underlay.
//!
//! In the daemon these calls ride the tunnels. Here they do not (they are streams, and QUIC is not a
//! core), but they live under the tunnels' law: a call gets through only while each end's plan has
//! the other as a peer, one of them knows where the other is, both daemons live, and the underlay
//! carries it, once each way. A daemon that has crashed speaks and answers no more, even though its
//! tasks take a moment to end. Whoever is not heard learns that when a daemon would; but what was lost on
//! the way is not said again, as QUIC would.
//!
//! What a host says waits for its disk, for agreement says nothing before it is kept; and a host
//! whose disk has failed must say nothing more.

mod line;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::raft::Group;
use mesh_model::MemberId;

use crate::clock::Clock;
use crate::disk::{Busy, Disk};
use crate::invariants::{Asker, NothingAfterAFailedSync, Violation};
use crate::life::LifeId;
use crate::net::{HostNo, Net};
use crate::plant::Plant;
use crate::trace::Trace;
use crate::traitor::{Outlook, Said, Traitor, fewest_voters, speech};
use crate::tunnels::Tunnels;
pub use line::Line;

/// Who answers for a member.
struct Station {
    host: HostNo,
    life: LifeId,
    /// `None` while agreement is still starting.
    group: Option<Group>,
    tunnels: Tunnels,
    /// When each of those that this one asked last answered.
    answered: BTreeMap<MemberId, Duration>,
    disk: Disk,
    busy: Busy,
    silence: NothingAfterAFailedSync,
}

impl Station {
    /// It is asked something: whether its disk has failed counts from now on.
    fn be_asked(&mut self, now: Duration) {
        self.silence.see(self.disk.has_failed(), now);
    }

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

    /// Notes that somebody sends `bytes`.
    pub fn note_bytes(&self, bytes: &[u8]) {
        self.lock().trace.note_bytes(bytes);
    }

    /// `member`'s daemon is up.
    pub fn connect(&self, member: MemberId, host: HostNo, life: LifeId, disk: Disk) {
        let station = Station {
            host,
            life,
            group: None,
            tunnels: Tunnels::default(),
            answered: BTreeMap::new(),
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

    /// Somebody that is no member asks `member` something, or a program on its own host does; when.
    pub fn ask(&self, member: MemberId) -> Duration {
        let now = self.clock.elapsed();
        if let Some(station) = self.lock().stations.get_mut(&member) {
            station.be_asked(now);
        }
        now
    }

    /// `member` vouches for what it answers to what `asker` asked at `asked`.
    pub fn check_vouched(
        &self,
        member: MemberId,
        asker: Asker,
        asked: Duration,
    ) -> Result<(), Violation> {
        let board = self.lock();
        let Some(station) = board.stations.get(&member) else { return Ok(()) };
        station.silence.check(station.host, asker, asked)
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
        let group = self.stations.get(&member)?.group.as_ref()?;
        let status = group.status();
        let groups = self.stations.values().filter_map(|station| station.group.as_ref());
        let outlook = Outlook {
            voters: fewest_voters(group),
            changing: status.changing,
            commit: status.commit,
            slowest: groups.map(|group| group.status().applied).min()?,
        };
        Some(lie(traitor, &outlook))
    }
}
