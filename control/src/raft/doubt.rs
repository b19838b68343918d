//! Pulled entries that nobody this host knows has signed: how long it waits, and whom it believes then.

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

/// How long entries stay without a proof before this host asks the voters it knows who votes today. A checkpoint
/// comes within half a second of its entry; four times that over a long line. Of hosts that come back one after the other each waits
/// for the one before.
const ASKS_AFTER: Duration = Duration::from_secs(2);

/// How long they stay without one, by the word of whomever, before they are dropped: an election over a long line, and
/// the checkpoint after it.
const PATIENCE: Duration = Duration::from_secs(5);

/// About what one source sent.
#[derive(Default)]
pub(super) struct Doubt {
    since: Option<Instant>,
    has_asked: bool,
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

impl Doubt {
    /// Whose word counts beside that of the voters this host knows.
    pub(super) fn leniency(&self) -> &Leniency {
        &self.leniency
    }

    /// `draft` has no proof by voters this host knows. After a while it asks those for the others.
    pub(super) async fn wait(&mut self, draft: &Draft, inner: &Inner) -> Patience {
        let since = *self.since.get_or_insert(Types::now());
        let waited = since.elapsed();
        if waited >= PATIENCE {
            return Patience::Over;
        }
        if waited < ASKS_AFTER || self.has_asked {
            return Patience::Lasts;
        }
        self.has_asked = true;
        let voters = inner.known_voters();
        if inner.still_vote(&voters).await {
            return Patience::Lasts;
        }
        self.leniency.granted = true;
        self.since = None;
        let own = inner.replica.lock().clone();
        for signer in draft.signers(&own) {
            let is_known = voters.contains(&signer);
            if is_known || inner.speakers.is_vouched_for(signer, &voters, &inner.peers).await {
                self.leniency.believed.insert(signer);
            }
        }
        Patience::Lenient
    }
}

impl Inner {
    /// Whether a majority of `voters`, whom this host knows, vote today. Then they can prove what was agreed, and what they do not
    /// prove is something else. One that says so and has heard no leader lately may only not have heard that it lost its vote.
    async fn still_vote(&self, voters: &BTreeSet<MemberId>) -> bool {
        let (have, proven, lead) = (self.place(), self.proven(), self.elected());
        let pull = Pull { have, proven, lead, hold_ms: 0, snapshot: false };
        let pull = &pull;
        let asked = voters.iter().filter(|voter| **voter != self.me).map(|voter| async move {
            let votes = self.peers.ask(*voter, Request::IsVoter(*voter), VOUCH_LIMIT).await;
            if !matches!(votes, Ok(Reply::IsVoter(true))) {
                return None;
            }
            let news = self.peers.ask(*voter, Request::Pull(pull.clone()), VOUCH_LIMIT).await;
            let is_fed = matches!(news, Ok(Reply::Pulled(Pulled::News(news))) if news.depth == 0);
            is_fed.then_some(*voter)
        });
        let voting: BTreeSet<MemberId> = join_all(asked).await.into_iter().flatten().collect();
        majority(std::slice::from_ref(voters), |voter| voting.contains(voter))
    }
}
