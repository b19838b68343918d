//! The four messages as they look on the wire (WireGuard paper, section 5.4), read from outside: without
//! keys.

use blake2::digest::{FixedOutput as _, KeyInit, Mac as _, consts::U16};
use blake2::{Blake2s256, Blake2sMac, Digest as _};

use super::key::PublicKey;

/// The bytes of a handshake initiation.
pub const INITIATION_LEN: usize = 148;

/// The bytes of a handshake response.
pub const RESPONSE_LEN: usize = 92;

/// The bytes of a data message beyond its packet: type, receiver, counter and tag.
pub const DATA_OVERHEAD: usize = 32;

/// Bytes of each of the two message authentication codes at the end of a handshake message.
const MAC_LEN: usize = 16;

type Mac = Blake2sMac<U16>;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first of a handshake.
    Initiation,
    /// The second.
    Response,
    /// Proof of address asked for, under load.
    CookieReply,
    /// A packet; a keepalive is one without a packet.
    Data,
}

impl Kind {
    /// What `payload` claims to be.
    pub fn of(payload: &[u8]) -> Option<Self> {
        match payload.first_chunk::<4>()? {
            [1, 0, 0, 0] if payload.len() == INITIATION_LEN => Some(Self::Initiation),
            [2, 0, 0, 0] if payload.len() == RESPONSE_LEN => Some(Self::Response),
            [3, 0, 0, 0] if payload.len() == 64 => Some(Self::CookieReply),
            [4, 0, 0, 0] if payload.len() >= DATA_OVERHEAD => Some(Self::Data),
            _ => None,
        }
    }
}

/// Whether `payload` is a data message without a packet.
pub fn is_keepalive(payload: &[u8]) -> bool {
    Kind::of(payload) == Some(Kind::Data) && payload.len() == DATA_OVERHEAD
}

/// The receiver's name for the session a data message belongs to.
pub fn session_of(payload: &[u8]) -> Option<[u8; 4]> {
    (Kind::of(payload) == Some(Kind::Data)).then(|| payload[4..].first_chunk().copied())?
}

/// Whether a handshake message is meant for the owner of `key`: its first code says so.
pub fn is_for(payload: &[u8], key: PublicKey) -> bool {
    let Some((covered, macs)) = payload.split_at_checked(payload.len().saturating_sub(2 * MAC_LEN))
    else {
        return false;
    };
    macs.get(..MAC_LEN) == Some(&mac1(key, covered)[..])
}

/// The first code of a handshake message for the owner of `key`, over everything before it.
pub fn mac1(key: PublicKey, covered: &[u8]) -> [u8; MAC_LEN] {
    let label = Blake2s256::new().chain_update(b"mac1----").chain_update(key.0).finalize();
    let mac = <Mac as KeyInit>::new(&label);
    mac.chain_update(covered).finalize_fixed().into()
}
