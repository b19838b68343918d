//! Pulled entries that nobody this host knows has signed: how long it waits, and whom it believes then.
//!
//! ```text
//! no proof ── 2 s ──> the voters it knows are asked, again and again:
//!                       a majority votes today ──────────────────────────────> they can prove it, or it is something else
//!                       a majority has lost its vote, or has gone ───────────> \
//!                       neither: some are out of reach, or elect a leader ─ 5 s ─> whom the rest vouches for is believed, too
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_model::MemberId;
use mesh_model::wire::sync::{Pull, Pulled};
use openraft::async_runtime::Instant as _;
use openraft::type_config::TypeConfigExt as _;

use super::draft::{Draft, Leniency};
use super::group::Inner;
use super::rpc::{Reply, Request};
use super::speaker::VOUCH_LIMIT;
use super::types::{Instant, Types};
use crate::sync::majority;

/// How long entries stay without a proof before this host asks the voters it knows who votes today, and then how often. A
/// checkpoint comes within half a second of its entry; four times that over a long line.
const ASKS_AFTER: Duration = Duration::from_secs(2);

/// How long they stay without one before silence counts, and after that before they are dropped: voters far apart take 3 to 5 s to
/// elect a leader (docs/adr/0031), and one that was just started reaches the others by its fourth attempt, after 4.5 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// About what one source sent.
#[derive(Default)]
pub(super) struct Doubt {
    since: Option<Instant>,
    asked: Option<Instant>,
    leniency: Leniency,
}

/// What becomes of a draft without a proof.
pub(super) enum Patience {
    /// It is kept a while longer.
    Lasts,
    /// From now on the word of more voters counts: is it proven by it?
    Lenient,
    /// It is dropped.
    Over,
}

/// Whether the voters that this host knows can prove what is agreed today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// A majority of them votes.
    Holds,
    /// So many have lost their vote that no majority is left, whatever the others would say.
    Lost,
    Unclear,
}

/// Whether one of them votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Votes,
    Lost,
    Unclear,
}

impl Doubt {
    /// Whose word counts beside that of the voters this host knows.
    pub(super) fn leniency(&self) -> &Leniency {
        &self.leniency
    }

    /// `draft` has no proof by voters this host knows. After a while it asks those for the others.
    pub(super) async fn wait(&mut self, draft: &Draft, inner: &Inner) -> Patience {
        let waited = self.since.get_or_insert(Types::now()).elapsed();
        let is_over = waited >= PATIENCE;
        if is_over && self.leniency.granted {
            return Patience::Over;
        }
        let asked_lately = self.asked.is_some_and(|at| at.elapsed() < ASKS_AFTER);
        if waited < ASKS_AFTER || asked_lately && !is_over {
            return Patience::Lasts;
        }
        self.asked = Some(Types::now());
        let voters = inner.known_voters();
        if !self.leniency.granted {
            match inner.authority_of(&voters, draft).await {
                Authority::Holds if is_over => return Patience::Over,
                Authority::Unclear if is_over => {}
                Authority::Holds | Authority::Unclear => return Patience::Lasts,
                Authority::Lost => {}
            }
            self.leniency.granted = true;
            self.since = None;
        }
        self.leniency.believed.extend(inner.believed(&voters, draft).await);
        Patience::Lenient
    }
}

impl Inner {
    /// Whether a majority of `voters`, whom this host knows, vote today. Then they can prove what was agreed, and what they do not
    /// prove is something else.
    async fn authority_of(&self, voters: &BTreeSet<MemberId>, draft: &Draft) -> Authority {
        let own = self.replica.lock().clone();
        let gone = draft.departed(&own);
        let others: Vec<_> = voters.iter().filter(|voter| **voter != self.me).collect();
        let asked = others.iter().map(|voter| async {
            match gone.contains(*voter) {
                true => Word::Lost,
                false => self.word_of(**voter).await,
            }
        });
        let known: Vec<_> = others.iter().copied().zip(join_all(asked).await).collect();
        let is_majority = |which: fn(Word) -> bool| {
            let found: BTreeSet<_> =
                known.iter().filter(|(_, word)| which(*word)).map(|(voter, _)| **voter).collect();
            majority(std::slice::from_ref(voters), |voter| found.contains(voter))
        };
        if is_majority(|word| word == Word::Votes) {
            Authority::Holds
        } else if is_majority(|word| word != Word::Lost) {
            Authority::Unclear
        } else {
            Authority::Lost
        }
    }

    /// Whether `voter` votes, by its own word. One that says so and hears no leader may only not have heard that it lost its vote. One that
    /// has no place free says nothing of that; it is not held against it, or whoever takes its places could have others believed.
    async fn word_of(&self, voter: MemberId) -> Word {
        match self.peers.ask(voter, Request::IsVoter(voter), VOUCH_LIMIT).await {
            Ok(Reply::IsVoter(true)) => {}
            Ok(Reply::IsVoter(false)) => return Word::Lost,
            _ => return Word::Unclear,
        }
        let (have, proven, lead) = (self.place(), self.proven(), self.elected());
        let pull = Pull { have, proven, lead, hold_ms: 0, snapshot: false };
        match self.peers.ask(voter, Request::Pull(pull), VOUCH_LIMIT).await {
            Ok(Reply::Pulled(Pulled::News(news))) if news.depth == 0 => Word::Votes,
            Ok(Reply::Pulled(Pulled::Busy { .. })) => Word::Votes,
            _ => Word::Unclear,
        }
    }

    /// Those that signed what is in `draft` and are known to vote, or said to by one of `voters`.
    async fn believed(&self, voters: &BTreeSet<MemberId>, draft: &Draft) -> BTreeSet<MemberId> {
        let own = self.replica.lock().clone();
        let signers = draft.signers(&own).into_iter();
        let asked = signers.map(|signer| async move {
            let is_known = voters.contains(&signer);
            let votes = is_known || self.speakers.is_vouched_for(signer, voters, &self.peers).await;
            votes.then_some(signer)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
