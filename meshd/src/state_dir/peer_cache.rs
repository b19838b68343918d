//! `peers.cache`: where the others were last seen, so that tunnels come back after a reboot while no
//! supervisor exists.
//!
//! A cache: it may be old, cut to its bound, or gone. Nothing in it is believed without a handshake or
//! a signature.

use mesh_model::MeshId;
use mesh_model::codec::{self, CodecError};
use mesh_model::wire::join::PeerHint;
use serde::{Deserialize, Serialize};

/// The most peers kept: more than a mesh holds members in practice (agreement was sized for 10,000).
pub(super) const MAX_PEERS: usize = 16_384;

/// The most bytes one hint takes: signed facts of 512 bytes, a signature of 64, an address, an id and
/// lengths come to 620; rounded up.
const MAX_HINT: usize = 1024;

/// The longest cache, in bytes.
pub(super) const MAX_CACHE: usize = MAX_PEERS * MAX_HINT;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PeerCache {
    mesh: MeshId,
    peers: Vec<PeerHint>,
}

mesh_model::message!(PeerCache, "peer cache", version 1, limit MAX_CACHE);

/// The hints in `bytes`; none when they are about another mesh.
pub(super) fn decode(bytes: &[u8], mesh: MeshId) -> Result<Vec<PeerHint>, CodecError> {
    let cache: PeerCache = codec::decode(bytes)?;
    Ok(if cache.mesh == mesh { cache.peers } else { Vec::new() })
}

/// The first [`MAX_PEERS`] of `peers` as the file holds them.
pub(super) fn encode(mesh: MeshId, peers: &[PeerHint]) -> Vec<u8> {
    let peers = peers[..peers.len().min(MAX_PEERS)].to_vec();
    codec::encode(&PeerCache { mesh, peers })
}
