//! The ways between the members of a crowd, and who carried what over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_control::ports::{Transport, TransportError};
use mesh_control::raft::Group;
use mesh_model::MemberId;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::census::Census;
use crate::traitor::speech;

/// One way between two members, in microseconds: from one rack to across a continent.
const TRAVEL_US: std::ops::Range<u64> = 500..60_000;

struct Board {
    rng: ChaCha8Rng,
    /// Who answers, and the how manieth run of its daemon that is.
    stations: BTreeMap<MemberId, (u64, Group)>,
    /// Members whom nothing reaches and who reach nobody.
    cut: BTreeSet<MemberId>,
    /// The share of messages lost.
    loss: f64,
    census: Census,
}

/// A handle to all of them.
#[derive(Clone)]
pub(super) struct Wires {
    board: Arc<Mutex<Board>>,
    ways: [u8; 32],
}

impl Wires {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let board = Board {
            rng: ChaCha8Rng::from_seed(seed),
            stations: BTreeMap::new(),
            cut: BTreeSet::new(),
            loss: 0.0,
            census: Census::default(),
        };
        Self { board: Arc::new(Mutex::new(board)), ways: seed }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect(&self, member: MemberId, run: u64, group: Group) {
        self.lock().stations.insert(member, (run, group));
    }

    pub(super) fn disconnect(&self, member: MemberId) {
        self.lock().stations.remove(&member);
    }

    /// From now on nothing gets through to or from `members`, and everything between all others.
    pub(super) fn cut(&self, members: impl IntoIterator<Item = MemberId>) {
        self.lock().cut = members.into_iter().collect();
    }

    /// From now on this share of all messages is lost.
    pub(super) fn lose(&self, share: f64) {
        self.lock().loss = share;
    }

    /// Counts from now on who carries `mark` to whom.
    pub(super) fn count(&self, mark: Vec<u8>) {
        self.lock().census = Census::of(mark);
    }

    pub(super) fn census(&self) -> Census {
        self.lock().census.clone()
    }

    pub(super) fn line(&self, me: MemberId, run: u64) -> Line {
        Line { wires: self.clone(), me, run }
    }

    /// How long a message is under way between `a` and `b`: always the same, as between two places.
    fn travel(&self, a: MemberId, b: MemberId) -> Duration {
        let mut hasher = blake3::Hasher::new_keyed(&self.ways);
        hasher.update(&a.min(b).0.to_le_bytes());
        hasher.update(&a.max(b).0.to_le_bytes());
        let mut drawn = [0; 8];
        hasher.finalize_xof().fill(&mut drawn);
        let span = TRAVEL_US.end - TRAVEL_US.start;
        Duration::from_micros(TRAVEL_US.start + u64::from_le_bytes(drawn) % span)
    }

    /// `message` sets out, in which there is a whole state or not; `false` if it will not arrive.
    fn carry(
        &self,
        (from, to): (MemberId, MemberId),
        message: &[u8],
        is_state: fn(&[u8]) -> bool,
    ) -> bool {
        let mut board = self.lock();
        let Board { rng, cut, loss, census, .. } = &mut *board;
        census.see((from, to), message, is_state);
        !cut.contains(&from) && !cut.contains(&to) && !rng.random_bool(*loss)
    }
}

/// One run's way to the others.
#[derive(Clone)]
pub(super) struct Line {
    wires: Wires,
    me: MemberId,
    run: u64,
}

impl Line {
    fn lives(&self) -> bool {
        self.wires.lock().stations.get(&self.me).is_some_and(|(run, _)| *run == self.run)
    }

    /// There and back; `None` when anything got lost on the way.
    async fn there_and_back(
        &self,
        to: MemberId,
        request: Bytes,
    ) -> Option<Result<Bytes, TransportError>> {
        let travel = self.wires.travel(self.me, to);
        let (there, back) = ((self.me, to), (to, self.me));
        if !self.lives() || !self.wires.carry(there, &request, speech::brings_the_state) {
            return None;
        }
        tokio::time::sleep(travel).await;
        let (run, group) = self.wires.lock().stations.get(&to).cloned()?;
        let from = self.me;
        // The answering side works on, whether or not the caller still waits.
        let work = tokio::spawn(async move { group.handle_rpc(from, &request).await });
        let answer = work.await.ok()?;
        let (now, _) = self.wires.lock().stations.get(&to).cloned()?;
        let words: &[u8] = answer.as_ref().map_or(&[], |answer| answer);
        if now != run || !self.wires.carry(back, words, speech::holds_the_state) {
            return None;
        }
        tokio::time::sleep(travel).await;
        let broken = |error: mesh_control::raft::RpcError| TransportError::Broken {
            member: to,
            reason: error.to_string(),
        };
        self.lives().then(|| answer.map_err(broken))
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
            match self.there_and_back(to, request).await {
                Some(reply) => reply,
                // Whoever waits for what was lost waits until its time is up.
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::time::timeout(limit, travel).await;
        outcome.unwrap_or(Err(TransportError::Timeout(to)))
    }
}
