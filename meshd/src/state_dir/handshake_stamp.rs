//! `handshake.stamp`: the latest time this host has stamped a handshake with.
//!
//! Peers refuse a handshake that is not stamped later than the one before, so a host whose wall clock was
//! set back, or that has none, would be locked out until the clock has caught up. A start takes this stamp
//! for the present if the clock says less. Without the file the clock is believed.

use std::time::Duration;

use mesh_dataplane::WallTime;
use mesh_model::codec::{self, CodecError};
use serde::{Deserialize, Serialize};

/// How often the stamp is saved at most.
pub(crate) const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The longest file, in bytes: a version and a number.
pub(super) const MAX_STAMP: usize = 16;

/// What is added to a saved stamp: handshakes of the minute after it, and of another one should the save
/// have come late.
pub(super) const SLACK: Duration = SAVE_EVERY.saturating_mul(2);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct HandshakeStamp {
    /// Since the Unix epoch; ends in 2554.
    nanos: u64,
}

mesh_model::message!(HandshakeStamp, "handshake stamp", version 1, limit MAX_STAMP);

/// The stamp in `bytes` and what may have been used after it was saved.
pub(super) fn decode(bytes: &[u8]) -> Result<WallTime, CodecError> {
    let HandshakeStamp { nanos } = codec::decode(bytes)?;
    Ok(WallTime(Duration::from_nanos(nanos) + SLACK))
}

/// `stamp` as the file holds it.
pub(super) fn encode(stamp: WallTime) -> Vec<u8> {
    let nanos = u64::try_from(stamp.0.as_nanos()).unwrap_or(u64::MAX);
    codec::encode(&HandshakeStamp { nanos })
}
