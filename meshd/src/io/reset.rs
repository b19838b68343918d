//! QUIC's stateless resets (RFC 9000, section 10.3), so that a restarted member is noticed at once.
//!
//! A member that crashed knows nothing of its old connections, and its peers would talk into the
//! void until their patience ends. With a key that survives the restart it can answer the first
//! such packet with a proof that it has forgotten the connection, and the peer dials again.

use std::sync::Arc;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};

use super::entropy::Entropy;

/// Bytes of a connection id: unique among the few hundred connections of an endpoint, with room.
const ID_LEN: usize = 8;

/// Endpoint settings whose resets are made with `key`, the same in every run.
pub(crate) fn config(key: [u8; 32]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(key)));
    config.cid_generator(|| Box::new(PlainIds));
    config
}

struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let claimed: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| CryptoError)?;
        // `blake3::Hash` compares in constant time.
        let matches = blake3::keyed_hash(&self.0, data) == blake3::Hash::from_bytes(claimed);
        matches.then_some(()).ok_or(CryptoError)
    }
}

/// Random ids without a signature: quinn's own refuse, silently, what an earlier run gave out.
struct PlainIds;

impl ConnectionIdGenerator for PlainIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&Entropy.fresh()[..ID_LEN])
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
