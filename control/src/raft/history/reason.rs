//! Why members get votes and lose them.
//!
//! A leader changes who votes by what was agreed and by what it measured; its entry says only who votes since. So that
//! leader knows all of the reason, and everybody else what follows from the agreed state: who left, what the policy says,
//! which invites carry the right. The rest is the word of whoever led: [`Reason::Decided`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::{Region, Wish};
use serde::{Deserialize, Serialize};

use super::Cause;

/// The most votes that one change gives and takes: seven go and seven others come. One that a cheating leader made larger
/// pushes no more than that out of the history.
const MAX_TURNS: usize = 14;

/// Why a member votes, or votes no more. Kept in a file: new kinds go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// So many shall vote, and fewer did, or more.
    Target(u64),
    /// An admin wants it to vote, or not to.
    Wish,
    /// Its invite carries no right to vote, and those of enough others do.
    WithoutRight,
    /// It left, leaves, or is banned.
    Gone,
    /// It had not answered the leader for so many seconds.
    Silent(u64),
    /// It votes in the place of this one.
    InPlaceOf(MemberId),
    /// This one votes in its place, which an admin wants to vote.
    MadeRoomFor(MemberId),
    /// Its region had more votes than that of whoever has it now.
    Spread,
    /// With it an even number would vote, which survives no more failures.
    Even,
    /// The member that led decided so, if it is known who that was, and did not say why.
    Decided(Option<MemberId>),
}

/// What speaks for a change.
pub(in crate::raft) struct Grounds<'a> {
    /// Members that may vote as far as membership goes.
    pub(in crate::raft) present: &'a BTreeSet<MemberId>,
    /// Those that the invites of others keep out.
    pub(in crate::raft) without_right: &'a BTreeSet<MemberId>,
    /// What is wanted of single members.
    pub(in crate::raft) wishes: &'a BTreeMap<MemberId, Wish>,
    /// How many shall vote.
    pub(in crate::raft) target: usize,
    /// Who leads.
    pub(in crate::raft) leader: Option<MemberId>,
    /// What this host measured; `None` where another leads.
    pub(in crate::raft) measured: Option<Measured<'a>>,
}

/// What the leader alone knows.
#[derive(Clone, Copy)]
pub(in crate::raft) struct Measured<'a> {
    /// Who is lost, and for how long it has been silent.
    pub(in crate::raft) silent: &'a BTreeMap<MemberId, Duration>,
    /// Where members stand.
    pub(in crate::raft) regions: &'a BTreeMap<MemberId, Region>,
}

/// The causes of the change from the voters `before` to those `after`, losses first.
pub(super) fn causes(
    before: &BTreeSet<MemberId>,
    after: &BTreeSet<MemberId>,
    grounds: &Grounds<'_>,
) -> Vec<Cause> {
    let lost: Vec<MemberId> = before.difference(after).copied().collect();
    let gained: Vec<MemberId> = after.difference(before).copied().collect();
    let change = Change { grounds, from: before.len(), to: after.len(), gained: &gained };
    let taken = lost.iter().map(|id| Cause::VoteTaken(*id, change.why_taken(id)));
    let given = gained.iter().enumerate().map(|(at, id)| {
        let place_of = lost.get(at).copied();
        Cause::VoteGiven(*id, change.why_given(id, place_of))
    });
    taken.chain(given).take(MAX_TURNS).collect()
}

struct Change<'a> {
    grounds: &'a Grounds<'a>,
    from: usize,
    to: usize,
    gained: &'a [MemberId],
}

impl Change<'_> {
    fn why_taken(&self, member: &MemberId) -> Reason {
        let Grounds { present, without_right, wishes, target, measured, .. } = self.grounds;
        if !present.contains(member) {
            Reason::Gone
        } else if without_right.contains(member) {
            Reason::WithoutRight
        } else if wishes.get(member) == Some(&Wish::Never) {
            Reason::Wish
        } else if let Some(silent) = measured.and_then(|seen| seen.silent.get(member)) {
            Reason::Silent(silent.as_secs())
        } else if self.to < self.from && self.from > *target {
            Reason::Target(*target as u64)
        } else {
            self.why_taken_from_one_that_works(member)
        }
    }

    /// Nothing is wrong with the member, so others are the reason.
    fn why_taken_from_one_that_works(&self, member: &MemberId) -> Reason {
        let Some(measured) = self.grounds.measured else {
            return Reason::Decided(self.grounds.leader);
        };
        let wanted = |id: &&MemberId| self.grounds.wishes.get(id) == Some(&Wish::Always);
        if let Some(wanted) = self.gained.iter().find(wanted) {
            return Reason::MadeRoomFor(*wanted);
        }
        let region = |id: &MemberId| measured.regions.get(id);
        let elsewhere = |id: &MemberId| region(id).is_some() && region(id) != region(member);
        if self.to < self.from {
            Reason::Even
        } else if region(member).is_some() && self.gained.iter().any(elsewhere) {
            Reason::Spread
        } else {
            Reason::Decided(self.grounds.leader)
        }
    }

    fn why_given(&self, member: &MemberId, place_of: Option<MemberId>) -> Reason {
        let Grounds { wishes, target, leader, .. } = self.grounds;
        match place_of {
            _ if wishes.get(member) == Some(&Wish::Always) => Reason::Wish,
            Some(other) => Reason::InPlaceOf(other),
            None if self.to > self.from => Reason::Target(*target as u64),
            None => Reason::Decided(*leader),
        }
    }
}

#[cfg(test)]
pub(super) mod scene;
#[cfg(test)]
mod tests;
