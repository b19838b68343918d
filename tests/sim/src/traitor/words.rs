//! What the traitor signs.

use bytes::Bytes;
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{Checkpoint, ElectorateHash, Lead, LogHash, Pulled};
use mesh_model::{MemberId, Signed};
use rand::RngExt as _;

use super::speech::{Reply, close, open};
use super::{Traitor, Way};

/// How far beyond the log it speaks at most: to where a busy mesh gets within the run, or not.
const FUTURE: u64 = 400;

/// How far ahead the terms are that it makes up.
const FAR_TERMS: u64 = 1 << 20;

impl Traitor {
    /// Its signed word in place of `word`; `None` if it leaves that as it is.
    pub(super) fn forge(&mut self, word: &Signed<Checkpoint>) -> Option<Signed<Checkpoint>> {
        let mut said = word.peek().ok()?;
        let honest = said;
        if self.does(Way::State) {
            said.state = StateHash(self.rng.random());
        }
        if self.does(Way::Log) {
            said.log = LogHash(self.rng.random());
        }
        if self.does(Way::Electorate) {
            said.electorate = ElectorateHash(self.rng.random());
        }
        if self.does(Way::Future) {
            said.at.index += self.rng.random_range(1..FUTURE);
        }
        if self.does(Way::Lead) {
            said.lead = self.no_such_lead(said.lead);
        }
        (said != honest).then(|| Signed::seal(&said, &self.secret))
    }

    /// What it lets its honest core hear of `answer`: none of its own words, for it has said what the core never signed.
    pub(crate) fn hear(&self, answer: Bytes) -> Bytes {
        let is_others =
            |word: &Signed<Checkpoint>| !word.peek().is_ok_and(|word| self.is(word.member));
        match open(&answer) {
            Some(Reply::Attested(mut words)) => {
                words.retain(is_others);
                close(&Reply::Attested(words))
            }
            Some(Reply::Pulled(Pulled::News(mut news))) => {
                news.checkpoints.retain(is_others);
                close(&Reply::Pulled(Pulled::News(news)))
            }
            _ => answer,
        }
    }

    /// A leader that there is not, in a term that there was not.
    pub(super) fn no_such_lead(&mut self, lead: Lead) -> Lead {
        let term = lead.term + self.rng.random_range(1..FAR_TERMS);
        let leader = MemberId(lead.leader.0 + self.rng.random_range(0..3));
        Lead { term, leader }
    }

    /// What it tells in place of `words`.
    pub(super) fn retell(
        &mut self,
        words: Vec<Signed<Checkpoint>>,
    ) -> Option<Vec<Signed<Checkpoint>>> {
        let mut told = words.clone();
        if self.does(Way::Proofless) {
            told.retain(|word| word.peek().is_ok_and(|word| self.is(word.member)));
        }
        for word in &mut told {
            if word.peek().is_ok_and(|word| self.is(word.member)) {
                *word = self.forge(word).unwrap_or_else(|| word.clone());
            }
        }
        (told != words).then_some(told)
    }
}
