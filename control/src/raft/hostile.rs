//! Questions and answers that somebody garbled, or made up: answered or refused, never a panic, and nothing is agreed by them.
//!
//! They come in where members hear each other: questions by [`Group::handle_rpc`], answers by the [`Transport`]. Groups run in
//! virtual time, so that a panic in one of their tasks is on the test's own thread, where it is counted.

mod records;
mod sayings;
pub(super) mod wounds;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use bytes::Bytes;
use mesh_model::codec::{self, CodecError, Message};
use mesh_model::trust::Misconduct;
use mesh_model::view::StateHash;
use mesh_model::{LogIndex, MemberId, Term};
use openraft::type_config::TypeConfigExt as _;
use proptest::prelude::*;

use self::wounds::{Damage, damage};
use super::fixture::{
    self, Fixed, GUEST, Oblivious, THIRD, founder_store, guest_store_of, in_virtual_time, three,
    wall_ms,
};
use super::rpc::{Question, Reply};
use super::types::Types;
use super::{Group, MemoryDisk, Role, Store, Timing};
use crate::ports::{Transport, TransportError};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// Members, and the numbers of their keys.
const THE_FOUNDER: (MemberId, u8) = (FOUNDER, 2);
const THE_GUEST: (MemberId, u8) = (GUEST, 4);
const THE_THIRD: (MemberId, u8) = (THIRD, 5);

/// What the third member may ask, and what the founder may.
static QUESTIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| sayings::questions(THE_THIRD));
static LEADERS_QUESTIONS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| [sayings::questions(THE_FOUNDER), sayings::impossible(FOUNDER)].concat());

/// Answers, by the kind of question.
type Answers = BTreeMap<u8, Vec<Vec<u8>>>;

/// What the founder may answer, and what the guest may.
static ANSWERS: LazyLock<Answers> = LazyLock::new(|| answers(THE_FOUNDER));
static GUESTS_ANSWERS: LazyLock<Answers> = LazyLock::new(|| answers(THE_GUEST));

fn answers(by: (MemberId, u8)) -> Answers {
    let read = |bytes| codec::decode::<Question>(bytes).expect("genuine").request;
    QUESTIONS.iter().map(|bytes| (bytes[KIND], sayings::answers(by, &read(bytes)))).collect()
}

/// Where a message says of which kind it is.
const KIND: usize = 1;

/// The kind of a [`Request::Pull`](super::rpc::Request::Pull).
const PULL: u8 = 9;

/// How long a group goes on with what it hears: what was not understood or not proven is asked for again within seconds.
const A_WHILE: Duration = Duration::from_secs(10);

/// How long it takes until a source that was wrong has been asked again a few times.
const MINUTES: Duration = Duration::from_secs(200);

thread_local! {
    /// How many panics there were on this thread.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// How many panics there were on this thread since this was asked first. The runtime catches those of tasks, and tells nobody.
fn panics() -> usize {
    static COUNTS: Once = Once::new();
    COUNTS.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            told(panic);
        }));
    });
    PANICS.get()
}

/// Runs `test` in virtual time; no task of it panics.
fn without_a_panic(test: impl Future<Output = ()>) {
    let before = panics();
    in_virtual_time(test);
    assert_eq!(panics(), before, "a task panicked");
}

/// A wire on which every answer is damaged, as these say in turn.
#[derive(Clone)]
struct Garbling {
    answers: &'static Answers,
    damages: Arc<[Damage]>,
    answered: Arc<AtomicUsize>,
}

impl Garbling {
    fn new(answers: &'static Answers, damages: Vec<Damage>) -> Self {
        Self { answers, damages: damages.into(), answered: Arc::default() }
    }
}

impl Transport for Garbling {
    async fn call(&self, _: MemberId, said: Bytes, _: Duration) -> Result<Bytes, TransportError> {
        Types::sleep(Duration::from_millis(5)).await;
        let turn = self.answered.fetch_add(1, Ordering::Relaxed);
        let damage = &self.damages[turn % self.damages.len()];
        Ok(damage.of(&self.answers[&said[KIND]]).into())
    }
}

async fn start(store: Store, key: u8, wire: impl Transport) -> Group {
    let (key, timing) = (fixture::secret(key), Timing::default());
    Group::start(store, key, wire, &Fixed, wall_ms, timing).await.expect("starts")
}

/// The guest, in the mesh of three.
async fn guest(wire: impl Transport) -> Group {
    start(guest_store_of(&three(), MemoryDisk::new()), 4, wire).await
}

/// Has `guest` hear `said` from `from`: an answer, or a refusal.
async fn tell(guest: &Group, from: MemberId, said: &[u8]) {
    if let Ok(answer) = guest.handle_rpc(from, said).await {
        codec::decode::<Reply>(&answer).expect("our own answer");
    }
}

/// The founder shows `guest` that it leads.
async fn hear_leader(guest: &Group) {
    let heartbeat = fixture::append(fixture::leads(FOUNDER, 1), 5, 0);
    tell(guest, FOUNDER, &heartbeat.ask_in(fixture::epoch())).await;
}

/// What a member holds, whom it takes for voters, and in which term.
type Held = (LogIndex, StateHash, Vec<MemberId>, Term);

fn held(group: &Group) -> Held {
    let status = group.status();
    (status.applied, status.state_hash, status.voters, status.leadership.term)
}

/// Where what the founder and the root signed leads from where the guest came in.
fn genuine() -> Vec<(LogIndex, StateHash)> {
    let mut replicas = vec![three()];
    for entry in sayings::agreed() {
        let mut next = replicas.last().expect("one at least").clone();
        next.apply(&entry);
        replicas.push(next);
    }
    replicas.push(sayings::passage().replica().clone());
    replicas.iter().map(|replica| (replica.index(), replica.state.hash())).collect()
}

/// Has `group` ask its leader all that a member may ask of it.
async fn ask_all(group: &Group) {
    let _ = group.propose(fixture::invitation()).await;
    let _ = group.catch_up().await;
    let _ = group.transfer(None).await;
    let _ = group.report(FOUNDER, Misconduct::Floods, None).await;
    let _ = group.compare(LogIndex::from(THIRD.0)).await;
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec(damage(), 1..64)
}

proptest! {
    #![proptest_config(config(20))]

    #[test]
    fn nothing_is_agreed_by_what_one_garbles_that_does_not_lead(damages in damages()) {
        without_a_panic(async {
            let guest = guest(Oblivious).await;
            hear_leader(&guest).await;
            let before = held(&guest);
            for damage in &damages {
                tell(&guest, THIRD, &damage.of(&QUESTIONS)).await;
            }
            assert_eq!((held(&guest), guest.fatal()), (before, None));
            tell(&guest, FOUNDER, &sayings::append().ask_in(fixture::epoch())).await;
            assert!(guest.applied_at_least(7, A_WHILE).await, "its leader is heard");
            assert_eq!(guest.status().state_hash, sayings::later().state.hash());
            guest.shutdown().await;
        });
    }

    #[test]
    fn agreement_goes_on_whatever_its_leader_garbles(damages in damages()) {
        without_a_panic(async {
            let guest = guest(Oblivious).await;
            for damage in &damages {
                tell(&guest, FOUNDER, &damage.of(&LEADERS_QUESTIONS)).await;
                assert_eq!(guest.fatal(), None);
            }
            guest.shutdown().await;
        });
    }

    #[test]
    fn garbled_answers_lead_nowhere_that_nobody_signed(damages in damages()) {
        without_a_panic(async {
            let wire = Garbling::new(&ANSWERS, damages);
            let guest = guest(wire.clone()).await;
            hear_leader(&guest).await;
            ask_all(&guest).await;
            Types::sleep(MINUTES).await;
            assert!(wire.answered.load(Ordering::Relaxed) > 0);
            let (index, state, ..) = held(&guest);
            assert_eq!(guest.fatal(), None);
            assert!(genuine().contains(&(index, state)), "{index}");
            guest.shutdown().await;
        });
    }

    #[test]
    fn a_leader_that_hears_garbled_answers_leads_on(damages in damages()) {
        without_a_panic(async {
            let wire = Garbling::new(&GUESTS_ANSWERS, damages);
            let founder = start(founder_store(MemoryDisk::new()), 2, wire.clone()).await;
            founder.propose(fixture::invitation()).await.expect("agreed");
            founder.propose(fixture::admission()).await.expect("agreed");
            Types::sleep(A_WHILE).await;
            assert!(wire.answered.load(Ordering::Relaxed) > 0);
            assert_eq!(founder.fatal(), None);
            let status = founder.status();
            assert_eq!((status.leadership.role, status.leadership.term), (Role::Leader, 1));
            assert_eq!((status.voters, status.learners), (vec![FOUNDER], vec![GUEST]));
            founder.propose(fixture::invitation()).await.expect("still agreed");
            founder.shutdown().await;
        });
    }
}

/// Nothing happens to these on their way. Some are lies.
#[test]
fn of_answers_as_they_are_what_the_voters_signed_is_taken_and_nothing_else() {
    for which in 0..ANSWERS[&PULL].len() {
        without_a_panic(async {
            let guest = guest(Garbling::new(&ANSWERS, vec![Damage::Of(which, Vec::new())])).await;
            Types::sleep(A_WHILE).await;
            let (index, state, ..) = held(&guest);
            assert!(genuine().contains(&(index, state)), "answer {which}: {index}");
            if which == sayings::PROVEN {
                assert_eq!(state, sayings::later().state.hash());
            }
            guest.shutdown().await;
        });
    }
}

/// The numbers of the kinds among `messages` are all that there are.
fn assert_complete<M: Message>(messages: &[Vec<u8>]) {
    let mut kinds: Vec<u8> = messages.iter().map(|bytes| bytes[KIND]).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.iter().copied().eq(0..kinds.len() as u8), "{kinds:?}");
    let next = codec::decode::<M>(&[1, kinds.len() as u8]).map(drop);
    let Err(CodecError::Malformed { reason, .. }) = next else { panic!("{next:?}") };
    assert!(reason.contains("variant"), "{}, after {kinds:?}: {reason}", M::NAME);
}

#[test]
fn there_is_one_of_every_kind() {
    assert_complete::<Question>(&QUESTIONS);
    assert_complete::<Reply>(&ANSWERS.values().flatten().cloned().collect::<Vec<_>>());
}
