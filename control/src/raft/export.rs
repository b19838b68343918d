//! A snapshot as a file of its own: made from this host's replica, or opened and held to what it says.
//!
//! The payload is what lies on disk and travels between members ([`snapshot`](super::snapshot)): one codec in one place.
//! The header in front of it ([`mesh_model::snapshot`]) is what can be known of it without the state machine; nothing of
//! it is believed here. [`Snapshot::open`] expands no more than the header claims, which is bounded, checks every
//! signature from the root key up, and compares each claim with what is really inside.
//!
//! Those signatures say that no member was made up, not that the mesh was ever in this state. That say the checkpoints of a
//! majority of those that vote in it, for which whoever makes one waits ([`Group::export`]). A member that makes itself the only
//! voter can sign that as well: who should vote a host knows and a file does not, so a host takes only what one of the voters it knows
//! has signed ([`Store::knows_a_signer`](super::Store::knows_a_signer)).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_model::snapshot::{
    self, MAX_NAMED_VOTERS, MAX_WORDS, SnapshotFileError, SnapshotHead, SnapshotHeader,
};
use mesh_model::trust::MeshRoot;
use mesh_model::view::ClusterView;
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{MemberId, Signed, codec};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::async_runtime::{AsyncRuntime as _, Instant as _};
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner};
use super::replica::Replica;
use super::runtime::Runtime;
use super::snapshot::SnapshotError;
use super::testimony::GRID;
use super::types::{Instant, Types};
use crate::sync::majority;

/// How long a snapshot waits for a majority to sign what is in it: they sign within a quarter of a second, and a member that
/// follows hears of it within two.
const PROOF_WAIT: Duration = Duration::from_secs(3);

/// How long what this host holds may change before another copy of it is taken: what voters sign in is a quarter of a second, too.
const COPY_EVERY: Duration = Duration::from_millis(250);

/// How many copies wait for their proof at a time: those of [`PROOF_WAIT`]. Each takes the memory of the state, a megabyte with a
/// thousand members.
const MAX_COPIES: usize = 12;

/// Why a file is not a snapshot to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It is damaged, or no snapshot's file.
    #[error(transparent)]
    File(#[from] SnapshotFileError),
    /// It is of another mesh.
    #[error("it is of the mesh {}, not of {}", found.mesh, expected.mesh)]
    OtherMesh {
        /// The mesh it should be of.
        expected: MeshRoot,
        /// The mesh it says it is of.
        found: MeshRoot,
    },
    /// What is inside does not hold.
    #[error(transparent)]
    Inside(#[from] SnapshotError),
    /// The header says something else than what is inside.
    #[error("its header says another {0} than what is inside")]
    Claim(&'static str),
    /// What is said to be a voter's checkpoint of it is none.
    #[error("the checkpoint of {0} in it is not of that voter, or not of this state")]
    Checkpoint(MemberId),
}

/// What this host knew to be agreed at one index, and who signed that.
#[derive(Debug)]
pub struct Export {
    replica: Replica,
    words: Vec<Signed<Checkpoint>>,
}

impl Export {
    /// As a file, and what that says of itself.
    pub fn to_file(&self) -> (SnapshotHead, Vec<u8>) {
        self.replica.to_file(&self.words)
    }
}

/// A snapshot's file that was opened, and holds.
#[derive(Debug, Clone)]
pub struct Snapshot {
    head: SnapshotHead,
    signers: BTreeSet<MemberId>,
    payload: Vec<u8>,
    pub(super) replica: Replica,
}

impl Snapshot {
    /// The snapshot in `file`, if everything in it holds. `expected` is the mesh it must be of; without it, whatever mesh
    /// it says, whose id vouches for the key all signatures were checked with.
    pub fn open(file: &[u8], expected: Option<&MeshRoot>) -> Result<Self, ExportError> {
        let (head, payload) = snapshot::read(file)?;
        let header = &head.header;
        if let Some(expected) = expected.copied()
            && expected != header.root
        {
            return Err(ExportError::OtherMesh { expected, found: header.root });
        }
        // Fits: the header was checked against the most a state may have.
        let most = header.state_len as usize;
        let replica = Replica::open_within(payload, &header.root, most)?;
        let found = describe(&replica, codec::encode(&replica.state).len(), payload.len());
        if let Some(claim) = difference(header, &found) {
            return Err(ExportError::Claim(claim));
        }
        let mut signers = BTreeSet::new();
        for word in &head.words {
            signers.insert(replica.signer(word)?);
        }
        Ok(Self { head, signers, payload: payload.to_vec(), replica })
    }

    /// What it says of itself, all of which is so.
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Whether a majority of those that vote in it signed it.
    pub fn is_proven(&self) -> bool {
        majority(&self.replica.electorate(), |voter| self.signers.contains(voter))
    }

    /// Whether `voter` signed it.
    pub(super) fn is_signed_by(&self, voter: MemberId) -> bool {
        self.signers.contains(&voter)
    }

    /// The state in it, as the rest of the house sees it.
    pub fn view(&self) -> Arc<ClusterView> {
        self.replica.view()
    }

    /// Whether `member` has a vote in it, or ever had one.
    pub fn has_voted(&self, member: MemberId) -> bool {
        self.replica.has_voted(member)
    }

    /// The snapshot as it lies on disk and travels between members.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl Group {
    /// What this host knows to be agreed. Waits for a few seconds at most until a majority of the voters has signed it; without one
    /// that can be heard it comes without signatures.
    pub async fn export(&self) -> Export {
        let inner = &*self.inner();
        match Types::timeout(PROOF_WAIT, Box::pin(inner.proven_copy())).await {
            Ok(export) => export,
            Err(_) => Export { replica: inner.replica.lock().clone(), words: Vec::new() },
        }
    }
}

impl Inner {
    /// A copy of what this host holds, as soon as a majority has signed one.
    async fn proven_copy(&self) -> Export {
        let mut copies: Vec<(Replica, Instant)> = Vec::new();
        let mut changes = self.testimony.changes();
        loop {
            self.copy_into(&mut copies);
            for (replica, _) in &copies {
                let words = self.testimony.words().at(replica.index());
                if let Some(words) = replica.proof(words) {
                    return Export { replica: replica.clone(), words };
                }
            }
            let sleep = Runtime::sleep(COPY_EVERY);
            Runtime::select2(changes.changed(), sleep).await;
        }
    }

    /// Takes a copy now and then: what is there when nothing more comes is signed. While more keeps coming all voters sign at every
    /// [`GRID`]th index alone, so it takes each of those that it gets to see.
    fn copy_into(&self, copies: &mut Vec<(Replica, Instant)>) {
        let replica = self.replica.lock();
        let index = replica.index();
        let is_new = copies.iter().all(|(copy, _)| copy.index() != index);
        let is_due = copies.last().is_none_or(|(_, at)| at.elapsed() >= COPY_EVERY);
        if is_new && (is_due || index.is_multiple_of(GRID)) {
            if copies.len() == MAX_COPIES {
                copies.remove(0);
            }
            copies.push((replica.clone(), Types::now()));
        }
    }
}

impl Replica {
    /// This replica as a file, with what voters signed of it.
    pub(super) fn to_file(&self, words: &[Signed<Checkpoint>]) -> (SnapshotHead, Vec<u8>) {
        let state = codec::encode(&self.state);
        let payload = self.pack(&state);
        let header = describe(self, state.len(), payload.len());
        let head = SnapshotHead { header, words: words.to_vec() };
        let file = snapshot::write(&head, &payload);
        (head, file)
    }

    /// Those of `words` that are checkpoints of this replica, if a majority of its voters signed them.
    fn proof(&self, words: Vec<Signed<Checkpoint>>) -> Option<Vec<Signed<Checkpoint>>> {
        let genuine = words.into_iter().filter_map(|word| Some((self.signer(&word).ok()?, word)));
        let genuine: Vec<_> = genuine.take(MAX_WORDS).collect();
        let signed = |voter: &MemberId| genuine.iter().any(|(signer, _)| signer == voter);
        majority(&self.electorate(), signed)
            .then(|| genuine.iter().map(|(_, word)| word.clone()).collect())
    }

    /// The voter whose checkpoint of this replica `word` is.
    fn signer(&self, word: &Signed<Checkpoint>) -> Result<MemberId, ExportError> {
        let claimed = word.peek().map_err(SnapshotFileError::Header)?;
        let member = claimed.member;
        let of_this = claimed.mesh == self.state.founding().root.mesh
            && Some(claimed.claim()) == self.mark()
            && self.voters().contains(&member);
        let place = self.state.members().present().get(&member).filter(|_| of_this);
        match place.map(|place| word.open(&place.record().identity)) {
            Some(Ok(_)) => Ok(member),
            _ => Err(ExportError::Checkpoint(member)),
        }
    }
}

/// What is true of `replica`, whose encoded state and whose payload have these lengths.
fn describe(replica: &Replica, state_len: usize, payload_len: usize) -> SnapshotHeader {
    let state = &replica.state;
    let founding = state.founding();
    let voters: BTreeSet<_> = replica.membership.membership().voter_ids().map(MemberId).collect();
    let voters = voters.into_iter().take(MAX_NAMED_VOTERS).collect();
    SnapshotHeader {
        root: founding.root,
        mesh_name: founding.name.clone(),
        index: replica.index(),
        term: replica.applied.map_or(0, |id| id.leader_id.term),
        state_hash: state.hash(),
        agreed_ms: state.now_ms(),
        members: u32::try_from(state.members().present().len()).unwrap_or(u32::MAX),
        voters,
        state_len: state_len as u64,
        payload_len: payload_len as u64,
    }
}

/// In what `claimed` differs from what was `found`.
fn difference(claimed: &SnapshotHeader, found: &SnapshotHeader) -> Option<&'static str> {
    let claims = [
        ("root key", claimed.root == found.root),
        ("mesh name", claimed.mesh_name == found.mesh_name),
        ("index", claimed.index == found.index),
        ("term", claimed.term == found.term),
        ("state hash", claimed.state_hash == found.state_hash),
        ("time", claimed.agreed_ms == found.agreed_ms),
        ("number of members", claimed.members == found.members),
        ("set of voters", claimed.voters == found.voters),
        ("size", claimed.state_len == found.state_len && claimed.payload_len == found.payload_len),
    ];
    claims.into_iter().find(|(_, holds)| !holds).map(|(claim, _)| claim)
}

#[cfg(test)]
mod tests;
