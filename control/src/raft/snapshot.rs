//! A snapshot: the agreed state at one index, as bytes that stand for themselves.
//!
//! The same bytes lie on disk, travel to a member that fell behind, and are what a joining host
//! starts from. They carry the log id they stand for, Raft's membership at that point, and the state,
//! compressed. Whoever opens them bounds the expansion and checks every chain of signatures from the
//! mesh's root before believing a word ([`Replica::open`]). One that comes from a leader must moreover
//! continue what this host has agreed to before.

use std::io::Read as _;

use mesh_model::Edition;
use mesh_model::codec::{self, CodecError, Message as _};
use mesh_model::snapshot::MAX_PAYLOAD;
use mesh_model::trust::{ChainError, MeshRoot};
use mesh_model::wire::sync::LogHash;
use serde::{Deserialize, Serialize};

use super::records::{LogIdRecord, StoredMembershipRecord};
use super::replica::Replica;
use super::types::SnapshotMeta;
use crate::state::State;

/// The most a snapshot may occupy, in bytes.
pub(crate) const SNAPSHOT_LIMIT: usize = MAX_PAYLOAD;

/// Level 3 is zstd's own default: signatures do not compress, the rest is small.
const LEVEL: i32 = 3;

/// The largest window the decoder grants, as a power of two: 8 MiB, what level 3 asks for at most.
const WINDOW_LOG_MAX: u32 = 23;

/// A snapshot as it is encoded.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SnapshotRecord {
    last: Option<LogIdRecord>,
    membership: StoredMembershipRecord,
    /// The encoded [`State`], compressed with zstd.
    state: Vec<u8>,
    /// All entries up to `last`.
    log: LogHash,
}

mesh_model::message!(SnapshotRecord, "snapshot", version 1, limit SNAPSHOT_LIMIT);

/// Why bytes are not a snapshot to be believed. Always the fault of whoever made them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot of a version we read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The compressed part does not expand, or to more than it may.
    #[error("snapshot: the state does not expand: {0}")]
    Compression(String),
    /// A signature in the state does not hold: somebody invented or altered a member.
    #[error("snapshot: {0}")]
    Chain(#[from] ChainError),
}

impl Replica {
    /// This replica as snapshot bytes.
    pub(crate) fn to_snapshot(&self) -> Vec<u8> {
        self.pack(&codec::encode(&self.state))
    }

    /// This replica as snapshot bytes, `state` being its encoded state.
    pub(crate) fn pack(&self, state: &[u8]) -> Vec<u8> {
        codec::encode(&SnapshotRecord {
            last: self.applied.map(Into::into),
            membership: (&self.membership).into(),
            state: compress(state),
            log: self.log,
        })
    }

    /// This replica, if a build reads its state that reads no later edition than `reads`.
    pub(crate) fn read_up_to(self, reads: Edition) -> Result<Self, CodecError> {
        self.state.check_readable(reads).map(|()| self)
    }

    /// What openraft wants to know about this replica's snapshot.
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }

    /// The replica in `bytes`, if every chain in it starts at `root`.
    pub(crate) fn open(bytes: &[u8], root: &MeshRoot) -> Result<Self, SnapshotError> {
        Self::open_within(bytes, root, State::LIMIT)
    }

    /// Like [`Self::open`], of a state that says it takes no more than `most` bytes once expanded.
    pub(crate) fn open_within(
        bytes: &[u8],
        root: &MeshRoot,
        most: usize,
    ) -> Result<Self, SnapshotError> {
        let record: SnapshotRecord = codec::decode(bytes)?;
        Ok(Self {
            state: open_state_within(&record.state, root, most)?,
            applied: record.last.map(Into::into),
            membership: record.membership.try_into()?,
            log: record.log,
        })
    }
}

/// What openraft wants to know about the snapshot in `bytes`, which is **not verified** here.
pub(crate) fn peek_meta(bytes: &[u8]) -> Result<SnapshotMeta, CodecError> {
    let record: SnapshotRecord = codec::decode(bytes)?;
    Ok(SnapshotMeta {
        last_log_id: record.last.map(Into::into),
        last_membership: record.membership.try_into()?,
    })
}

/// `bytes`, compressed.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL).expect("compressing memory into memory cannot fail")
}

/// The state in `compressed`, if every chain in it starts at `root`.
pub(crate) fn open_state(compressed: &[u8], root: &MeshRoot) -> Result<State, SnapshotError> {
    open_state_within(compressed, root, State::LIMIT)
}

fn open_state_within(
    compressed: &[u8],
    root: &MeshRoot,
    most: usize,
) -> Result<State, SnapshotError> {
    let state: State = codec::decode(&expand(compressed, most)?)?;
    state.verify(root)?;
    Ok(state)
}

/// Expands `compressed` to at most `most` bytes: a few bytes can become gigabytes.
fn expand(compressed: &[u8], most: usize) -> Result<Vec<u8>, SnapshotError> {
    let failed = |error: std::io::Error| SnapshotError::Compression(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed).map_err(failed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(failed)?;
    let mut expanded = Vec::new();
    decoder.take(most as u64 + 1).read_to_end(&mut expanded).map_err(failed)?;
    if expanded.len() > most {
        return Err(SnapshotError::Compression(format!("more than {most} bytes")));
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::fixture::{forged, other_root, root, settled, unchained};

    #[test]
    fn a_small_snapshot_that_expands_without_end_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; State::LIMIT + 1], 19).expect("compresses");
        assert!(bomb.len() < 64 << 10);
        assert!(matches!(expand(&bomb, State::LIMIT), Err(SnapshotError::Compression(_))));
    }

    #[test]
    fn a_snapshot_comes_back_as_it_went() {
        let replica = settled();
        let back = Replica::open(&replica.to_snapshot(), &root()).expect("genuine");
        assert_eq!(back.view(), replica.view());
        assert_eq!(back.meta(), replica.meta());
        assert_eq!(peek_meta(&replica.to_snapshot()), Ok(replica.meta()));
    }

    #[test]
    fn a_snapshot_with_another_key_for_a_member_is_refused() {
        let refused = Replica::open(&forged().to_snapshot(), &root());
        assert!(matches!(refused, Err(SnapshotError::Chain(_))), "{refused:?}");
    }

    #[test]
    fn a_snapshot_with_a_broken_audit_trail_is_refused() {
        let refused = Replica::open(&unchained().to_snapshot(), &root());
        assert!(matches!(refused, Err(SnapshotError::Chain(ChainError::Audit(_)))), "{refused:?}");
    }

    #[test]
    fn a_snapshot_of_another_mesh_is_refused() {
        let refused = Replica::open(&settled().to_snapshot(), &other_root());
        assert!(matches!(refused, Err(SnapshotError::Chain(_))), "{refused:?}");
    }

    #[test]
    fn a_damaged_snapshot_is_an_error_and_not_a_panic() {
        let whole = settled().to_snapshot();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            drop(Replica::open(&bytes, &root()));
            drop(Replica::open(&whole[..at], &root()));
        }
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused() {
        for bytes in [&[][..], &[0], &[1], &[1; 100], &[255; 4096]] {
            assert!(peek_meta(bytes).is_err());
        }
        assert!(expand(b"not zstd", State::LIMIT).is_err());
    }
}
