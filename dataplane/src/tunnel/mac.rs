//! The two MACs at the end of a handshake message (sections 5.3 and 5.4.4).
//!
//! ```text
//! | message ... | first MAC, 16 bytes | second MAC, 16 bytes |
//!                 knows my key          reads what is sent to its address; or zeros
//! ```

use mesh_model::TunnelKey;
use subtle::ConstantTimeEq as _;

use super::hash::{hash, mac};

/// Bytes of a MAC, and of a cookie.
pub(super) const MAC: usize = 16;

/// What everybody who knows a public key can derive from it.
#[derive(Debug, Clone)]
pub(super) struct MacKeys {
    /// Makes the first MAC of messages to the key's owner.
    first: [u8; 32],
    /// Encrypts cookies of the key's owner.
    pub(super) cookie: [u8; 32],
}

impl MacKeys {
    pub(super) fn of(key: &TunnelKey) -> Self {
        Self {
            first: hash(&[b"mac1----", key.as_bytes()]),
            cookie: hash(&[b"cookie--", key.as_bytes()]),
        }
    }

    /// Writes both MACs at the end of `message`; returns the first.
    pub(super) fn sign(&self, message: &mut [u8], cookie: Option<&[u8; MAC]>) -> [u8; MAC] {
        let end = message.len() - 2 * MAC;
        let first = mac(&self.first, &message[..end]);
        message[end..end + MAC].copy_from_slice(&first);
        let second = cookie.map_or([0; MAC], |cookie| mac(cookie, &message[..end + MAC]));
        message[end + MAC..].copy_from_slice(&second);
        first
    }

    /// Whether the first MAC of a handshake message is right. In constant time.
    pub(super) fn check_first(&self, message: &[u8]) -> bool {
        let (body, first) = message[..message.len() - MAC].split_at(message.len() - 2 * MAC);
        mac(&self.first, body).ct_eq(first).into()
    }
}

/// Whether the second MAC of a handshake message is made with `cookie`. In constant time.
pub(super) fn check_second(message: &[u8], cookie: &[u8; MAC]) -> bool {
    let (body, second) = message.split_at(message.len() - MAC);
    mac(cookie, body).ct_eq(second).into()
}

/// The first MAC of a handshake message.
pub(super) fn first_mac(message: &[u8]) -> [u8; MAC] {
    let mut first = [0; MAC];
    first.copy_from_slice(&message[message.len() - 2 * MAC..message.len() - MAC]);
    first
}
