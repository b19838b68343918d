//! A mesh small enough for unit tests: founder 1, and member 3 as soon as it is let in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::codec;
use mesh_model::trust::{
    AdminsHead, Admission, Departure, Epoch, EpochId, Genesis, Invite, MemberRecord, MeshRoot,
    Name, Ruling, Verdict,
};
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{Checkpoint, Lead};
use mesh_model::{
    Cosigned, IdentityKey, IdentitySecret, InviteId, MemberId, Prefixes, Signed, TunnelKey,
    TunnelSecret,
};
use openraft::raft::AppendEntriesRequest;

use super::history::History;
use super::history::chronicle::Chronicle;
use super::passage::Passage;
use super::replica::Replica;
use super::rpc::{Append, Question, Reply, Request};
use super::runtime::Runtime;
use super::store::{Start, Store};
use super::types::{CommittedLeaderId, Entry, LogId, Membership, Payload, Vote};
use super::{Group, MemoryDisk, Timing};
use crate::command::{Command, Proposal};
use crate::ports::{Seeds, Transport, TransportError, WallClock};
use crate::state::State;
use crate::sync::Mark;

/// When the mesh began, in milliseconds since the Unix epoch.
const BORN_MS: u64 = 1_800_000_000_000;

/// What the founder writes down of who votes.
pub(crate) fn chronicle() -> Chronicle {
    let history = Arc::new(Mutex::new(History::new(MemberId::FOUNDER)));
    let wall: Arc<dyn WallClock> = Arc::new(wall_ms);
    Chronicle::of(&history, &wall)
}

/// What leaders' clocks show.
pub(crate) fn wall_ms() -> u64 {
    BORN_MS
}

/// The member that is let in.
pub(crate) const GUEST: MemberId = MemberId(3);

/// One that comes after it, and neither votes nor is fed.
pub(crate) const THIRD: MemberId = MemberId(4);

pub(crate) fn secret(number: u8) -> IdentitySecret {
    IdentitySecret::from_seed([number; 32])
}

fn tunnel(number: u8) -> TunnelKey {
    TunnelSecret::from_bytes([number; 32]).public()
}

pub(crate) fn root() -> MeshRoot {
    MeshRoot::of(secret(1).public())
}

pub(crate) fn other_root() -> MeshRoot {
    MeshRoot::of(secret(99).public())
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn record(text: &str, number: u8) -> MemberRecord {
    let identity: IdentityKey = secret(number).public();
    MemberRecord { mesh: root().mesh, name: name(text), identity, tunnel: tunnel(number) }
}

pub(crate) fn genesis() -> Signed<Genesis> {
    let prefixes = Prefixes::for_mesh(root().mesh, DEFAULT_IPV4_PREFIX).expect("usable");
    let (founder, created_ms) = (record("founder", 2), BORN_MS);
    let genesis = Genesis { root: root(), name: name("test"), prefixes, founder, created_ms };
    Signed::seal(&genesis, &secret(1))
}

fn invite() -> Invite {
    let key = secret(3).public();
    Invite {
        mesh: root().mesh,
        id: InviteId::of_key(&key),
        key,
        uses: 3,
        created_ms: BORN_MS,
        expires_ms: BORN_MS + 600_000,
        tags: Default::default(),
        range: None,
        voter: false,
    }
}

/// "Let the holder of the invite bring members in."
pub(crate) fn invitation() -> Proposal {
    let command = Command::Invite(Signed::seal(&invite(), &secret(1)));
    Proposal { at_ms: BORN_MS, command }
}

/// The guest's.
pub(crate) fn admission() -> Proposal {
    admission_of("guest", 4)
}

fn admission_of(name: &str, key: u8) -> Proposal {
    let admission = Admission::sign(&record(name, key), invite().id, &secret(3), &secret(key));
    Proposal { at_ms: BORN_MS, command: Command::Admit(admission) }
}

/// The guest's goodbye, and the proposal of it.
pub(crate) fn goodbye() -> (Signed<Departure>, Proposal) {
    let departure = Departure { mesh: root().mesh, member: GUEST };
    let departure = Signed::seal(&departure, &secret(4));
    let command = Command::Depart { member: GUEST, departure: departure.clone() };
    (departure, Proposal { at_ms: BORN_MS, command })
}

/// "This becomes of the founder."
pub(crate) fn judge(serial: u64, ruling: Ruling) -> Proposal {
    let (mesh, identity) = (root().mesh, secret(2).public());
    let verdict = Verdict { mesh, member: MemberId::FOUNDER, identity, serial, ruling };
    let command = Command::Judge(Signed::seal(&verdict, &secret(1)));
    Proposal { at_ms: BORN_MS, command }
}

pub(crate) fn ban() -> Proposal {
    judge(1, Ruling::Banned { until_ms: None, reason: None })
}

/// The founder's word that `proposal` is entry 4, and agreed.
pub(crate) fn agreed(proposal: Proposal) -> Request {
    let entry = Entry { log_id: log_id(1, 4), payload: Payload::Normal(proposal) };
    let append = AppendEntriesRequest {
        vote: leads(MemberId::FOUNDER, 1),
        prev_log_id: Some(log_id(1, 3)),
        entries: vec![entry],
        leader_commit: Some(log_id(1, 4)),
    };
    Request::Append(Append::from(append))
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId { leader_id: CommittedLeaderId::new(term), index }
}

/// Member 1's vote for itself.
pub(crate) fn vote(term: u64) -> Vote {
    Vote::new(term, MemberId::FOUNDER.0)
}

pub(crate) fn blank(term: u64, index: u64) -> Entry {
    Entry { log_id: log_id(term, index), payload: Payload::Blank }
}

pub(crate) fn founder_store(disk: MemoryDisk) -> Store {
    Store::create(disk, &root(), Start::Genesis(genesis())).expect("an empty disk")
}

/// The epoch that the mesh begins with.
pub(crate) fn epoch() -> EpochId {
    founded().state.epoch()
}

/// The state before the first entry.
pub(crate) fn founded() -> Replica {
    Replica::new(State::genesis(&genesis(), &root()).expect("our own genesis"))
}

/// The state after the guest was let in, at index 3 of term 1; the founder votes alone.
pub(crate) fn settled() -> Replica {
    settled_late(0)
}

/// The same, had it come about some milliseconds later: members, invites and keys are the same, the past is not.
pub(crate) fn settled_late(ms: u64) -> Replica {
    let late = |proposal: Proposal| Proposal { at_ms: proposal.at_ms + ms, ..proposal };
    let mut replica = founded();
    let founding = Membership::new_with_defaults(vec![[1].into()], []);
    for (index, payload) in [
        Payload::Membership(founding),
        Payload::Blank,
        Payload::Normal(late(invitation())),
        Payload::Normal(late(admission())),
    ]
    .into_iter()
    .enumerate()
    {
        let log_id = log_id(u64::from(index > 0), index as u64);
        replica.apply(&Entry { log_id, payload });
    }
    replica
}

/// The settled state after a third member came in, whose key has the number 5.
pub(crate) fn three() -> Replica {
    let mut replica = settled();
    let payload = Payload::Normal(admission_of("third", 5));
    replica.apply(&Entry { log_id: log_id(1, THIRD.0), payload });
    replica
}

/// The guest's store as its welcome makes it.
pub(crate) fn guest_store(disk: MemoryDisk) -> Store {
    guest_store_of(&settled(), disk)
}

/// The same, had it been welcomed with `replica`.
pub(crate) fn guest_store_of(replica: &Replica, disk: MemoryDisk) -> Store {
    let snapshot = replica.to_snapshot();
    let admins = AdminsHead::of_root(&root().key);
    let start = Start::Welcome { member: GUEST, genesis: genesis(), admins, snapshot };
    Store::create(disk, &root(), start).expect("a genuine welcome")
}

/// Runs `test` in virtual time.
#[allow(clippy::disallowed_methods, reason = "a test supplies the runtime")]
pub(crate) fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(Runtime::scope(0, test))
}

/// A host with `store`, that hears and reaches nobody but whoever calls it, and may vote.
pub(crate) async fn start(store: Store, key: u8) -> Group {
    let (key, timing) = (secret(key), Timing::default());
    let group = Group::start(store, key, Oblivious, &Fixed, wall_ms, timing).await.expect("starts");
    group.inner().recollection.done().await;
    group
}

/// The founder, which let the guest in and leads for the second time.
pub(crate) async fn leads_again() -> Group {
    let disk = MemoryDisk::new();
    let first = start(founder_store(disk.attach()), 2).await;
    first.propose(invitation()).await.expect("agreed");
    first.propose(admission()).await.expect("agreed");
    first.shutdown().await;
    let store = Store::open(disk.attach(), MemberId::FOUNDER, &root()).expect("its own store");
    let founder = start(store, 2).await;
    founder.propose(invitation()).await.expect("agreed, so it leads");
    assert!(founder.status().leadership.term > 1);
    founder
}

/// The guest, following the founder, which the test plays.
pub(crate) async fn guest() -> Group {
    start(guest_store(MemoryDisk::new()), 4).await
}

/// The settled state with the guest's WireGuard key replaced by another: what a voter that cheats would
/// send to have the guest's traffic.
pub(crate) fn forged() -> Replica {
    let mut replica = settled();
    let mut bytes = codec::encode(&replica.state);
    let key = tunnel(4).0;
    let at = bytes.windows(32).position(|part| part == key).expect("the key is in the state");
    bytes[at..at + 32].copy_from_slice(&tunnel(66).0);
    replica.state = codec::decode(&bytes).expect("still a state");
    replica
}

/// The settled state with the last hash of its audit trail off by one.
pub(crate) fn unchained() -> Replica {
    let mut replica = settled();
    let mut bytes = codec::encode(&replica.state);
    let head = replica.state.audit().head().0;
    let at = bytes.windows(32).position(|part| part == head).expect("the head is in the state");
    bytes[at] ^= 1;
    replica.state = codec::decode(&bytes).expect("still a state");
    replica
}

/// "The mesh goes on from `replica` as the founder has it", signed by the root.
pub(crate) fn begun(replica: &Replica) -> Cosigned<Epoch> {
    let epoch = replica.state.next_epoch(replica.index(), MemberId::FOUNDER, BORN_MS, None);
    let mut begun = Cosigned::new(&epoch);
    assert!(begun.sign(&secret(1)));
    begun
}

/// The way from the settled state into the epoch that the root begins there.
pub(crate) fn passage() -> Passage {
    let settled = settled();
    Passage::new(&settled.state, settled.index(), &begun(&settled)).expect("the root's to begin")
}

/// The founder's word on what `mark` is about, and one that contradicts it.
pub(crate) fn contradiction(mark: Mark) -> [Request; 2] {
    let lead = Lead { term: 1, leader: MemberId::FOUNDER };
    [mark.state, StateHash([9; 32])].map(|state| {
        let mark = Mark { state, ..mark };
        let word = Checkpoint::of(root().mesh, MemberId::FOUNDER, mark, lead);
        Request::Attest { index: mark.at.index, word: Some(Signed::seal(&word, &secret(2))) }
    })
}

/// A wire to members that remember no word of anybody, and answer nothing else.
#[derive(Clone)]
pub(crate) struct Oblivious;

impl Transport for Oblivious {
    async fn call(
        &self,
        to: MemberId,
        request: Bytes,
        _: Duration,
    ) -> Result<Bytes, TransportError> {
        match codec::decode(&request) {
            Ok(Question { request: Request::Attest { .. }, .. }) => {
                Ok(Reply::Attested(Vec::new()).encode())
            }
            _ => Err(TransportError::Unreachable(to)),
        }
    }
}

/// Every time the same.
pub(crate) struct Fixed;

impl Seeds for Fixed {
    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }
}

/// The vote of a leader.
pub(crate) fn leads(node: MemberId, term: u64) -> Vote {
    Vote::new_committed(term, node.0)
}

/// What a leader says: `entries` blank ones from index `from` on.
pub(crate) fn append(vote: Vote, from: u64, entries: u64) -> Request {
    let entries = (from..from + entries).map(|index| blank(1, index)).collect();
    let prev_log_id = Some(log_id(1, from - 1));
    let leader_commit = None;
    let request = AppendEntriesRequest { vote, prev_log_id, entries, leader_commit };
    Request::Append(Append::from(request))
}
