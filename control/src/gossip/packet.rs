//! One gossip datagram.
//!
//! Three things share it: a SWIM message, facts on the side, and now and then a digest of the facts
//! its sender has. Each may be absent.

use mesh_model::addr::OVERLAY_MTU;
use mesh_model::facts::Facts;
use mesh_model::{MemberId, Signed};
use serde::{Deserialize, Serialize};

/// The largest gossip datagram, in bytes: one overlay packet less the headers of IPv6 (40) and UDP
/// (8), so that none is ever fragmented.
pub const MAX_DATAGRAM: usize = OVERLAY_MTU as usize - 40 - 8;

/// Bytes around the parts: version (1), generation (9), three lengths (3 each) and the digest's
/// presence, ends and flag (1 + 9 + 9 + 1).
const FRAME: usize = 48;

/// The room one datagram has for SWIM, facts and digest together, in bytes.
pub(super) const ROOM: usize = MAX_DATAGRAM - FRAME;

/// The most facts a digest names: each takes at most three 9-byte integers.
pub(super) const MAX_DIGEST: usize = ROOM / 27;

/// A gossip datagram.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packet {
    /// The generation by which the sender knows the receiver; 0 when it does not. A receiver whose
    /// clock went back across a restart learns from it what to outbid.
    pub(super) generation: u64,
    /// A SWIM message, or empty.
    pub(super) swim: Vec<u8>,
    /// Facts, of the sender or of others: each carries its owner's signature.
    pub(super) facts: Vec<Signed<Facts>>,
    /// What the sender has.
    pub(super) digest: Option<Digest>,
}

mesh_model::message!(Packet, "gossip datagram", version 1, limit MAX_DATAGRAM);

/// How new someone's facts are, for every member in a range of ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    /// The first id of the range.
    pub(super) first: MemberId,
    /// The last id of the range.
    pub(super) last: MemberId,
    /// Member, start of its daemon, revision. A member of the range that is not named is not known.
    pub(super) have: Vec<(MemberId, u64, u64)>,
    /// Whether the receiver should ask in turn for what it lacks.
    pub(super) ask: bool,
}

/// The bytes `facts` take in a datagram: a length (3), the signed bytes and the signature (64).
pub(super) fn facts_len(facts: &Signed<Facts>) -> usize {
    3 + facts.payload().len() + 64
}

#[cfg(test)]
mod tests {
    use mesh_model::codec::{self, Message};
    use mesh_model::{IdentitySecret, MeshId};

    use super::*;

    fn longest_facts() -> Signed<Facts> {
        let facts = Facts {
            mesh: MeshId([0xff; 16]),
            member: MemberId(u64::MAX),
            boot_ms: u64::MAX,
            revision: u64::MAX,
            version: "v".repeat(mesh_model::facts::MAX_VERSION_LEN),
            reads: mesh_model::Edition(u8::MAX),
            capabilities: Vec::new(),
            applied: u64::MAX,
            endpoints: vec!["[ffff::1]:65535".parse().expect("an endpoint"); 8],
        };
        Signed::seal(&facts, &IdentitySecret::from_seed([1; 32]))
    }

    #[test]
    fn what_fills_the_room_fits_the_datagram() {
        let longest = (MemberId(u64::MAX), u64::MAX, u64::MAX);
        let digest = Digest {
            first: longest.0,
            last: longest.0,
            have: vec![longest; MAX_DIGEST],
            ask: true,
        };
        let full = |swim, facts, digest| Packet { generation: u64::MAX, swim, facts, digest };
        let facts = longest_facts();
        let beside = ROOM - facts_len(&facts);
        for packet in [
            full(vec![0; ROOM], Vec::new(), None),
            full(vec![0; beside], vec![facts], None),
            full(Vec::new(), Vec::new(), Some(digest)),
        ] {
            let bytes = codec::encode(&packet);
            assert!(bytes.len() <= Packet::LIMIT, "{}", bytes.len());
            assert_eq!(codec::decode(&bytes), Ok(packet));
        }
    }
}
