//! Who may speak Raft to this host.
//!
//! A leader's or candidate's word changes logs and terms, so it is heard only from the member it claims
//! to come from, and only if that member votes. Otherwise any member, once broken into, could call itself
//! leader of a term far ahead and take the mesh's order into its hands.
//!
//! Whether it votes is in this host's own log, which can be old: a host that was away may know nothing
//! of the voter that leads now, and that leader's appends are what would tell it. Then it asks the voters
//! it does know: one of them saying "yes, that one votes" is enough, because voters are trusted with
//! order. A host that was away until every voter it knew had left cannot be helped this way; it has to
//! join again.
//!
//! A leader can have been away too, while its voters were replaced and its own vote was given to another. Those it
//! speaks to do not hear it, but one that follows a leader of a later term says so, as Raft would to a voter. The old
//! leader believes it of a member that votes by its own log, and of no other: else any member could end any term.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_model::MemberId;

use super::network::Peers;
use super::rpc::{Reply, Request, RpcError};

/// How long a voter may think about whether somebody else is one. It looks into its own memory; the rest
/// is the round trip.
pub(super) const VOUCH_LIMIT: Duration = Duration::from_millis(800);

/// The most voters vouched for that are remembered. There are never more voters than that; older ones
/// make room.
const MAX_VOUCHED: usize = 16;

/// The most strangers to the vote that voters are asked about at the same time, and each of them once. There are never more voters
/// that a host has not heard of yet.
const MAX_INQUIRIES: usize = 16;

/// Voters this host's log does not know yet, by the word of voters it knows.
#[derive(Default)]
pub(crate) struct Speakers {
    vouched: Mutex<BTreeSet<MemberId>>,
    /// Who spoke and is being asked about.
    asked_about: Mutex<BTreeSet<MemberId>>,
}

/// Voters are being asked about one that spoke, until dropped.
struct Inquiry<'a> {
    speakers: &'a Speakers,
    about: MemberId,
}

impl Speakers {
    /// Whether `from`, which speaks like a voter, is one, by `voters` (what this host knows) or by the word of one of them.
    pub(crate) async fn check(
        &self,
        from: MemberId,
        voters: &BTreeSet<MemberId>,
        peers: &Peers,
    ) -> Result<(), RpcError> {
        if voters.contains(&from) || self.vouched().contains(&from) {
            return Ok(());
        }
        let refused = RpcError::NoVote(from);
        // The sender tries again soon enough.
        let Some(_inquiry) = self.inquire(from) else { return Err(refused) };
        if self.is_vouched_for(from, voters, peers).await {
            return Ok(());
        }
        tracing::warn!(%from, "refused: it speaks like a voter and none vouches for it");
        Err(refused)
    }

    /// Whether one of `voters` says, or has said, that `member` votes.
    pub(crate) async fn is_vouched_for(
        &self,
        member: MemberId,
        voters: &BTreeSet<MemberId>,
        peers: &Peers,
    ) -> bool {
        if self.vouched().contains(&member) {
            return true;
        }
        // All at once: those that are gone would each take their time to say nothing.
        let others = voters.iter().filter(|voter| **voter != peers.me);
        let mut asked: FuturesUnordered<_> = others
            .map(|voter| async move {
                let answer = peers.ask(*voter, Request::IsVoter(member), VOUCH_LIMIT).await;
                (*voter, matches!(answer, Ok(Reply::IsVoter(true))))
            })
            .collect();
        while let Some((voter, vouches)) = asked.next().await {
            if vouches {
                tracing::info!(%member, by = %voter, "taken for a voter by another's word");
                self.remember(member);
                return true;
            }
        }
        false
    }

    fn inquire(&self, about: MemberId) -> Option<Inquiry<'_>> {
        let mut asked_about = self.asked_about();
        let begins = asked_about.len() < MAX_INQUIRIES && asked_about.insert(about);
        begins.then(|| Inquiry { speakers: self, about })
    }

    /// The log has a membership of its own to go by again.
    pub(crate) fn forget(&self) {
        self.vouched().clear();
    }

    fn remember(&self, voter: MemberId) {
        let mut vouched = self.vouched();
        if vouched.len() == MAX_VOUCHED {
            vouched.pop_first();
        }
        vouched.insert(voter);
    }

    fn vouched(&self) -> MutexGuard<'_, BTreeSet<MemberId>> {
        self.vouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_about(&self) -> MutexGuard<'_, BTreeSet<MemberId>> {
        self.asked_about.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inquiry<'_> {
    fn drop(&mut self) {
        self.speakers.asked_about().remove(&self.about);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mesh_model::codec;
    use openraft::type_config::TypeConfigExt as _;

    use super::*;
    use crate::ports::{Transport, TransportError};
    use crate::raft::fixture::epoch;
    use crate::raft::network::calls;
    use crate::raft::rpc::Question;
    use crate::raft::types::Types;

    const ME: MemberId = MemberId(9);

    /// Voters 1 and 2. Only 2 answers, after a while; it knows of voter 5.
    #[derive(Clone)]
    struct Voters;

    impl Transport for Voters {
        async fn call(
            &self,
            to: MemberId,
            request: Bytes,
            _: Duration,
        ) -> Result<Bytes, TransportError> {
            let Question { request, .. } = codec::decode(&request).expect("our own question");
            match request {
                Request::IsVoter(member) if to == MemberId(2) => {
                    Types::sleep(Duration::from_millis(1)).await;
                    Ok(Reply::IsVoter(member == MemberId(5)).encode())
                }
                _ => Err(TransportError::Unreachable(to)),
            }
        }
    }

    fn check(speakers: &Speakers, from: u64, voters: &[u64]) -> bool {
        let voters = voters.iter().copied().map(MemberId).collect();
        let pause = std::time::Duration::from_secs(1);
        let peers = Peers::new(ME, epoch(), calls(Voters), Default::default(), pause);
        Types::run(async { speakers.check(MemberId(from), &voters, &peers).await.is_ok() })
    }

    #[test]
    fn a_voter_is_heard() {
        assert!(check(&Speakers::default(), 1, &[1, 2]));
    }

    #[test]
    fn a_voter_this_host_does_not_know_is_heard_on_the_word_of_one_it_knows() {
        let speakers = Speakers::default();
        assert!(check(&speakers, 5, &[1, 2]));
        assert!(check(&speakers, 5, &[1]), "remembered, though nobody answers now");
        speakers.forget();
        assert!(!check(&speakers, 5, &[1]), "forgotten with the membership it belonged to");
    }

    #[test]
    fn one_that_nobody_vouches_for_keeps_no_other_from_being_heard_however_often_it_speaks() {
        let (speakers, voters) = (Speakers::default(), [1, 2].map(MemberId).into());
        let pause = std::time::Duration::from_secs(1);
        let peers = Peers::new(ME, epoch(), calls(Voters), Default::default(), pause);
        let check = |from| speakers.check(MemberId(from), &voters, &peers);
        let doubtful = speakers.is_vouched_for(MemberId(5), &voters, &peers);
        let heard =
            Types::run(async { futures_util::join!(check(6), check(6), check(5), doubtful) });
        assert!(matches!(heard, (Err(_), Err(_), Ok(()), true)), "{heard:?}");
        assert_eq!(*speakers.asked_about(), BTreeSet::new(), "all of that is over");
    }

    #[test]
    fn a_member_nobody_vouches_for_is_not_heard() {
        assert!(!check(&Speakers::default(), 6, &[1, 2]), "the voter says no");
        assert!(!check(&Speakers::default(), 5, &[1]), "the voter does not answer");
        assert!(!check(&Speakers::default(), 5, &[5 + 1, ME.0]), "no voter to ask");
    }
}
