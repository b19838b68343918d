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

/// How fast agreement notices things. One setting for the whole mesh; what depends on the lines between its members
/// is measured (`raft::patience`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader shows that it is there.
    pub heartbeat: Duration,
    /// How long an answer to a heartbeat, or to who asks for a vote, may take: voters whose round trip is longer do not keep
    /// a leader.
    pub answer: Duration,
    /// The silence of its leader after which a voter asks for votes, at the least. It is also a leader's lease: for this
    /// long after they last heard it, voters give nobody else their vote.
    pub election_min: Duration,
    /// The same at the most, where lines are short; the spread keeps voters from asking at the same time.
    pub election_max: Duration,
    /// A member that has not answered for so long is not taken to be there. A leader that no majority has answered for so
    /// long falls silent, so that those who could elect another do: with its heartbeats going on they would not.
    pub recent: Duration,
    /// How long a proposal may take, elections included: with a leader that hears nobody, its silence, a lease, two
    /// elections and a reply.
    pub propose: Duration,
    /// How long a voter is silent before its vote goes to another member. Long enough for a reboot or an
    /// upgrade, after which it would be back; short, because until then the group has one failure less to
    /// spare.
    pub settle: Duration,
    /// How long the same members have voted before a vote moves to another region. Nothing is broken meanwhile, so each
    /// host that comes and goes shall cost at most one such move, and an admin who says of one host after
    /// the other where it stands shall be done first.
    pub stay: Duration,
}

impl Default for Timing {
    /// Where lines are short a supervisor is replaced 0.6 to 0.85 s after it was last heard; four of its heartbeats must be
    /// lost for that. It sends 13 small packets a second in a 3-member mesh.
    ///
    /// Any two places on earth are at most 400 ms apart by cable, there and back, with queues on the way.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(150),
            answer: Duration::from_millis(500),
            election_min: Duration::from_millis(600),
            election_max: Duration::from_millis(850),
            recent: Duration::from_millis(1000),
            propose: Duration::from_secs(5),
            settle: Duration::from_secs(60),
            stay: Duration::from_secs(300),
        }
    }
}

impl Timing {
    pub(super) fn config(&self, mesh: MeshId) -> Result<Arc<Config>, ConfigError> {
        let config = Config {
            cluster_name: mesh.to_string(),
            // How long it waits for the answer to a heartbeat, to one that asks for votes, and a lease. When there
            // are heartbeats and elections it is told.
            heartbeat_interval: millis(self.answer),
            election_timeout_min: millis(self.answer) + 1,
            election_timeout_max: millis(self.election_min),
            enable_tick: false,
            // A leader that nobody answers falls silent by `pulse::speaks`, with its entries too: one gate, not two.
            quorum_loss_probe_interval: None,
            // A host that comes back from a partition must not unseat a leader the others are happy
            // with by having counted terms in its corner.
            enable_pre_vote: Some(true),
            // Long enough to tell the others that the new voters are agreed on.
            removed_leader_step_down: StepDownPolicy::After(millis(2 * self.answer)),
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
    fn elections_faster_than_answers_are_refused() {
        let timing = Timing { election_min: Duration::from_millis(500), ..Timing::default() };
        assert!(timing.config(MeshId([0; 16])).is_err());
    }
}
