//! What the chain hangs from: the mesh's signed beginning.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::hash::AuditHash;
use crate::codec::{self, CodecError};
use crate::signed::Signed;
use crate::trust::Genesis;

/// The signed genesis, as it stands in an exported trail: base64 of its encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Beginning(pub Signed<Genesis>);

/// Its encoding, version first.
#[derive(Serialize, Deserialize)]
struct Encoded(Signed<Genesis>);

// A genesis of 1024 bytes at most, its length and its signature.
crate::message!(Encoded, "audit beginning", version 1, limit 1152);

/// Text that is not the beginning of a trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginningError {
    /// Other characters, or cut off.
    #[error("the genesis is not base64")]
    NotBase64,
    /// Other bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Beginning {
    /// The hash before the first entry.
    pub fn hash(&self) -> AuditHash {
        AuditHash::of_beginning(&self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&Encoded(self.0.clone()))
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.encode()))
    }
}

impl FromStr for Beginning {
    type Err = BeginningError;

    fn from_str(text: &str) -> Result<Self, BeginningError> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| BeginningError::NotBase64)?;
        let Encoded(signed) = codec::decode(&bytes)?;
        Ok(Self(signed))
    }
}

impl TryFrom<String> for Beginning {
    type Error = BeginningError;

    fn try_from(text: String) -> Result<Self, BeginningError> {
        text.parse()
    }
}

impl From<Beginning> for String {
    fn from(beginning: Beginning) -> Self {
        beginning.to_string()
    }
}
