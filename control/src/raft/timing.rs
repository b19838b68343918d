//! How fast agreement notices things, and what openraft is told about it.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::MeshId;
use openraft::{Config, ConfigError, SnapshotPolicy, StepDownPolicy};

use super::rpc::MAX_APPEND;

/// Entries between two snapshots. An entry is half a kilobyte and replaying one costs three signature
/// checks (0.1 ms): a start replays at most 0.15 s, and the log stays below a megabyte.
const SNAPSHOT_EVERY: u64 = 1000;

/// Entries kept behind a snapshot, so that a member that was away for a moment gets the entries it
/// missed and not the whole state.
const KEEP_BEHIND_SNAPSHOT: u64 = 200;

/// How long a snapshot may be on its way: 5 MB (10,000 members, compressed) at 4 Mbit/s.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(10);

/// Proposals and requests that may wait for Raft; more wait at the door. A join is one, so 1024 is a
/// rack of hosts joining in the same second.
const QUEUE: u64 = 1024;

/// How fast agreement notices things. One setting for the whole mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader shows that it is there, and how long its followers may take to answer: voters
    /// whose round trip is longer do not keep a leader.
    pub heartbeat: Duration,
    /// The shortest time a voter gives an election before it asks for votes itself.
    pub election_min: Duration,
    /// The longest; the spread keeps voters from asking at the same time. It is also a leader's lease: for
    /// this long after they last heard it, voters give nobody else their vote, and only then does the time
    /// of the election begin.
    pub election_max: Duration,
    /// How long a proposal may take, elections included: a lease, two elections and a reply.
    pub propose: Duration,
    /// How long a voter is silent before its vote goes to another member. Long enough for a reboot or an
    /// upgrade, after which it would be back; short, because until then the group has one failure less to
    /// spare.
    pub settle: Duration,
}

impl Default for Timing {
    /// A supervisor is replaced 1.75 to 2 s after it was last heard; five of its heartbeats must be lost for
    /// that. Heartbeats of a 300-member mesh are 1000 small packets a second at the leader, of a 3-member
    /// mesh 7.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(300),
            election_min: Duration::from_millis(750),
            election_max: Duration::from_millis(1000),
            propose: Duration::from_secs(5),
            settle: Duration::from_secs(60),
        }
    }
}

impl Timing {
    pub(super) fn config(&self, mesh: MeshId) -> Result<Arc<Config>, ConfigError> {
        let config = Config {
            cluster_name: mesh.to_string(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            // A host that comes back from a partition must not unseat a leader the others are happy
            // with by having counted terms in its corner.
            enable_pre_vote: Some(true),
            // A leader that reaches only learners or a minority falls silent, so that those who could
            // elect another do: with heartbeats going on they would not. The least openraft allows.
            quorum_loss_probe_interval: Some(2 * millis(self.election_max)),
            // Long enough to tell the others that the new voters are agreed on.
            removed_leader_step_down: StepDownPolicy::After(millis(2 * self.heartbeat)),
            // One that says it lost entries is sent them again. What a majority holds stays agreed, and
            // no follower's word may stop the leader.
            allow_log_reversion: Some(true),
            // A restarted leader asks again: the others may have moved on.
            enable_leader_restore: Some(false),
            install_snapshot_timeout: millis(SNAPSHOT_LIMIT),
            max_payload_entries: MAX_APPEND as u64,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
            replication_lag_threshold: 2 * SNAPSHOT_EVERY,
            api_channel_size: Some(QUEUE),
            ..Config::default()
        };
        config.validate().map(Arc::new)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_timing_is_one_openraft_accepts() {
        Timing::default().config(MeshId([0; 16])).expect("valid");
    }

    #[test]
    fn elections_faster_than_heartbeats_are_refused() {
        let timing = Timing { election_min: Duration::from_millis(200), ..Timing::default() };
        assert!(timing.config(MeshId([0; 16])).is_err());
    }
}
