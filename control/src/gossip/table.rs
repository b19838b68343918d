//! What gossip thinks of each member.

use std::collections::{BTreeMap, VecDeque};

use foca::{State, Timer};
use mesh_model::MemberId;
use mesh_model::api::v1::GossipState;

use super::swim::{Standing, Swim};
use super::swim_id::SwimId;

/// The other present members, their standing in SWIM and the changes nobody was told of yet.
#[derive(Debug, Default)]
pub(super) struct Table {
    members: BTreeMap<MemberId, Option<Standing>>,
    told: BTreeMap<MemberId, GossipState>,
    /// At most one change per member: filled only when it has run empty.
    changes: VecDeque<(MemberId, GossipState)>,
}

impl Table {
    /// Makes the table hold exactly `present`; says who is new and who went.
    pub(super) fn reset(
        &mut self,
        present: impl Iterator<Item = MemberId>,
    ) -> (Vec<MemberId>, Vec<MemberId>) {
        let mut before = std::mem::take(&mut self.members);
        let mut new = Vec::new();
        for member in present {
            let standing = before.remove(&member);
            if standing.is_none() {
                new.push(member);
            }
            self.members.insert(member, standing.flatten());
        }
        self.told.retain(|id, _| self.members.contains_key(id));
        (new, before.into_keys().collect())
    }

    /// Copies what SWIM thinks by now; says whose activity changed and to what.
    pub(super) fn refresh(&mut self, swim: &Swim) -> Vec<(MemberId, bool)> {
        let mut turned = Vec::new();
        for (member, standing) in swim.standings() {
            let Some(slot) = self.members.get_mut(&member) else {
                continue;
            };
            let was = slot.replace(standing);
            if is_active(was) != is_active(Some(standing)) {
                turned.push((member, is_active(Some(standing))));
            }
        }
        turned.sort_unstable();
        turned
    }

    pub(super) fn contains(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    pub(super) fn is_active(&self, member: MemberId) -> bool {
        is_active(self.standing(member))
    }

    /// Whether `timer` would end a suspicion that is over.
    pub(super) fn is_refuted(&self, timer: &Timer<SwimId>) -> bool {
        let Timer::ChangeSuspectToDown { member_id, incarnation, .. } = timer else {
            return false;
        };
        let suspect = Standing {
            state: State::Suspect,
            generation: member_id.generation,
            incarnation: *incarnation,
        };
        self.standing(member_id.member) != Some(suspect)
    }

    /// The others, by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.keys().copied()
    }

    /// How many others there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn standing(&self, member: MemberId) -> Option<Standing> {
        self.members.get(&member).copied().flatten()
    }

    pub(super) fn state(&self, member: MemberId) -> GossipState {
        match self.standing(member).map(|standing| standing.state) {
            None => GossipState::Unknown,
            Some(State::Alive) => GossipState::Alive,
            Some(State::Suspect) => GossipState::Suspect,
            Some(State::Down) => GossipState::Dead,
        }
    }

    /// The members that answer, by id.
    pub(super) fn alive(&self) -> Vec<MemberId> {
        let members = self.members.keys().copied();
        members.filter(|member| self.state(*member) == GossipState::Alive).collect()
    }

    /// The next change of state to tell.
    pub(super) fn poll_change(&mut self) -> Option<(MemberId, GossipState)> {
        if self.changes.is_empty() {
            for member in self.members.keys() {
                let state = self.state(*member);
                let told = self.told.get(member).copied();
                if told.unwrap_or(GossipState::Unknown) != state {
                    self.changes.push_back((*member, state));
                }
            }
            self.told.extend(self.changes.iter().copied());
        }
        self.changes.pop_front()
    }
}

fn is_active(standing: Option<Standing>) -> bool {
    standing.is_some_and(|standing| standing.state != State::Down)
}
