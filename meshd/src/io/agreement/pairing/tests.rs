//! Two members agree on keys, over a wire that loses nothing.

use std::sync::Mutex;

use mesh_control::ports::Transport as _;

use super::*;
use crate::io::directory::Directory;
use crate::io::fixture::{addrs, tls, view, wire};

/// Takes keys, or not, and remembers them.
#[derive(Clone, Default)]
struct Taker {
    refuses: bool,
    taken: Arc<Mutex<Vec<(MemberId, PresharedKey)>>>,
}

impl Answer for Taker {
    type Error = &'static str;

    async fn answer(&self, _from: MemberId, request: Bytes) -> Result<Bytes, &'static str> {
        Ok(request)
    }

    async fn take_key(&self, asker: MemberId, key: PresharedKey) -> bool {
        self.taken.lock().expect("no panic").push((asker, key));
        !self.refuses
    }
}

impl Taker {
    fn taken(&self) -> Vec<(MemberId, PresharedKey)> {
        self.taken.lock().expect("no panic").clone()
    }
}

/// Members 1 and 2 on one wire: member 1 agrees on keys, member 2 as far as `pairs`. It sees the members in `seen`, and answers
/// with `taker`.
fn pair(pairs: bool, seen: &[u8], taker: &Taker) -> [Agreement; 2] {
    let at = |id| SocketAddr::from((addrs(id).v6, port::AGREEMENT));
    let (near, far) = wire(at(1), at(2), 256);
    [(1, near, true, &[1, 2][..]), (2, far, pairs, seen)].map(|(id, socket, pairs, seen)| {
        let pairing = pairs.then_some(MemberId(id.into()));
        let agreement = Agreement::open(socket, tls(id), Directory::new(view(seen)), pairing);
        let agreement = agreement.expect("opened");
        let (serving, taker) = (agreement.clone(), taker.clone());
        tokio::spawn(async move { serving.serve(taker).await });
        agreement
    })
}

#[tokio::test]
async fn both_ends_have_the_same_key_and_another_one_each_time() {
    let taker = Taker::default();
    let [one, _two] = pair(true, &[1, 2], &taker);
    let first = one.ask_key(MemberId(2)).await.expect("agreed");
    assert_eq!(taker.taken(), [(MemberId(1), first.clone())], "before the asker has it");
    let second = one.ask_key(MemberId(2)).await.expect("agreed");
    assert_eq!(taker.taken()[1..], [(MemberId(1), second.clone())]);
    assert_ne!(first, second);
}

#[tokio::test]
async fn questions_of_agreement_go_on_beside_it() {
    let taker = Taker::default();
    let [one, _two] = pair(true, &[1, 2], &taker);
    for _ in 0..3 {
        let question = Bytes::from_static(b"a question");
        let reply = one.call(MemberId(2), question.clone(), ASK_LIMIT).await;
        assert_eq!(reply.expect("answered"), question);
        one.ask_key(MemberId(2)).await.expect("agreed");
    }
    // On the connection that was there from the start.
    assert_eq!(one.0.links.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn one_that_agrees_on_no_keys_refuses_and_is_asked_for_nothing() {
    let taker = Taker::default();
    let [one, two] = pair(false, &[1, 2], &taker);
    assert_eq!(one.ask_key(MemberId(2)).await, Err(NoKey::Refused));
    assert_eq!(two.ask_key(MemberId(1)).await, Err(NoKey::Refused));
    assert_eq!(taker.taken(), []);
    let question = Bytes::from_static(b"a question");
    assert!(one.call(MemberId(2), question, ASK_LIMIT).await.is_ok(), "and does all else");
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_none() {
    let taker = Taker { refuses: true, ..Taker::default() };
    let [one, _two] = pair(true, &[1, 2], &taker);
    assert_eq!(one.ask_key(MemberId(2)).await, Err(NoKey::Failed));
}

#[tokio::test]
async fn whoever_is_no_member_agrees_on_nothing() {
    let taker = Taker::default();
    let [one, _two] = pair(true, &[2], &taker);
    assert_eq!(one.ask_key(MemberId(2)).await, Err(NoKey::Failed));
    assert_eq!(one.ask_key(MemberId(9)).await, Err(NoKey::Failed));
    assert_eq!(taker.taken(), []);
}
