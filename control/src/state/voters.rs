//! The operator's word on who votes, as it stands.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::Actor;
use mesh_model::trust::{AdminStatement as _, MAX_WISHES, VoterPolicy, Wish};
use mesh_model::{AdminId, LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

use super::serial::check_leap;
use super::{Decision, State, Stated};
use crate::command::{Outcome, Refusal};

/// The policy with the highest serial so far; none while the mesh chooses by itself.
///
/// Voters are trusted with the order of statements, so the order alone must not decide which of two policies
/// counts: the serial is inside the signature, and a lower one never follows a higher.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters(Option<Stated<VoterPolicy>>);

impl Voters {
    /// What the admins want.
    pub fn policy(&self) -> Option<&VoterPolicy> {
        self.0.as_ref().map(Stated::said)
    }

    /// The same, as it was agreed.
    pub fn stated(&self) -> Option<&Stated<VoterPolicy>> {
        self.0.as_ref()
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
            _ => check_leap(policy.serial, self.serial()).map(|()| true),
        }
    }

    /// Whether this can have come of `earlier`, in which `last` was the last index with a decision.
    pub(super) fn continues(&self, earlier: &Self, last: LogIndex) -> bool {
        let is_later = self.0.as_ref().is_some_and(|stated| stated.at() > last);
        is_later && self.serial() > earlier.serial() || self == earlier
    }
}

/// How many members have to have the right to vote before the others have it no more: as many as survive a failure.
pub const ENTITLED_ENOUGH: usize = 3;

impl State {
    /// What is wanted of single members: what the policy says, and of those [without a right](Self::without_right) that they
    /// never vote.
    ///
    /// Asked by whoever leads, of the state as it is; nothing that is agreed depends on the answer.
    pub fn wishes(&self) -> BTreeMap<MemberId, Wish> {
        let mut wishes =
            self.voters.policy().map(|policy| policy.wishes.clone()).unwrap_or_default();
        wishes.extend(self.without_right().into_iter().map(|member| (member, Wish::Never)));
        wishes
    }

    /// Members that do not vote because others came in with the right to and they did not.
    ///
    /// An invite can carry the right to vote, and the founder has it. Once [`ENTITLED_ENOUGH`] members that may vote have it so,
    /// nobody else votes: whoever stole an ordinary token gets no say in what is agreed. With fewer, everybody may: a mesh
    /// that cannot agree is worse off. What the policy wants of a member is about that one alone: `always` gives
    /// it the right, and takes it from nobody; `never` leaves an invite's right without use, so it does not count.
    pub fn without_right(&self) -> BTreeSet<MemberId> {
        let present = self.members.present();
        let wish = |id: &MemberId| self.voters.policy().and_then(|policy| policy.wishes.get(id));
        let has_right = |id: &&MemberId| self.came_to_vote(**id);
        let may_use = |id: &&MemberId| !self.is_out(**id) && wish(id) != Some(&Wish::Never);
        if present.keys().filter(has_right).filter(may_use).count() < ENTITLED_ENOUGH {
            return BTreeSet::new();
        }
        let lacks = |id: &&MemberId| !has_right(id) && wish(id).is_none();
        present.keys().filter(lacks).copied().collect()
    }

    /// Whether `member`, which is present, came with the right to vote.
    fn came_to_vote(&self, member: MemberId) -> bool {
        let invite = self.members.present().get(&member).and_then(|found| found.invite());
        match invite {
            Some(id) => self.invites.get(&id).is_some_and(|invite| invite.terms().voter),
            None => member == MemberId::FOUNDER,
        }
    }

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

    /// Who an admin wants to vote, and which, if one does.
    pub(super) fn genuine_policy(
        &self,
        signed: &Signed<VoterPolicy>,
    ) -> Result<(VoterPolicy, AdminId), Refusal> {
        self.said_by_admin(signed)
    }

    /// Has a policy stand.
    pub(super) fn set_voters(
        &mut self,
        index: LogIndex,
        signed: &Signed<VoterPolicy>,
    ) -> Result<Decision, Refusal> {
        let (policy, by) = self.genuine_policy(signed)?;
        let event = policy.event();
        let outcome = Outcome::VotersSet(policy.serial);
        if !self.voters.check(&policy)? {
            return Ok(Decision::Already(outcome));
        }
        self.voters.0 = Some(Stated::new(signed.clone(), policy, by, index));
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }
}

/// Whether a policy is one an admin may set.
pub(super) fn check_bounds(policy: &VoterPolicy) -> Result<(), Refusal> {
    match policy.wishes.len() {
        0..=MAX_WISHES => Ok(()),
        wishes => Err(Refusal::TooManyWishes(wishes)),
    }
}
