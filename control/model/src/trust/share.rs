//! A share of the mesh's root key: one of several files, any few of which make the key again.
//!
//! ```text
//! meshd root share 1
//! mesh: <32 hexadecimal digits>
//! root-public: <base64 of the Ed25519 public key>
//! set: <16 hexadecimal digits: which splitting it is of>
//! threshold: 3
//! shares: 5
//! index: 2
//! share: <base64 of its 32 bytes>
//! checksum: <16 hexadecimal digits of a hash of the lines before>
//! ```
//!
//! Text, since it is printed, typed in and kept in envelopes: blank lines, comments and blanks around a line do not
//! matter. Everything but the share itself may be known to everybody. A share alone says nothing about the key; whoever
//! has as many as the threshold has the key.

use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use zeroize::{Zeroize, Zeroizing};

use super::MeshRoot;
use crate::id::MeshId;
use crate::key::IdentityKey;

const TITLE: &str = "meshd root share 1";

/// What the title of any version starts with.
const ANY_TITLE: &str = "meshd root share ";

/// The most shares a key is split into: more people than that do not meet.
pub const MAX_SHARES: u8 = 32;

/// The fewest that make the key again. With one, every share would be the key.
pub const MIN_THRESHOLD: u8 = 2;

/// The longest file, in bytes: eight times what it takes.
pub const MAX_SHARE_FILE: usize = 4096;

/// Bytes of the checksum. It finds slips of the pen; the key it leads to is checked as a whole.
const CHECKSUM: usize = 8;

/// One share.
#[derive(Clone, PartialEq, Eq)]
pub struct RootShare {
    /// The mesh and the key the shares make.
    pub root: MeshRoot,
    /// Which splitting it is of: shares of two do not mix.
    pub set: [u8; 8],
    /// How many make the key.
    pub threshold: u8,
    /// How many there are.
    pub shares: u8,
    /// Which one it is, from 1.
    pub index: u8,
    /// What has to be kept.
    pub secret: [u8; 32],
}

impl Drop for RootShare {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl std::fmt::Debug for RootShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootShare({} of {}, {})", self.index, self.shares, self.root.mesh)
    }
}

/// Why text is not a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Its first line is another.
    #[error("it is not a share of a root key: its first line is not `{TITLE}`")]
    OtherFile,
    /// Written by a version this build does not know.
    #[error("it is of version {0}, this build reads version 1")]
    Version(String),
    /// A line is missing, there twice, or not of the form it should have.
    #[error("field `{0}` is missing, repeated or not what it should be")]
    Field(&'static str),
    /// A line this version does not have.
    #[error("it has a line this version does not know")]
    Unknown,
    /// Something in it is not what it was.
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    /// Numbers no splitting has.
    #[error("share {index} of {shares}, {threshold} needed: there is no such splitting")]
    Numbers {
        /// Which one it says it is.
        index: u8,
        /// Of how many.
        shares: u8,
        /// How many would make the key.
        threshold: u8,
    },
    /// The mesh's id does not belong to the root key.
    #[error("its mesh and its root key do not belong together")]
    Root,
}

/// The fields before the checksum, in their order.
const FIELDS: [&str; 7] = ["mesh", "root-public", "set", "threshold", "shares", "index", "share"];

impl RootShare {
    /// What the file holds.
    pub fn to_text(&self) -> Zeroizing<String> {
        let share = Zeroizing::new(BASE64.encode(&self.secret));
        let values = [
            self.root.mesh.to_string(),
            self.root.key.to_string(),
            HEXLOWER.encode(&self.set),
            self.threshold.to_string(),
            self.shares.to_string(),
            self.index.to_string(),
        ];
        let values = values.iter().chain([&*share]).map(String::as_str);
        let body = body(FIELDS.into_iter().zip(values));
        let checksum = checksum(&body);
        Zeroizing::new(format!("{}checksum: {checksum}\n", *body))
    }

    fn check(&self) -> Result<(), ShareError> {
        let Self { index, shares, threshold, .. } = *self;
        let there_is = (MIN_THRESHOLD..=shares).contains(&threshold)
            && shares <= MAX_SHARES
            && (1..=shares).contains(&index);
        match there_is {
            true => self.root.check().map_err(|_| ShareError::Root),
            false => Err(ShareError::Numbers { index, shares, threshold }),
        }
    }
}

impl FromStr for RootShare {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match lines.next() {
            Some(TITLE) => {}
            Some(other) => {
                return Err(match other.strip_prefix(ANY_TITLE) {
                    Some(version) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
                        ShareError::Version(version.chars().take(8).collect())
                    }
                    _ => ShareError::OtherFile,
                });
            }
            None => return Err(ShareError::OtherFile),
        }
        let fields = fields(lines)?;
        let field = |name: &'static str| {
            let found = fields.iter().find(|(field, _)| *field == name);
            found.map(|(_, value)| *value).ok_or(ShareError::Field(name))
        };
        let mut values = Vec::with_capacity(FIELDS.len());
        for name in FIELDS {
            values.push((name, field(name)?));
        }
        if checksum(&body(values.into_iter())) != field("checksum")? {
            return Err(ShareError::Damaged);
        }
        let number = |name| field(name)?.parse().map_err(|_| ShareError::Field(name));
        let mesh: MeshId = field("mesh")?.parse().map_err(|_| ShareError::Field("mesh"))?;
        let key: IdentityKey =
            field("root-public")?.parse().map_err(|_| ShareError::Field("root-public"))?;
        let share = Self {
            root: MeshRoot { mesh, key },
            set: bytes(HEXLOWER.decode(field("set")?.as_bytes()).ok(), "set")?,
            threshold: number("threshold")?,
            shares: number("shares")?,
            index: number("index")?,
            secret: bytes(BASE64.decode(field("share")?.as_bytes()).ok(), "share")?,
        };
        share.check()?;
        Ok(share)
    }
}

/// The lines as names and values, each name known and there once.
fn fields<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> Result<Vec<(&'static str, &'a str)>, ShareError> {
    let mut fields: Vec<(&'static str, &str)> = Vec::with_capacity(FIELDS.len() + 1);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(ShareError::Unknown)?;
        let known = FIELDS.into_iter().chain(["checksum"]).find(|known| *known == name.trim());
        let name = known.ok_or(ShareError::Unknown)?;
        if fields.iter().any(|(field, _)| *field == name) {
            return Err(ShareError::Field(name));
        }
        fields.push((name, value.trim()));
    }
    Ok(fields)
}

/// The lines the checksum covers, as they are written.
fn body<'a>(fields: impl Iterator<Item = (&'static str, &'a str)>) -> Zeroizing<String> {
    // Room for everything at once: growing would leave copies of the share behind.
    let mut body = Zeroizing::new(String::with_capacity(MAX_SHARE_FILE));
    body.push_str(TITLE);
    body.push('\n');
    for (name, value) in fields {
        for part in [name, ": ", value, "\n"] {
            body.push_str(part);
        }
    }
    body
}

fn checksum(body: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("meshd v1 root share checksum");
    hasher.update(body.as_bytes());
    HEXLOWER.encode(&hasher.finalize().as_bytes()[..CHECKSUM])
}

fn bytes<const N: usize>(
    decoded: Option<Vec<u8>>,
    field: &'static str,
) -> Result<[u8; N], ShareError> {
    let decoded = Zeroizing::new(decoded.unwrap_or_default());
    decoded.as_slice().try_into().map_err(|_| ShareError::Field(field))
}
