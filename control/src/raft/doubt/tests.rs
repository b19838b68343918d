//! Whom a host believes that was away, with this test in the place of all voters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mesh_model::wire::sync::{Checkpoint, Lead, News};
use mesh_model::{Signed, codec};

use super::*;
use crate::command::NEWEST;
use crate::ports::{Transport, TransportError};
use crate::raft::fixture::{self, Fixed, guest_store, in_virtual_time, root, settled};
use crate::raft::rpc::Question;
use crate::raft::{Group, MemoryDisk, Timing};

/// What a voter says when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// That it votes, and what is new.
    Votes,
    /// That it votes, and has no place free.
    Busy,
    /// That it votes, and hears no leader.
    Adrift,
    /// That it does not vote.
    Lost,
    Nothing,
    /// Nothing, for as long as it is waited for.
    Silence,
}

use Says::{Adrift, Busy, Lost, Nothing, Silence, Votes};

/// The voters that a host knows, and what they say.
#[derive(Clone, Default)]
struct Voters(Arc<Mutex<BTreeMap<MemberId, Says>>>);

impl Voters {
    /// Some voters, that say this.
    fn of(says: &[Says]) -> Self {
        let says = (10..).map(MemberId).zip(says.iter().copied());
        Self(Arc::new(Mutex::new(says.collect())))
    }

    /// There is the founder alone, and says this from now on.
    fn founder_says(&self, says: Says) {
        *self.0.lock().expect("no panics") = [(MemberId::FOUNDER, says)].into();
    }

    fn members(&self) -> BTreeSet<MemberId> {
        self.0.lock().expect("no panics").keys().copied().collect()
    }
}

impl Transport for Voters {
    async fn call(
        &self,
        to: MemberId,
        said: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let Question { request, .. } = codec::decode(&said).expect("our own question");
        let says = self.0.lock().expect("no panics").get(&to).copied().unwrap_or(Nothing);
        let pulled = match says {
            Votes => Pulled::News(Box::new(no_news())),
            Busy => Pulled::Busy { instead: Vec::new() },
            Adrift | Lost => Pulled::Adrift,
            Nothing => return Err(TransportError::Unreachable(to)),
            Silence => {
                Types::sleep(limit).await;
                return Err(TransportError::Timeout(to));
            }
        };
        match request {
            Request::IsVoter(_) => Ok(Reply::IsVoter(says != Lost).encode()),
            Request::Pull(_) => Ok(Reply::Pulled(pulled).encode()),
            _ => Err(TransportError::Unreachable(to)),
        }
    }
}

fn no_news() -> News {
    let (snapshot, entries, checkpoints) = (None, Vec::new(), Vec::new());
    let (lead, confirmed_ms) = (None, None);
    News { snapshot, entries, proven: 3, checkpoints, lead, confirmed_ms, held_ms: 0, depth: 0 }
}

/// The guest, which reaches `voters` alone.
async fn guest(voters: &Voters) -> Group {
    let (store, key) = (guest_store(MemoryDisk::new()), fixture::secret(4));
    let timing = Timing::default();
    let started = Group::start(store, key, voters.clone(), &Fixed, fixture::wall_ms, timing).await;
    started.expect("starts")
}

/// What is found of voters that say this.
fn authority(says: &[Says]) -> Authority {
    in_virtual_time(async {
        let voters = Voters::of(says);
        let guest = guest(&voters).await;
        let authority = guest.inner().authority_of(&voters.members(), &Draft::default()).await;
        guest.shutdown().await;
        authority
    })
}

#[test]
fn voters_of_whom_a_majority_votes_can_prove_what_is_agreed() {
    assert_eq!(authority(&[Votes, Votes, Nothing]), Authority::Holds);
    assert_eq!(authority(&[Votes, Votes, Lost]), Authority::Holds);
    assert_eq!(authority(&[Votes, Busy, Lost]), Authority::Holds, "a full desk is no lost vote");
}

#[test]
fn voters_that_are_out_of_reach_or_elect_a_leader_may_vote_still() {
    assert_eq!(authority(&[Votes, Nothing, Nothing]), Authority::Unclear);
    assert_eq!(authority(&[Votes, Adrift, Adrift]), Authority::Unclear);
    assert_eq!(authority(&[Votes, Adrift, Lost]), Authority::Unclear);
}

#[test]
fn voters_of_whom_most_say_that_they_do_not_vote_prove_nothing_more() {
    assert_eq!(authority(&[Votes, Lost, Lost]), Authority::Lost);
    assert_eq!(authority(&[Nothing, Lost, Lost, Votes]), Authority::Lost, "two are no majority");
}

/// Most of them may be gone, and there are as many questions as that while the host waits.
#[test]
fn those_that_do_not_answer_are_waited_for_all_at_once() {
    in_virtual_time(async {
        let voters = Voters::of(&[Silence, Silence, Silence, Silence, Votes]);
        let guest = guest(&voters).await;
        let since = Types::now();
        let authority = guest.inner().authority_of(&voters.members(), &Draft::default()).await;
        assert_eq!((authority, since.elapsed()), (Authority::Unclear, VOUCH_LIMIT));
        guest.shutdown().await;
    });
}

/// Of two sets of voters, one of which was being exchanged for the other when the host was last here, a single voter may be left.
#[test]
fn a_voter_that_is_known_is_believed_though_nobody_is_there_to_vouch_for_it() {
    in_virtual_time(async {
        let guest = guest(&Voters::default()).await;
        let (own, lead) = (settled(), Lead { term: 1, leader: MemberId::FOUNDER });
        let mark = own.mark().expect("something was applied");
        let word = Checkpoint::of(root().mesh, MemberId::FOUNDER, mark, lead);
        let checkpoints = vec![Signed::seal(&word, &fixture::secret(2))];
        let mut draft = Draft::default();
        let news = News { checkpoints, ..no_news() };
        draft.add(news, false, &own, (&root(), NEWEST)).expect("it follows");
        let known = [MemberId::FOUNDER].into();
        assert_eq!(guest.inner().believed(&known, &draft).await, known);
        guest.shutdown().await;
    });
}

/// What becomes of a draft, and after how many seconds, of a guest whose only voter says so from each second on.
fn patience(says: &[(u64, Says)]) -> Vec<(u64, &'static str)> {
    in_virtual_time(async {
        let voters = Voters::default();
        let guest = guest(&voters).await;
        let (inner, mut doubt) = (guest.inner(), Doubt::default());
        let (mut told, mut last) = (Vec::new(), "");
        for tenth in 0..150 {
            let now = says.iter().rev().find(|(from, _)| from * 10 <= tenth).expect("from 0 on");
            voters.founder_says(now.1);
            let became = match doubt.wait(&Draft::default(), &inner).await {
                Patience::Lasts => "lasts",
                Patience::Lenient => "lenient",
                Patience::Over => "over",
            };
            if became != last {
                told.push((tenth / 10, became));
                last = became;
            }
            if became == "over" {
                break;
            }
            Types::sleep(Duration::from_millis(100)).await;
        }
        guest.shutdown().await;
        told
    })
}

#[test]
fn whoever_hears_that_the_vote_is_elsewhere_asks_no_longer_than_it_must() {
    let told = patience(&[(0, Lost)]);
    assert_eq!(told[..2], [(0, "lasts"), (2, "lenient")]);
    assert_eq!(told.last(), Some(&(7, "over")));
}

#[test]
fn silence_counts_after_an_election_and_not_before() {
    for silent in [Nothing, Adrift] {
        let told = patience(&[(0, silent)]);
        assert_eq!(told[..2], [(0, "lasts"), (5, "lenient")], "{silent:?}");
        assert_eq!(told.last(), Some(&(10, "over")), "{silent:?}");
    }
}

#[test]
fn nobody_else_is_believed_while_those_that_are_known_vote() {
    for votes in [Votes, Busy] {
        assert_eq!(patience(&[(0, votes)]), [(0, "lasts"), (5, "over")], "{votes:?}");
        assert_eq!(patience(&[(0, Adrift), (4, votes)]), [(0, "lasts"), (5, "over")], "{votes:?}");
    }
}

#[test]
fn whoever_learns_later_that_the_vote_is_elsewhere_goes_by_that() {
    assert_eq!(patience(&[(0, Nothing), (3, Lost)])[..2], [(0, "lasts"), (4, "lenient")]);
}
