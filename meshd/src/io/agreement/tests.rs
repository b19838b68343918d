//! Members asking each other over wires that lose nothing.

use mesh_control::refusals::Refused;
use quinn::ConnectionError;
use tokio::sync::{Semaphore, mpsc, watch};

use super::answering::{LARGE_AT_ONCE, REPLACED, SMALL};
use super::*;
use crate::io::fixture::{addrs, identity, tls, view, wire};
use crate::io::quic_socket::{Inbound, VirtualSocket};

const LIMIT: Duration = Duration::from_secs(20);

/// Answers with the asker's id and the request reversed; refuses an empty request.
#[derive(Clone)]
struct Mirror;

impl Answer for Mirror {
    type Error = &'static str;

    async fn answer(&self, from: MemberId, request: Bytes) -> Result<Bytes, &'static str> {
        if request.is_empty() {
            return Err("nothing asked");
        }
        Ok([from.to_string().as_bytes(), b":"]
            .into_iter()
            .flatten()
            .chain(request.iter().rev())
            .copied()
            .collect())
    }
}

/// Answers whatever it is asked, unless it is large, and remembers who was turned away before it could ask.
#[derive(Clone)]
struct Doorman {
    reasons: Arc<watch::Sender<Vec<Refused>>>,
    strangers: Arc<watch::Sender<Vec<Option<IdentityKey>>>>,
}

impl Doorman {
    fn new() -> Self {
        let (reasons, strangers) = (watch::Sender::default(), watch::Sender::default());
        Self { reasons: Arc::new(reasons), strangers: Arc::new(strangers) }
    }

    /// Waits until it was told of `wanted`, one after another, and nothing else.
    async fn was_told(&self, wanted: &[Refused]) {
        let mut reasons = self.reasons.subscribe();
        let told = reasons.wait_for(|told| told.len() >= wanted.len());
        let told = tokio::time::timeout(LIMIT, told).await.expect("in time").expect("watched");
        assert_eq!(*told, wanted);
    }
}

impl Answer for Doorman {
    type Error = &'static str;

    async fn answer(&self, _from: MemberId, request: Bytes) -> Result<Bytes, &'static str> {
        Ok(request)
    }

    async fn may_ask_much(&self, _from: MemberId) -> bool {
        false
    }

    fn turned_away(&self, reason: Refused) {
        self.reasons.send_modify(|told| told.push(reason));
    }

    fn turned_stranger_away(&self, identity: Option<&IdentityKey>) {
        self.strangers.send_modify(|told| told.push(identity.copied()));
    }
}

/// Members 1 and 2 on one wire; each sees the members it is given.
fn pair(seen_by_one: &[u8], seen_by_two: &[u8]) -> [(Agreement, Directory); 2] {
    pair_with(seen_by_one, seen_by_two, Mirror)
}

/// Like [`pair`], both answering with `answer`.
fn pair_with(
    seen_by_one: &[u8],
    seen_by_two: &[u8],
    answer: impl Answer,
) -> [(Agreement, Directory); 2] {
    let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
    let (near, far) = wire(at(1), at(2), 256);
    [(1, near, seen_by_one), (2, far, seen_by_two)].map(|(id, socket, seen)| {
        let directory = Directory::new(view(seen));
        let agreement = Agreement::open(socket, tls(id), directory.clone(), None).expect("opened");
        let (serving, answer) = (agreement.clone(), answer.clone());
        tokio::spawn(async move { serving.serve(answer).await });
        (agreement, directory)
    })
}

async fn ask(from: &Agreement, request: &'static [u8]) -> Result<Bytes, TransportError> {
    from.call(MemberId(2), Bytes::from_static(request), LIMIT).await
}

#[tokio::test]
async fn a_question_is_answered_by_who_it_was_meant_for() {
    let [(one, _), (two, _)] = pair(&[1, 2], &[1, 2]);
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    let back = two.call(MemberId(1), Bytes::from_static(b"x"), LIMIT).await;
    assert_eq!(back.expect("answered"), "m2:x");
}

#[tokio::test]
async fn a_megabyte_passes_whole_in_both_directions() {
    let [(one, _), _two] = pair(&[1, 2], &[1, 2]);
    let request: Bytes = (0..3u32 << 20).map(|at| at as u8).collect();
    let reply = one.call(MemberId(2), request.clone(), LIMIT).await.expect("answered");
    assert!(reply[3..].iter().eq(request.iter().rev()));
}

#[tokio::test]
async fn a_refusal_is_told_and_spoils_nothing() {
    let [(one, _), _two] = pair(&[1, 2], &[1, 2]);
    let refused = ask(&one, b"").await.expect_err("refused");
    assert!(matches!(refused, TransportError::Broken { .. }), "{refused}");
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
}

#[tokio::test]
async fn whoever_is_no_member_is_neither_called_nor_answered() {
    let [(one, _), (_, of_two)] = pair(&[1, 2], &[2]);
    let unknown = one.call(MemberId(9), Bytes::from_static(b"x"), LIMIT).await;
    assert_eq!(unknown, Err(TransportError::Unreachable(MemberId(9))));
    let stranger = ask(&one, b"abc").await.expect_err("answered a stranger");
    assert!(matches!(stranger, TransportError::Broken { .. }), "{stranger}");

    // Once the other side has applied the admission, the next call succeeds: the link that broke
    // is not used again.
    of_two.store(view(&[1, 2]));
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
}

#[tokio::test]
async fn a_member_that_left_loses_its_open_connection() {
    let [(one, _), (_, of_two)] = pair(&[1, 2], &[1, 2]);
    ask(&one, b"abc").await.expect("answered");
    of_two.store(view(&[2]));
    ask(&one, b"abc").await.expect_err("answered after leaving");
}

#[tokio::test]
async fn whoever_is_turned_away_for_its_identity_is_told_of_with_it() {
    let doorman = Doorman::new();
    let [(one, _), (_, of_two)] = pair_with(&[1, 2], &[2], doorman.clone());
    let stranger = Some(identity(1).public());
    ask(&one, b"abc").await.expect_err("answered a stranger");
    assert_eq!(*doorman.strangers.borrow(), [stranger]);

    of_two.store(view(&[1, 2]));
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "abc");
    of_two.store(view(&[2]));
    ask(&one, b"abc").await.expect_err("answered after leaving");
    assert_eq!(*doorman.strangers.borrow(), [stranger, stranger]);
    doorman.was_told(&[]).await;
}

#[tokio::test]
async fn what_cannot_be_read_of_a_question_is_told_of() {
    let doorman = Doorman::new();
    let [(one, _), _two] = pair_with(&[1, 2], &[1, 2], doorman.clone());
    let connection = one.link(MemberId(2)).expect("a member").await.expect("a connection");
    let say = async |bytes: &[u8]| {
        let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
        send.write_all(bytes).await.expect("said");
        send.finish().expect("once");
        recv.read_to_end(1).await.expect_err("answered");
    };
    say(&u32::MAX.to_be_bytes()).await;
    doorman.was_told(&[Refused::AgreementMalformed]).await;
    say(&[0, 0, 0, 9, 1]).await;
    doorman.was_told(&[Refused::AgreementMalformed, Refused::AgreementBroken]).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_does_not_arrive_is_told_of() {
    let doorman = Doorman::new();
    let [(one, _), _two] = pair_with(&[1, 2], &[1, 2], doorman.clone());
    let connection = one.link(MemberId(2)).expect("a member").await.expect("a connection");
    // What else is asked meanwhile keeps the connection from being given up.
    tokio::spawn(async move {
        while ask(&one, b"small").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut told = Vec::new();
    for bytes in [&[0, 0][..], &[0, 0, 0, 9, 1]] {
        let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
        send.write_all(bytes).await.expect("said");
        recv.read_to_end(1).await.expect_err("answered");
        told.push(Refused::AgreementBroken);
        doorman.was_told(&told).await;
    }
}

#[tokio::test]
async fn a_large_question_is_read_from_those_alone_that_may_ask_one() {
    let doorman = Doorman::new();
    let [(one, _), _two] = pair_with(&[1, 2], &[1, 2], doorman.clone());
    let refused = one.call(MemberId(2), large(), LIMIT).await.expect_err("answered");
    assert!(matches!(refused, TransportError::Broken { .. }), "{refused}");
    let longest = Bytes::from(vec![7; SMALL]);
    let answered = one.call(MemberId(2), longest.clone(), LIMIT).await;
    assert_eq!(answered.expect("not large"), longest);
}

#[tokio::test]
async fn a_handshake_that_comes_to_nothing_is_told_of() {
    let doorman = Doorman::new();
    let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
    let (near, far) = wire(at(1), at(2), 256);
    // Member 2 does not know what member 1 wants.
    let [one, two] = [(1, near, Some(MemberId(1))), (2, far, None)].map(|(id, socket, pairing)| {
        Agreement::open(socket, tls(id), Directory::new(view(&[1, 2])), pairing).expect("opened")
    });
    let answer = doorman.clone();
    tokio::spawn(async move { two.serve(answer).await });
    one.ask_key(MemberId(2)).await.expect_err("refused");
    doorman.was_told(&[Refused::AgreementBroken]).await;
}

#[tokio::test]
async fn a_member_that_crashed_and_came_back_says_so() {
    let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
    let (near, far) = wire(at(1), at(2), 256);
    let run_two = || {
        let far = Arc::clone(&far);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(async move {
            let directory = Directory::new(view(&[1, 2]));
            let two = Agreement::open(far, tls(2), directory, None).expect("opened");
            two.serve(Mirror).await;
        });
        runtime
    };
    let one = Agreement::open(near, tls(1), Directory::new(view(&[1, 2])), None).expect("opened");
    let first_run = run_two();
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    // Its tasks end where they stand: nothing is closed, nobody is told.
    first_run.shutdown_background();
    let second_run = run_two();
    let error = ask(&one, b"abc").await.expect_err("the old connection");
    assert!(error.to_string().contains("reset by peer"), "{error}");
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    second_run.shutdown_background();
}

#[tokio::test]
async fn an_impostor_at_the_right_address_is_not_spoken_to() {
    let [(one, of_one), _two] = pair(&[1, 2], &[1, 2]);
    let mut mistaken = (*view(&[1, 2])).clone();
    let two = mistaken.members.get_mut(&MemberId(2)).expect("member 2");
    two.identity = identity(7).public();
    of_one.store(Arc::new(mistaken));
    let impostor = ask(&one, b"abc").await.expect_err("spoke to an impostor");
    assert_eq!(impostor, TransportError::Unreachable(MemberId(2)));
}

#[tokio::test]
async fn a_members_newer_connection_closes_its_older_one() {
    let [(one, _), _two] = pair(&[1, 2], &[1, 2]);
    ask(&one, b"abc").await.expect("answered");
    let older = one.link(MemberId(2)).expect("a member").await.expect("connected");
    // As one that was restarted, but the older connection lives on.
    one.0.links.lock().expect("no panic").clear();
    assert_eq!(ask(&one, b"abc").await.expect("answered"), "m1:cba");
    let closed = older.closed().await;
    assert!(
        matches!(&closed, ConnectionError::ApplicationClosed(close) if close.error_code == REPLACED),
        "{closed}"
    );
    assert_eq!(ask(&one, b"abc").await.expect("the newer one lives"), "m1:cba");
}

/// Counts the large requests it has in hand, and keeps them until it is told to go on.
#[derive(Clone)]
struct Slow {
    in_hand: Arc<watch::Sender<usize>>,
    most: Arc<Mutex<usize>>,
    go_on: Arc<Semaphore>,
    turned_away: Arc<Mutex<Vec<Refused>>>,
}

impl Answer for Slow {
    type Error = &'static str;

    async fn answer(&self, _from: MemberId, request: Bytes) -> Result<Bytes, &'static str> {
        if request.len() > SMALL {
            self.in_hand.send_modify(|count| {
                *count += 1;
                let mut most = self.most.lock().expect("no panic");
                *most = (*most).max(*count);
            });
            let _going_on = self.go_on.acquire().await.map_err(|_| "closed")?;
            self.in_hand.send_modify(|count| *count -= 1);
        }
        Ok(Bytes::from_static(b"done"))
    }

    fn turned_away(&self, reason: Refused) {
        self.turned_away.lock().expect("no panic").push(reason);
    }
}

impl Slow {
    fn new() -> Self {
        Self {
            in_hand: Arc::new(watch::Sender::new(0)),
            most: Arc::default(),
            go_on: Arc::new(Semaphore::new(0)),
            turned_away: Arc::default(),
        }
    }

    /// Waits until it has `wanted` large requests in hand.
    async fn has(&self, wanted: usize) {
        let mut in_hand = self.in_hand.subscribe();
        let has = in_hand.wait_for(|count| *count == wanted);
        tokio::time::timeout(LIMIT, has).await.expect("in time").expect("watched");
    }
}

fn large() -> Bytes {
    vec![7; SMALL + 1].into()
}

/// Members 1 to `last`, each able to reach all others, all answering with `answer`.
fn crowd(last: u8, answer: impl Answer) -> Vec<Agreement> {
    let ids: Vec<u8> = (1..=last).collect();
    let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
    let (to_hub, mut hub) = mpsc::channel::<(SocketAddr, Inbound)>(1024);
    let mut ways_in = BTreeMap::new();
    let mut crowd = Vec::new();
    for &id in &ids {
        let (way_in, inbound) = mpsc::channel(1024);
        ways_in.insert(at(id), way_in);
        let wrap = move |to, payload: &[u8]| {
            Some((to, Inbound { from: at(id), payload: payload.to_vec() }))
        };
        let socket = VirtualSocket::new(at(id), inbound, to_hub.clone(), Box::new(wrap));
        let agreement = Agreement::open(socket, tls(id), Directory::new(view(&ids)), None);
        let agreement = agreement.expect("opened");
        let (serving, answer) = (agreement.clone(), answer.clone());
        tokio::spawn(async move { serving.serve(answer).await });
        crowd.push(agreement);
    }
    tokio::spawn(async move {
        while let Some((to, datagram)) = hub.recv().await {
            // A full way in is a lost datagram, which QUIC repairs.
            let _ = ways_in[&to].try_send(datagram);
        }
    });
    crowd
}

#[tokio::test]
async fn what_a_member_asked_before_it_left_is_answered() {
    let slow = Slow::new();
    let [(one, _), (_, of_two)] = pair_with(&[1, 2], &[1, 2], slow.clone());
    let goodbye = {
        let one = one.clone();
        tokio::spawn(async move { one.call(MemberId(2), large(), LIMIT).await })
    };
    slow.has(1).await;
    of_two.store(view(&[2]));
    ask(&one, b"more").await.expect_err("answered after leaving");
    slow.go_on.add_permits(1);
    assert_eq!(goodbye.await.expect("no panic").expect("answered"), "done");
}

#[tokio::test]
async fn few_large_questions_are_read_at_once_and_small_ones_pass_them() {
    let slow = Slow::new();
    let members = crowd(u8::try_from(LARGE_AT_ONCE).expect("few") + 3, slow.clone());
    let asking: Vec<_> = members[1..]
        .iter()
        .cloned()
        .map(|member| tokio::spawn(async move { member.call(MemberId(1), large(), LIMIT).await }))
        .collect();
    slow.has(LARGE_AT_ONCE).await;
    for member in &members[1..] {
        let small = member.call(MemberId(1), Bytes::from_static(b"small"), LIMIT).await;
        assert_eq!(small.expect("answered"), "done");
    }
    slow.go_on.add_permits(1);
    for asked in asking {
        assert_eq!(asked.await.expect("no panic").expect("answered"), "done");
    }
    assert_eq!(*slow.most.lock().expect("no panic"), LARGE_AT_ONCE);
}

#[tokio::test]
async fn a_member_has_one_large_question_under_way() {
    let slow = Slow::new();
    let [(one, _), _two] = pair_with(&[1, 2], &[1, 2], slow.clone());
    let first = {
        let one = one.clone();
        tokio::spawn(async move { one.call(MemberId(2), large(), LIMIT).await })
    };
    slow.has(1).await;
    let second = one.call(MemberId(2), large(), LIMIT).await.expect_err("answered a second one");
    assert!(matches!(second, TransportError::Broken { .. }), "{second}");
    assert_eq!(*slow.turned_away.lock().expect("no panic"), [Refused::AgreementCrowded]);
    assert_eq!(ask(&one, b"small").await.expect("answered"), "done");
    slow.go_on.add_permits(1);
    assert_eq!(first.await.expect("no panic").expect("answered"), "done");
    let third = one.call(MemberId(2), large(), LIMIT).await;
    assert_eq!(third.expect("answered when the first one is over"), "done");
}
