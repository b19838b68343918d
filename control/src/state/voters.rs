//! The operator's word on who votes, as it stands.

use std::collections::BTreeMap;

use mesh_model::Signed;
use mesh_model::audit::{Actor, Event};
use mesh_model::codec::CodecError;
use mesh_model::trust::{MAX_WISHES, VoterPolicy};
use serde::{Deserialize, Serialize};

use super::{Decision, State};
use crate::command::{Outcome, Refusal};

/// A policy and the bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Signed<VoterPolicy>")]
struct Standing {
    signed: Signed<VoterPolicy>,
    /// What `signed` says, decoded.
    #[serde(skip_serializing)]
    policy: VoterPolicy,
}

impl TryFrom<Signed<VoterPolicy>> for Standing {
    type Error = CodecError;

    fn try_from(signed: Signed<VoterPolicy>) -> Result<Self, CodecError> {
        Ok(Self { policy: signed.peek()?, signed })
    }
}

/// The policy with the highest serial so far; none while the mesh chooses by itself.
///
/// Voters are trusted with the order of statements, so the order alone must not decide which of two policies
/// counts: the serial is inside the signature, and a lower one never follows a higher.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters(Option<Standing>);

impl Voters {
    /// What the root wants.
    pub fn policy(&self) -> Option<&VoterPolicy> {
        self.0.as_ref().map(|standing| &standing.policy)
    }

    /// The same, as it was signed.
    pub fn signed(&self) -> Option<&Signed<VoterPolicy>> {
        self.0.as_ref().map(|standing| &standing.signed)
    }

    /// The serial of the policy that stands; 0 while there is none.
    pub fn serial(&self) -> u64 {
        self.policy().map_or(0, |policy| policy.serial)
    }

    /// Whether `policy`, whose signature was checked, may stand. `false` when it does already.
    pub(super) fn check(&self, policy: &VoterPolicy) -> Result<bool, Refusal> {
        check_bounds(policy)?;
        match self.policy() {
            Some(standing) if standing == policy => Ok(false),
            _ if policy.serial <= self.serial() => Err(Refusal::StalePolicy(self.serial())),
            _ => Ok(true),
        }
    }

    pub(super) fn set(&mut self, signed: &Signed<VoterPolicy>, policy: VoterPolicy) {
        self.0 = Some(Standing { signed: signed.clone(), policy });
    }

    /// Whether this can have come of `earlier`.
    pub(super) fn continues(&self, earlier: &Self) -> bool {
        self.serial() > earlier.serial() || self == earlier
    }
}

impl State {
    /// The policy to sign next: the one that stands with one thing changed, and the next serial.
    pub fn next_policy(&self, change: impl FnOnce(&mut VoterPolicy)) -> VoterPolicy {
        let first = || VoterPolicy {
            mesh: self.founding.genesis.root.mesh,
            serial: 0,
            target: None,
            wishes: BTreeMap::new(),
        };
        let mut policy = self.voters.policy().cloned().unwrap_or_else(first);
        policy.serial = policy.serial.saturating_add(1);
        // Ids are never given again: wishes about those that left are of no use.
        policy.wishes.retain(|member, _| self.members.present().contains_key(member));
        change(&mut policy);
        policy
    }

    /// Who the root wants to vote, if it does.
    pub(super) fn genuine_policy(
        &self,
        signed: &Signed<VoterPolicy>,
    ) -> Result<VoterPolicy, Refusal> {
        Ok(VoterPolicy::verify(signed, &self.founding.genesis.root)?)
    }

    /// Has a policy stand.
    pub(super) fn set_voters(&mut self, signed: &Signed<VoterPolicy>) -> Result<Decision, Refusal> {
        let policy = self.genuine_policy(signed)?;
        let serial = policy.serial;
        let outcome = Outcome::VotersSet(serial);
        if !self.voters.check(&policy)? {
            return Ok(Decision::Already(outcome));
        }
        self.voters.set(signed, policy);
        Ok(Decision::Changed(Actor::Root, Event::VotersSet { serial }, outcome))
    }
}

/// Whether a policy is one the root may set.
pub(super) fn check_bounds(policy: &VoterPolicy) -> Result<(), Refusal> {
    match policy.wishes.len() {
        0..=MAX_WISHES => Ok(()),
        wishes => Err(Refusal::TooManyWishes(wishes)),
    }
}
