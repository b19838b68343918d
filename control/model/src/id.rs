//! Identifiers: who, which mesh, which invite, which place in the log.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::key::IdentityKey;

/// A place in the agreed log. The first entry has index 1.
pub type LogIndex = u64;

/// A Raft term: at most one supervisor in each.
pub type Term = u64;

/// A member of the mesh: the log index at which it was admitted.
///
/// An index is used once, so an id is never given twice, also not after its member has left. It
/// serves as the Raft node id too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl MemberId {
    /// The member that ran `mesh init`. It exists before the log does; index 1 is always the blank
    /// entry of the first supervisor, so no admission can ever yield the same number.
    pub const FOUNDER: Self = Self(1);
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An admin of the mesh: the number of the change of admins that made it one.
///
/// Numbers are used once, so an id is never given twice, also not when the same person comes back with another key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdminId(pub u64);

impl AdminId {
    /// Whoever holds the mesh's root key: an admin before the first change.
    pub const ROOT: Self = Self(0);
}

impl fmt::Display for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}

impl fmt::Debug for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

impl FromStr for MemberId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix('m')
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| IdError { text: text.to_owned(), expected: "a member id such as m7" })
    }
}

impl FromStr for AdminId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix('a')
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| IdError { text: text.to_owned(), expected: "an admin id such as a2" })
    }
}

/// 16 bytes shown as 32 hexadecimal digits.
macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { text: text.to_owned(), expected: $expected };
                let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| wrong())?;
                bytes.try_into().map(Self).map_err(|_| wrong())
            }
        }

        crate::codec::text_or_bytes!($name, 16);
    };
}

id16! {
    /// A mesh: the first 16 bytes of a hash of its root key, so the id vouches for the key.
    MeshId, "a mesh id of 32 hexadecimal digits"
}

id16! {
    /// An invite: the first 16 bytes of a hash of the invite's own public key.
    InviteId, "an invite id of 32 hexadecimal digits"
}

impl MeshId {
    /// The id of the mesh whose trust starts at `root`.
    pub fn of_root(root: &IdentityKey) -> Self {
        Self(short_hash("meshd v1 mesh id", root))
    }
}

impl InviteId {
    /// The id of the invite that carries `key`.
    pub fn of_key(key: &IdentityKey) -> Self {
        Self(short_hash("meshd v1 invite id", key))
    }
}

fn short_hash(context: &str, key: &IdentityKey) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::derive_key(context, key.as_bytes())[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        assert_eq!("m42".parse(), Ok(MemberId(42)));
        assert_eq!(MemberId(42).to_string(), "m42");
        assert_eq!("a2".parse(), Ok(AdminId(2)));
        assert_eq!(AdminId::ROOT.to_string(), "a0");
        let mesh = MeshId([0xab; 16]);
        assert_eq!(mesh.to_string().parse(), Ok(mesh));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "m", "42", "m-1", "mm1"] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
        for text in ["", "ab", "AB", &"g".repeat(32), &"a".repeat(34)] {
            assert!(text.parse::<MeshId>().is_err(), "{text}");
        }
    }
}
