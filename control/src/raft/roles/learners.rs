//! Who follows the leader without a vote: candidates for the votes there are to give, and spares.

use std::collections::BTreeSet;

use mesh_model::MemberId;

use super::balance::{Seats, is_called_for};
use super::{Roles, SPARES};

/// How many learners are wanted: one for each vote to be given away, and the spares.
fn wanted_learners(roles: &Roles<'_>) -> usize {
    let there = |id: &&MemberId| roles.may_vote(id) && !roles.lost.contains(id);
    let voting = roles.voters.iter().filter(there).count();
    roles.target.saturating_sub(voting) + SPARES
}

/// A learner that is there, as far as the leader knows, and may vote.
fn is_candidate(roles: &Roles<'_>, learner: &MemberId) -> bool {
    roles.may_vote(learner) && !roles.lost.contains(learner) && !roles.absent.contains(learner)
}

/// Who should follow the leader and does not, the best.
pub(super) fn missing_candidate(roles: &Roles<'_>) -> Option<MemberId> {
    let outside = |id: &&MemberId| !roles.voters.contains(id) && !roles.learners.contains(id);
    let others = || roles.members.iter().filter(outside).filter(|id| is_candidate(roles, id));
    // Whom the operator wants to vote has to follow first, however many do.
    if let Some(wished) = others().find(|id| roles.wishes_always(id)) {
        return Some(*wished);
    }
    let candidates = candidates(roles);
    let crowd = crowd(roles, &candidates);
    let crowded = |id: &&MemberId| crowd.beside(roles, id);
    if candidates.len() < wanted_learners(roles) {
        return others().min_by_key(crowded).copied();
    }
    let is_called_for = |id: &MemberId| is_called_for(roles, id);
    match candidates.iter().any(is_called_for) {
        true => None,
        false => others().filter(|id| is_called_for(id)).min_by_key(crowded).copied(),
    }
}

/// Learners that are there, as far as the leader knows, and may vote.
fn candidates(roles: &Roles<'_>) -> BTreeSet<MemberId> {
    roles.learners.iter().filter(|id| is_candidate(roles, id)).copied().collect()
}

/// How many vote or may soon have to, by region.
fn crowd<'a>(roles: &Roles<'a>, candidates: &BTreeSet<MemberId>) -> Seats<'a> {
    Seats::of(roles, roles.voters.difference(roles.lost).chain(candidates))
}

/// A learner that need not follow the leader, the least useful: as long as there are candidates enough without it. One
/// that gossip takes for dead may be back in a moment, so it goes only when it has been silent for the settle time.
pub(super) fn surplus_learner(roles: &Roles<'_>) -> Option<MemberId> {
    let candidates = candidates(roles);
    let wanted = wanted_learners(roles);
    let useless = |id: &&MemberId| !roles.may_vote(id) || roles.lost.contains(id);
    if candidates.len() >= wanted
        && let Some(useless) = roles.learners.iter().rev().find(useless)
    {
        return Some(*useless);
    }
    if candidates.len() <= wanted {
        return None;
    }
    let called: Vec<&MemberId> = candidates.iter().filter(|id| is_called_for(roles, id)).collect();
    let needed = |id: &&MemberId| roles.wishes_always(id) || called == [*id];
    let crowd = crowd(roles, &candidates);
    let others = candidates.iter().filter(|id| !needed(id));
    // Those that came last have been members for the shortest time.
    others.max_by_key(|id| (crowd.beside(roles, id), **id)).copied()
}
