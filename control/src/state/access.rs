//! The operator's word on who may reach whom, as it stands and as it stood.
//!
//! Earlier policies are kept so that people can see what changed and go back. Which one counts is never in doubt: the
//! serial is inside the signature, and a lower one never follows a higher.

use std::collections::VecDeque;

use mesh_model::access::Rule;
use mesh_model::audit::Actor;
use mesh_model::trust::{AccessPolicy, AdminStatement as _};
use mesh_model::{AdminId, LogIndex, Signed};
use serde::{Deserialize, Serialize};

use super::serial::check_leap;
use super::{Decision, State, Stated};
use crate::command::{Outcome, Refusal};

/// The most policies remembered, the one that stands included: 320 kB of a snapshot if each is as long as it may be.
pub const MAX_HISTORY: usize = 16;

/// A policy that stands or stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    stated: Stated<AccessPolicy>,
    since_ms: u64,
}

impl AccessEntry {
    /// What was allowed.
    pub fn policy(&self) -> &AccessPolicy {
        self.stated.said()
    }

    /// The same, as it was agreed.
    pub fn stated(&self) -> &Stated<AccessPolicy> {
        &self.stated
    }

    /// When it was agreed, in milliseconds since the Unix epoch, by the stamp in the log.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }
}

/// The last [`MAX_HISTORY`] policies, the one that stands last; none while everybody may reach everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access(VecDeque<AccessEntry>);

impl Access {
    /// The one that stands.
    pub fn policy(&self) -> Option<&AccessPolicy> {
        self.0.back().map(AccessEntry::policy)
    }

    /// All that are remembered, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &AccessEntry> + ExactSizeIterator {
        self.0.iter()
    }

    /// The serial of the policy that stands; 0 while there is none.
    pub fn serial(&self) -> u64 {
        self.policy().map_or(0, |policy| policy.serial)
    }

    /// Where in the log `policy` was agreed, if it stands or is remembered to have stood.
    pub(super) fn agreed_at(&self, policy: &AccessPolicy) -> Option<LogIndex> {
        let same = |entry: &&AccessEntry| entry.policy() == policy;
        self.0.iter().rev().find(same).map(|entry| entry.stated.at())
    }

    /// Whether `policy`, whose signature was checked, may stand. `false` when it does, or did.
    fn is_news(&self, policy: &AccessPolicy) -> Result<bool, Refusal> {
        policy.check_bounds().map_err(Refusal::AccessBounds)?;
        match self.agreed_at(policy) {
            Some(_) => Ok(false),
            None if policy.serial <= self.serial() => Err(Refusal::StaleAccess(self.serial())),
            None => check_leap(policy.serial, self.serial()).map(|()| true),
        }
    }

    fn set(&mut self, entry: AccessEntry) {
        while self.0.len() >= MAX_HISTORY {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Whether this, which verifies, can have come of `earlier`, in which `last` was the last index with a decision: of the
    /// time that both tell of they tell the same, and only one that is full has forgotten.
    pub(super) fn continues(&self, earlier: &Self, last: LogIndex) -> bool {
        let shared = self.0.iter().take_while(|entry| entry.stated.at() <= last);
        let Some(forgotten) = earlier.0.len().checked_sub(shared.clone().count()) else {
            return false;
        };
        (forgotten == 0 || self.0.len() == MAX_HISTORY)
            && shared.eq(earlier.0.iter().skip(forgotten))
    }
}

impl State {
    /// The policy to sign next: these `rules`, and the next serial.
    pub fn next_access(&self, rules: Vec<Rule>) -> AccessPolicy {
        let mesh = self.founding.genesis.root.mesh;
        AccessPolicy { mesh, serial: self.access.serial().saturating_add(1), rules }
    }

    /// Who an admin says may reach whom, and which, if one does, and whether that is news.
    pub(super) fn genuine_access(
        &self,
        signed: &Signed<AccessPolicy>,
    ) -> Result<(AccessPolicy, AdminId, bool), Refusal> {
        let (policy, by): (AccessPolicy, _) = self.said_by_admin(signed)?;
        let is_news = self.access.is_news(&policy)?;
        Ok((policy, by, is_news))
    }

    /// Has a policy stand.
    pub(super) fn set_access(
        &mut self,
        index: LogIndex,
        signed: &Signed<AccessPolicy>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (policy, by, is_news) = self.genuine_access(signed)?;
        let (outcome, event) = (Outcome::AccessSet(policy.serial), policy.event());
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        let stated = Stated::new(signed.clone(), policy, by, index);
        self.access.set(AccessEntry { stated, since_ms: now_ms });
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }
}
