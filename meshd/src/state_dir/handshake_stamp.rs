//! The latest time this host has stamped a handshake with: `handshake.stamp` of a daemon, `IF.stamp` of a
//! plain device.
//!
//! Peers refuse a handshake that is not stamped later than the one before, so a host whose wall clock was
//! set back, or that has none, would be locked out until the clock has caught up. A start takes this stamp
//! for the present if the clock says less. Without the file the clock is believed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_dataplane::WallTime;
use mesh_model::codec::{self, CodecError};
use serde::{Deserialize, Serialize};

use super::{StateDirError, files};

/// How often the stamp is saved at most.
pub(crate) const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The longest file, in bytes: a version and a number.
const MAX_STAMP: usize = 16;

/// What is added to a saved stamp: handshakes of the minute after it, and of another one should the save
/// have come late.
pub(super) const SLACK: Duration = SAVE_EVERY.saturating_mul(2);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct HandshakeStamp {
    /// Since the Unix epoch; ends in 2554.
    nanos: u64,
}

mesh_model::message!(HandshakeStamp, "handshake stamp", version 1, limit MAX_STAMP);

/// The file.
#[derive(Debug)]
pub(crate) struct StampFile(PathBuf);

impl StampFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The file of a plain device in `dir`, which is made if need be, and whose owner we must be alone.
    pub(crate) fn of_device(dir: &Path, interface: &str) -> Result<Self, StateDirError> {
        files::prepare_dir(dir)?;
        Ok(Self(dir.join(format!("{interface}.stamp"))))
    }

    /// No handshake of this run may be stamped earlier. A file that cannot be used is logged; then the wall
    /// clock is believed.
    pub(crate) fn floor(&self) -> WallTime {
        let decoded = match files::read(&self.0, MAX_STAMP) {
            Ok(None) => return WallTime::default(),
            Ok(Some(bytes)) => decode(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        decoded.unwrap_or_else(|error| {
            tracing::warn!(path = %self.0.display(), error, "the last handshake's stamp is ignored");
            WallTime::default()
        })
    }

    /// Remembers what the latest handshake was stamped with.
    pub(crate) fn save(&self, stamp: WallTime) -> Result<(), StateDirError> {
        files::write(&self.0, &encode(stamp))
    }
}

/// The stamp in `bytes` and what may have been used after it was saved.
fn decode(bytes: &[u8]) -> Result<WallTime, CodecError> {
    let HandshakeStamp { nanos } = codec::decode(bytes)?;
    Ok(WallTime(Duration::from_nanos(nanos) + SLACK))
}

/// `stamp` as the file holds it.
fn encode(stamp: WallTime) -> Vec<u8> {
    let nanos = u64::try_from(stamp.0.as_nanos()).unwrap_or(u64::MAX);
    codec::encode(&HandshakeStamp { nanos })
}
