//! Who the admins are follows from changes that enough of them signed, and of what they say about labels and about who may reach
//! whom the last word counts.
//!
//! Every host's state is held to the changes that were made: the admins it has are those that its chain of changes leads to, and
//! that chain only grows with the log. Labels and access policies are registers as [policies on who votes](super::PolicyNeverOlder)
//! are: they only rise, and what stands was signed, word for word.

use std::collections::BTreeMap;

use mesh_control::command::Outcome;
use mesh_control::state::State;
use mesh_model::trust::{AccessPolicy, AdminsHead, Tagging};
use mesh_model::{AdminId, IdentityKey, LogIndex, MemberId};

use super::Violation;
use crate::bench::Bench;
use crate::rising::Rising;
use crate::spoken::Spoken;

const NAME: &str = "admins_word_holds";

/// See the [module](self).
#[derive(Default)]
pub struct AdminsWordHolds {
    changes: Rising<u64>,
    heads: BTreeMap<u64, AdminsHead>,
    tags: BTreeMap<MemberId, Rising<u64>>,
    taggings: Spoken<(MemberId, u64), Tagging>,
    access: Rising<u64>,
    policies: Spoken<u64, AccessPolicy>,
}

impl AdminsWordHolds {
    /// An admin has signed `tagging`.
    pub fn sign_tags(&mut self, tagging: &Tagging) {
        self.taggings.sign((tagging.member, tagging.serial), tagging.clone());
    }

    /// An admin has signed `policy`.
    pub fn sign_access(&mut self, policy: &AccessPolicy) {
        self.policies.sign(policy.serial, policy.clone());
    }

    /// At `place` in the log, `by` has `state`.
    pub fn see(
        &mut self,
        by: MemberId,
        place: LogIndex,
        state: &State,
        bench: &Bench,
    ) -> Result<(), Violation> {
        self.see_admins(by, place, state, bench)?;
        for member in state.members().present().keys() {
            let stated = state.tags().get(*member).map(|stated| stated.said());
            let serial = state.tags().serial(*member);
            let rises = self.tags.entry(*member).or_default().was(serial, place);
            let genuine = stated.is_none_or(|said| self.taggings.stands((*member, serial), said));
            if !(rises && genuine) {
                return failed(format!("{by} labels {member} at {place} with {stated:?}"));
            }
        }
        let (policy, serial) = (state.access().policy(), state.access().serial());
        let rises = self.access.was(serial, place);
        if !(rises && policy.is_none_or(|policy| self.policies.stands(serial, policy))) {
            return failed(format!("{by} has access policy {serial} at {place}: {policy:?}"));
        }
        Ok(())
    }

    fn see_admins(
        &mut self,
        by: MemberId,
        place: LogIndex,
        state: &State,
        bench: &Bench,
    ) -> Result<(), Violation> {
        let admins = state.admins();
        let (serial, head) = (admins.serial(), admins.head());
        let rises = self.changes.was(serial, place);
        let one_chain = *self.heads.entry(serial).or_insert(head) == head;
        let present: BTreeMap<AdminId, IdentityKey> =
            admins.present().map(|(id, admin)| (id, admin.key)).collect();
        let led_to = bench.sitting(&head).is_some_and(|sitting| {
            let keys = sitting.present.iter().map(|(id, (_, key))| (*id, *key));
            sitting.serial == serial
                && sitting.threshold == admins.threshold()
                && keys.eq(present.clone())
        });
        match rises && one_chain && led_to {
            true => Ok(()),
            false => failed(format!("{by} has admins {present:?} at {place}, change {serial}")),
        }
    }
}

/// A change that too few had signed came to `outcome`.
pub(crate) fn check_too_few(outcome: &Outcome) -> Result<(), Violation> {
    match outcome {
        Outcome::Refused(_) => Ok(()),
        other => failed(format!("a change that too few had signed came to {other:?}")),
    }
}

fn failed(message: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, message))
}
