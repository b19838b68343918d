//! Votes spread over regions, so that a region that fails as a whole takes no majority along.
//!
//! A region has as many **seats** as members of it vote. A vote to be given away goes where the fewest are. Where a region
//! has two more than another from which somebody could vote, a vote moves from the one to the other: one at a time,
//! between members of whom the operator wants the same, only while every voter answers, and
//! to one that has answered for the settle time. Each move brings
//! two numbers closer to each other and none of them past the other, so moves come to an end, and with as many
//! regions as it takes no region has a majority then. The leader's vote does not move: that would cost an election.
//!
//! Where a member stands the admins say, or nobody does ([`Region`]). Those of whom nobody did count as one region when a vote is given
//! away, for nothing shows that they are apart; no vote moves to them or from them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::MemberId;
use mesh_model::trust::Region;

use super::{Roles, newcomers};

/// How many more seats a region has than another before a vote moves. One more is as even as it gets, and moving
/// that one would only have it move back.
const UNEVEN: usize = 2;

/// How many seats each region has.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats<'a>(BTreeMap<Option<&'a Region>, usize>);

impl<'a> Seats<'a> {
    /// With one for each of `members`.
    pub(super) fn of<'m>(
        roles: &Roles<'a>,
        members: impl IntoIterator<Item = &'m MemberId>,
    ) -> Self {
        let mut seats = Self::default();
        members.into_iter().for_each(|member| seats.take(roles, member));
        seats
    }

    /// Those of the voters that are not lost.
    pub(super) fn held(roles: &Roles<'a>) -> Self {
        Self::of(roles, roles.voters.difference(roles.lost))
    }

    /// How many the region of `member` has.
    pub(super) fn beside(&self, roles: &Roles<'a>, member: &MemberId) -> usize {
        self.0.get(&roles.regions.get(member)).copied().unwrap_or_default()
    }

    fn take(&mut self, roles: &Roles<'a>, member: &MemberId) {
        *self.0.entry(roles.regions.get(member)).or_default() += 1;
    }

    /// Seats `members` one after the other, each time the one that is wanted most; of those one in the region with the fewest
    /// seats; of those the one with the best standing, and then the first. Says in which order.
    pub(super) fn fill(&mut self, roles: &Roles<'a>, mut members: Vec<MemberId>) -> Vec<MemberId> {
        let mut order = Vec::with_capacity(members.len());
        let rank = |seats: &Self, id: &MemberId| {
            (!roles.wishes_always(id), seats.beside(roles, id), roles.standing(id))
        };
        while let Some(best) = (0..members.len()).min_by_key(|at| rank(self, &members[*at])) {
            let next = members.remove(best);
            self.take(roles, &next);
            order.push(next);
        }
        order
    }
}

/// The voter whose vote would move to `member`, if one would.
fn giver(roles: &Roles<'_>, seats: &Seats<'_>, member: &MemberId) -> Option<MemberId> {
    roles.regions.get(member)?;
    let enough = seats.beside(roles, member) + UNEVEN;
    let gives = |voter: &&MemberId| {
        **voter != roles.leader
            && roles.regions.contains_key(voter)
            && roles.wishes_always(voter) == roles.wishes_always(member)
            && seats.beside(roles, voter) >= enough
    };
    // Of those in one region the least steady, and then the one that came last.
    let givers = roles.voters.difference(roles.lost).filter(gives);
    givers.max_by_key(|id| (seats.beside(roles, id), roles.standing(id), **id)).copied()
}

/// Whether a vote would move to `member` if it were ready.
pub(super) fn is_called_for(roles: &Roles<'_>, member: &MemberId) -> bool {
    giver(roles, &Seats::held(roles), member).is_some()
}

/// The voters with one exchanged for a learner of a region with fewer seats, if it is time and all is well.
pub(super) fn with_one_moved(roles: &Roles<'_>) -> Option<BTreeSet<MemberId>> {
    let there = |id: &MemberId| *id == roles.leader || roles.ready.contains(id);
    if !roles.rested || !roles.voters.iter().all(there) {
        return None;
    }
    let seats = Seats::held(roles);
    let mut moves = newcomers(roles, &mut seats.clone())
        .into_iter()
        .filter(|id| !roles.lost.contains(id) && roles.standing(id).is_steady())
        .filter_map(|id| Some((giver(roles, &seats, &id)?, id)));
    let (giver, newcomer) = moves.next()?;
    let mut voters = roles.voters.clone();
    voters.remove(&giver);
    voters.insert(newcomer);
    Some(voters)
}

#[cfg(test)]
mod tests;
