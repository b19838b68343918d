//! `mesh wait`: answers when something holds.

use std::time::Duration;

use mesh_model::api::v1::{ErrorCode, GossipState, WaitFor, WaitReply, WaitRequest};

use super::refusal::{Answer, refusal};
use super::{Daemon, Mesh};
use crate::io::clock;

/// The longest a caller may wait.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The first pause between two looks while somebody waits, and the longest: scripts hear soon, and a
/// hundred that wait for long cost next to nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_LONGEST: Duration = Duration::from_millis(250);

/// How long a fresh daemon counts a member it has not heard of as still to come. Gossip calls on
/// everybody at once and tries again after a second and after three; who is silent for longer is down.
const FIRST_CALLS: Duration = Duration::from_secs(4);

impl Daemon {
    /// Waits until what is asked for holds.
    pub(crate) async fn wait(&self, request: WaitRequest) -> Answer<WaitReply> {
        let begun = clock::now();
        let limit = Duration::from_millis(request.timeout_ms).min(MAX_WAIT);
        let holds = async {
            let mut pause = LOOK_AGAIN;
            loop {
                if let Some(mesh) = self.mesh.load_full()
                    && mesh.holds(request.wait_for).await
                {
                    return mesh;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 5 / 4).min(LOOK_AGAIN_LONGEST);
            }
        };
        let Ok(mesh) = tokio::time::timeout(limit, holds).await else {
            return Err(self.not_in_time(request.wait_for, limit));
        };
        let status = mesh.group.status();
        Ok(WaitReply {
            leader: status.leadership.leader,
            applied: status.applied,
            state_hash: status.state_hash,
            waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn not_in_time(&self, wait_for: WaitFor, limit: Duration) -> mesh_model::api::v1::ErrorBody {
        let what = match wait_for {
            WaitFor::Ready => "this host is not ready".to_owned(),
            WaitFor::Leader => "there is no supervisor".to_owned(),
            WaitFor::Applied(index) => format!("index {index} is not applied here"),
        };
        let hint = match self.mesh.load_full().map(|mesh| mesh.degraded()) {
            Some(Some(degraded)) => format!("{}; {}", degraded.message, degraded.hint),
            Some(None) => "`mesh status` shows who is missing".to_owned(),
            None => "this host belongs to no mesh yet: `mesh init` or `mesh join`".to_owned(),
        };
        let seconds = limit.as_secs_f64();
        refusal(ErrorCode::TimedOut, format!("{what} after {seconds} s"), hint)
    }
}

impl Mesh {
    async fn holds(&self, wait_for: WaitFor) -> bool {
        match wait_for {
            WaitFor::Leader => self.has_leader(),
            WaitFor::Applied(index) => self.view().applied >= index,
            WaitFor::Ready => self.has_leader() && self.is_caught_up() && self.has_tunnels().await,
        }
    }

    fn has_leader(&self) -> bool {
        self.group.status().leadership.leader.is_some()
    }

    fn is_caught_up(&self) -> bool {
        let status = self.group.status();
        status.applied >= status.commit
    }

    /// Whether there is a tunnel to every member that gossip shows alive or still waits for.
    async fn has_tunnels(&self) -> bool {
        let Some(stats) = self.path_stats().await else { return false };
        let calling = self.since.elapsed() < FIRST_CALLS;
        let expected = |state| match state {
            GossipState::Alive => true,
            GossipState::Unknown => calling,
            GossipState::Suspect | GossipState::Dead => false,
        };
        self.gossip().await.others.iter().filter(|sighting| expected(sighting.state)).all(
            |sighting| {
                stats.peers.iter().any(|peer| peer.member == sighting.member && peer.established)
            },
        )
    }
}
