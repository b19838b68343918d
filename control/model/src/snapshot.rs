//! A snapshot as a file: what the mesh had agreed on at one index, to be kept, carried and looked into.
//!
//! ```text
//! "meshsnap"   8 bytes
//! length       2 bytes, little endian: of the header
//! header       what is claimed of the payload, and what voters signed of it, under the rules of `codec`
//! payload      the snapshot as agreement writes it, the state in it compressed
//! checksum     32 bytes: a hash of everything before
//! ```
//!
//! The checksum finds damage, not lies: anybody can compute one. So everything [`read`] returns is *claimed*. It is
//! enough to tell files apart and to refuse one that is broken, of another mesh or too large before a byte of it
//! is expanded. Whether the claims are true is for whoever has the state machine to say, which opens the payload, checks
//! every signature in it from the root key up, and compares.
//!
//! The file has no signature of its own. That a majority agreed on it is shown by checkpoints of its voters at its index, which
//! go along. A file without any is older, or was made while no majority could be heard.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Message as _};
use crate::id::{LogIndex, MemberId, Term};
use crate::signed::Signed;
use crate::trust::{ChainError, MeshRoot, Name};
use crate::view::StateHash;
use crate::wire::sync::Checkpoint;

/// What a snapshot's file starts with.
const MAGIC: [u8; 8] = *b"meshsnap";

/// Bytes of the header's length.
const LENGTH: usize = size_of::<u16>();

/// Bytes of the checksum.
const CHECKSUM: usize = 32;

/// The most the payload may have, in bytes: three quarters of the largest message, so that one with its envelope
/// still is a message and travels between members.
pub const MAX_PAYLOAD: usize = codec::MAX_MESSAGE / 4 * 3;

/// The most the state may have once expanded, in bytes.
pub const MAX_STATE: usize = codec::MAX_MESSAGE;

/// The longest file, in bytes.
pub const MAX_FILE: usize = MAGIC.len() + LENGTH + SnapshotHead::LIMIT + MAX_PAYLOAD + CHECKSUM;

/// The most voters a header names. Seven vote at most, fourteen while one set is exchanged for another; a membership
/// that came from a faulty member may have more.
pub const MAX_NAMED_VOTERS: usize = 32;

/// What a snapshot's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The mesh and its root key.
    pub root: MeshRoot,
    /// What people call the mesh.
    pub mesh_name: Name,
    /// The last entry of the log that is in it.
    pub index: LogIndex,
    /// The term of that entry.
    pub term: Term,
    /// The hash of the agreed state, to be compared with that of a member at this index.
    pub state_hash: StateHash,
    /// The latest time the mesh had agreed on, in milliseconds since the Unix epoch.
    pub agreed_ms: u64,
    /// How many members have a place in the mesh.
    pub members: u32,
    /// Who votes; of more than [`MAX_NAMED_VOTERS`] the first by id.
    pub voters: BTreeSet<MemberId>,
    /// Bytes of the state once expanded.
    pub state_len: u64,
    /// Bytes of the payload.
    pub payload_len: u64,
}

// The voters take 289 bytes at most, the rest 260.
crate::message!(SnapshotHeader, "snapshot header", version 1, limit HEADER_LIMIT);

/// The most bytes of what a snapshot's file says of itself, without what was signed.
const HEADER_LIMIT: usize = 1024;

/// The most checkpoints a snapshot carries: of two sets of seven voters, while one is exchanged for the other.
pub const MAX_WORDS: usize = 14;

/// The most bytes one of them takes: the checkpoint, its length and its signature.
const WORD_LIMIT: usize = Checkpoint::LIMIT + 2 + 64;

/// What a snapshot's file begins with: version 1 of its header where nothing was signed, version 2 where something was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// What it says of itself.
    pub header: SnapshotHeader,
    /// What voters signed of its index.
    pub words: Vec<Signed<Checkpoint>>,
}

crate::message!(SnapshotHead, "snapshot header", version 2, limit HEADER_LIMIT + 1 + MAX_WORDS * WORD_LIMIT);

impl SnapshotHead {
    /// The voters that signed it, by their own account.
    pub fn signers(&self) -> BTreeSet<MemberId> {
        self.words.iter().filter_map(|word| Some(word.peek().ok()?.member)).collect()
    }

    fn encode(&self) -> Vec<u8> {
        match self.words.is_empty() {
            true => codec::encode(&self.header),
            false => codec::encode(self),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.first() == Some(&SnapshotHeader::VERSION) {
            return Ok(Self { header: codec::decode(bytes)?, words: Vec::new() });
        }
        let head: Self = codec::decode(bytes)?;
        let malformed =
            |reason: &str| CodecError::Malformed { name: Self::NAME, reason: reason.to_owned() };
        match head.words.len() {
            0 => Err(malformed("it says version 2 and is of version 1")),
            1..=MAX_WORDS => Ok(head),
            _ => Err(malformed("more checkpoints than voters")),
        }
    }
}

/// Why bytes are no snapshot's file. Damage, another program's file, or a lie that was noticed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFileError {
    /// It starts with something else.
    #[error("it is not a snapshot of a mesh")]
    OtherFile,
    /// It ends before it should.
    #[error("it is cut off: {found} bytes of {expected}")]
    CutOff {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// It goes on after its end.
    #[error("it goes on for {0} bytes after its end")]
    Trailing(usize),
    /// A bit is not what it was.
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    /// The header is of another version, or not one at all.
    #[error("its header is not to be read: {0}")]
    Header(#[from] CodecError),
    /// The mesh's id does not belong to the root key.
    #[error("its header does not hold: {0}")]
    Root(#[from] ChainError),
    /// It claims to be larger than a snapshot can be.
    #[error("its {what} would take {claimed} bytes, the most is {most}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// Bytes claimed.
        claimed: u64,
        /// Bytes allowed.
        most: usize,
    },
}

/// The file of a snapshot whose payload is `payload`.
pub fn write(head: &SnapshotHead, payload: &[u8]) -> Vec<u8> {
    let encoded = head.encode();
    let length = u16::try_from(encoded.len()).expect("a header is shorter than 64 KiB");
    let mut file =
        Vec::with_capacity(MAGIC.len() + LENGTH + encoded.len() + payload.len() + CHECKSUM);
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&encoded);
    file.extend_from_slice(payload);
    let checksum = checksum(&file);
    file.extend_from_slice(&checksum);
    file
}

/// The most bytes from a file's start that [`peek`] looks at.
pub const MAX_HEAD: usize = MAGIC.len() + LENGTH + SnapshotHead::LIMIT;

/// What the snapshot whose file begins with `start`, and has `file_len` bytes, claims. Damage behind the header is not
/// noticed here.
pub fn peek(start: &[u8], file_len: u64) -> Result<SnapshotHead, SnapshotFileError> {
    let (head, before) = read_head(start)?;
    let found = usize::try_from(file_len).unwrap_or(usize::MAX);
    check_length(found, before + head.header.payload_len as usize + CHECKSUM)?;
    Ok(head)
}

/// What the snapshot in `file` claims, and its payload. Costs the length of the file, whatever that claims.
pub fn read(file: &[u8]) -> Result<(SnapshotHead, &[u8]), SnapshotFileError> {
    let (head, start) = read_head(file)?;
    // Cannot overflow: the header was checked against the most a payload may have.
    let end = start + head.header.payload_len as usize;
    check_length(file.len(), end + CHECKSUM)?;
    let (covered, found) = file.split_at(end);
    if checksum(covered) != found {
        return Err(SnapshotFileError::Damaged);
    }
    head.header.root.check()?;
    Ok((head, &covered[start..]))
}

fn check_length(found: usize, expected: usize) -> Result<(), SnapshotFileError> {
    match found.checked_sub(expected) {
        None => Err(SnapshotFileError::CutOff { found, expected }),
        Some(0) => Ok(()),
        Some(extra) => Err(SnapshotFileError::Trailing(extra)),
    }
}

/// The header in `file`, and where the payload begins.
fn read_head(file: &[u8]) -> Result<(SnapshotHead, usize), SnapshotFileError> {
    let body = file.strip_prefix(&MAGIC).ok_or(SnapshotFileError::OtherFile)?;
    let start = MAGIC.len() + LENGTH;
    let cut_off = |expected| SnapshotFileError::CutOff { found: file.len(), expected };
    let (length, rest) = body.split_first_chunk::<LENGTH>().ok_or_else(|| cut_off(start))?;
    let length = usize::from(u16::from_le_bytes(*length));
    let encoded = rest.get(..length).ok_or_else(|| cut_off(start + length))?;
    let head = SnapshotHead::decode(encoded)?;
    let header = &head.header;
    let sizes =
        [("payload", header.payload_len, MAX_PAYLOAD), ("state", header.state_len, MAX_STATE)];
    for (what, claimed, most) in sizes {
        if claimed > most as u64 {
            return Err(SnapshotFileError::TooLarge { what, claimed, most });
        }
    }
    Ok((head, start + length))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new_derive_key("meshd v1 snapshot file");
    hasher.update(bytes);
    hasher.finalize().into()
}
