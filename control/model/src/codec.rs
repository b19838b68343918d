//! The one encoding for everything that is stored or sent between members.
//!
//! A message is a version byte followed by bincode (variable-length integers, little endian). Each
//! message type names its version and the most bytes it may occupy; both are checked before a
//! single field is decoded, and bytes left over afterwards are an error. Enums only grow at the end,
//! fields never move: the golden vectors in this crate's tests hold that. What has grown is written in the
//! oldest version that can say it: members of two versions understand each other until one says what only the newer knows.
//!
//! Only authenticated bytes, or bytes bounded by [`Message::LIMIT`], may come in here. Packets from
//! strangers are parsed by hand in the packet core.

use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most any message may occupy, in bytes: a snapshot of 10,000 members with their chains (about
/// 700 bytes each) fits nine times over.
pub const MAX_MESSAGE: usize = 64 << 20;

/// A type with one home, one version and one bound.
pub trait Message: Serialize + DeserializeOwned {
    /// What errors and logs call it.
    const NAME: &'static str;
    /// The newest version this build reads.
    const VERSION: u8;
    /// The oldest version this build reads.
    const OLDEST: u8 = Self::VERSION;
    /// The most bytes an encoded value may occupy, version byte included.
    const LIMIT: usize;

    /// The version this value is written in: the oldest that can say it, so that whoever reads that one reads this. A function
    /// of the value alone, so that all builds write the same bytes.
    fn version(&self) -> u8 {
        Self::VERSION
    }
}

/// Why bytes are not the message they were taken for. The sender's fault, or a damaged file's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Nothing to decode.
    #[error("{name}: empty")]
    Empty {
        /// The expected message.
        name: &'static str,
    },
    /// More bytes than the message may occupy.
    #[error("{name}: {len} bytes, the limit is {limit}")]
    TooLong {
        /// The expected message.
        name: &'static str,
        /// Bytes offered.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Written by a version this build does not know.
    #[error("{name}: version {found}, this build reads version {known}; {}", version_advice(*found, *known))]
    Version {
        /// The expected message.
        name: &'static str,
        /// The version byte found.
        found: u8,
        /// The version this build knows.
        known: u8,
    },
    /// A field is missing, out of range or cut off.
    #[error("{name}: malformed: {reason}")]
    Malformed {
        /// The expected message.
        name: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// Bytes left over after the last field.
    #[error("{name}: {extra} bytes too many")]
    Trailing {
        /// The expected message.
        name: &'static str,
        /// How many.
        extra: usize,
    },
}

impl CodecError {
    /// Whether a newer build wrote it: nothing is wrong with it, or with whoever sent it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Version { found, known, .. } if found > known)
    }
}

/// What to do about another version.
fn version_advice(found: u8, known: u8) -> &'static str {
    match found > known {
        true => "upgrade this member",
        false => "it was written by an older version, which still reads it",
    }
}

/// Messages up to this many bytes decode under [`SMALL_CLAIM`]: everything but snapshots.
const SMALL: usize = 4 << 10;

/// How much memory the lengths inside a small message may ask for, in bytes: sixteen for each byte
/// it has, as the widest integer takes one byte when its value is small. Without it, ten bytes that
/// claim a long text would have [`MAX_MESSAGE`] set aside before the lie is noticed.
const SMALL_CLAIM: usize = 16 * SMALL;

fn format<const CLAIM: usize>() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<CLAIM>()
}

/// The bytes of `message`, version byte first.
///
/// # Panics
/// When a value of our own making exceeds its [`Message::LIMIT`] or cannot be encoded at all: both
/// are bugs in this program, never a matter of input.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = vec![message.version()];
    bincode::serde::encode_into_std_write(message, &mut bytes, format::<MAX_MESSAGE>())
        .expect("writing plain data to memory cannot fail");
    assert!(bytes.len() <= M::LIMIT, "{} of {} bytes exceeds its own limit", M::NAME, bytes.len());
    bytes
}

/// The message in `bytes`, all of them.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, CodecError> {
    decode_up_to(bytes, M::VERSION)
}

/// The same, as a build decodes it of which `newest` is the newest version it reads.
pub fn decode_up_to<M: Message>(bytes: &[u8], newest: u8) -> Result<M, CodecError> {
    let name = M::NAME;
    let newest = newest.min(M::VERSION);
    let (&version, body) = bytes.split_first().ok_or(CodecError::Empty { name })?;
    if bytes.len() > M::LIMIT {
        return Err(CodecError::TooLong { name, len: bytes.len(), limit: M::LIMIT });
    }
    if !(M::OLDEST..=newest).contains(&version) {
        return Err(CodecError::Version { name, found: version, known: newest });
    }
    let decoded = if bytes.len() <= SMALL {
        bincode::serde::decode_from_slice(body, format::<SMALL_CLAIM>())
    } else {
        bincode::serde::decode_from_slice(body, format::<MAX_MESSAGE>())
    };
    let (message, used): (M, usize) =
        decoded.map_err(|error| CodecError::Malformed { name, reason: reason(error) })?;
    let needed = message.version();
    if needed != version {
        let reason = format!("it says version {version} and is of version {needed}");
        return Err(CodecError::Malformed { name, reason });
    }
    match body.len() - used {
        0 => Ok(message),
        extra => Err(CodecError::Trailing { name, extra }),
    }
}

/// What the decoder found, in words. Its own `Display` is its `Debug`.
fn reason(error: DecodeError) -> String {
    match error {
        DecodeError::UnexpectedEnd { .. } => "cut off".to_owned(),
        DecodeError::LimitExceeded => "a length beyond the message's end".to_owned(),
        DecodeError::OtherString(text) => text,
        DecodeError::Other(text) => text.to_owned(),
        other => other.to_string(),
    }
}

/// Names a type's [`Message`] constants in one line.
#[macro_export]
macro_rules! message {
    ($type:ty, $name:literal, version $version:literal, limit $limit:expr) => {
        impl $crate::codec::Message for $type {
            const NAME: &'static str = $name;
            const VERSION: u8 = $version;
            const LIMIT: usize = $limit;
        }
    };
}

/// Serde for a byte-array newtype with `Display` and `FromStr`: text where people read (JSON, TOML),
/// the bare bytes on the wire.
macro_rules! text_or_bytes {
    ($name:ident, $len:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple as _;
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                let mut tuple = serializer.serialize_tuple($len)?;
                for byte in &self.0 {
                    tuple.serialize_element(byte)?;
                }
                tuple.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    return text.parse().map_err(serde::de::Error::custom);
                }
                deserializer.deserialize_tuple($len, $crate::codec::ByteArray::<$len>).map($name)
            }
        }
    };
}
pub(crate) use text_or_bytes;

/// Reads exactly `N` bytes.
pub(crate) struct ByteArray<const N: usize>;

impl<'de, const N: usize> serde::de::Visitor<'de> for ByteArray<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte =
                seq.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(at, &self))?;
        }
        Ok(bytes)
    }
}
