//! The hash of a trail up to and with one entry.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use super::entry::Entry;
use crate::codec;

/// What stands for an entry and all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditHash(pub [u8; 32]);

/// Text that is not such a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of an audit trail: expected 64 hexadecimal digits in lower case")]
pub struct AuditHashError;

impl AuditHash {
    /// The hash before the first entry: that of the encoded signed genesis.
    pub(super) fn of_beginning(encoded: &[u8]) -> Self {
        Self(blake3::derive_key("meshd v1 audit beginning", encoded))
    }

    /// The hash after `entry`, when this is the one before it.
    pub fn after(&self, entry: &Entry) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 audit entry");
        // The hash has a fixed length, so nothing can be moved over the border between the two.
        hasher.update(&self.0).update(&codec::encode(entry));
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditHash {
    type Err = AuditHashError;

    fn from_str(text: &str) -> Result<Self, AuditHashError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| AuditHashError)?;
        bytes.try_into().map(Self).map_err(|_| AuditHashError)
    }
}

crate::codec::text_or_bytes!(AuditHash, 32);
