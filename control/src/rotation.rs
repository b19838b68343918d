//! How far the change of this host's WireGuard key has come, by the keys it holds and by what is agreed.
//!
//! ```text
//! on disk:   old          old, new          new, old            new
//! stage:     settled ───> prepared ───────> agreed ───────────> settled
//!               a new key       it is agreed      everybody knows,
//!               is on disk                        or KEPT_MS are over
//! ```
//!
//! The new key is on disk before anybody is asked to agree to it, and stays there whatever becomes of that: an answer that
//! was lost may have been a yes. So what a host holds never lacks what is agreed, and which of two keys counts needs no note
//! beside them: the agreed state says so.
//!
//! **Taken keys.** A rekey does not prove that its signer has the key, and whoever leads sees it first: it could say that the key is its
//! own. It gains nothing, for it cannot use it, but the host has to take another ([`taken_by`]). The first is put aside on disk and
//! not thrown away: as long as no other change of this host is agreed, what it signed may be agreed still, once the key is free.
//!
//! A host answers to both keys all the while, so the old one ends only for those who have not heard of the new one. They
//! have [`KEPT_MS`] to come back; who stays away for longer reaches this host as soon as it has reached anybody else, and heard.

use mesh_model::view::{ClusterView, KeyChange, MemberView};
use mesh_model::{MemberId, TunnelKey};

use crate::state::{KeyEntry, State};

/// How long the key before is kept for those who are away, in milliseconds: 30 days, the longest holiday of a laptop that
/// is the only one to know how to reach the mesh. It ends as soon as nobody needs it, within seconds where nobody is away.
pub const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// From which age on a key should be changed, in milliseconds: a year, as long as certificates of hosts are given. It does not
/// wear out; but disks are copied, lent and thrown away, and who has read one passes for its host until the key is another.
pub const OLD_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The most keys that are put aside. Each is one that another member has or had before its own, of which each has two at a time;
/// who takes so many is in the audit trail as often.
pub const MAX_ASIDE: usize = 4;

/// How far the change of a host's key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It holds one key, the agreed one.
    Settled,
    /// It also holds this one, which is to be agreed, or is without its knowing.
    Prepared(TunnelKey),
    /// It also holds the one before this change.
    Agreed(KeyChange),
}

/// What is agreed is not among the keys that the host holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the WireGuard key {0} of this host is agreed, and this host does not have it")]
pub struct KeyMissing(pub TunnelKey);

impl Stage {
    /// The stage of a host that holds the keys `held`, those that were put aside last, and is agreed to be `own`.
    pub fn of(held: &[TunnelKey], own: &MemberView) -> Result<Self, KeyMissing> {
        if !held.contains(&own.tunnel) {
            return Err(KeyMissing(own.tunnel));
        }
        let mut besides = held.iter().copied().filter(|key| *key != own.tunnel);
        let agreed = own.change.filter(|change| held.contains(&change.before));
        Ok(match agreed {
            Some(change) => Self::Agreed(change),
            None => besides.next().map_or(Self::Settled, Self::Prepared),
        })
    }
}

/// The member beside `me` that has `key`, or had it before the one it has.
pub fn taken_by(view: &ClusterView, me: MemberId, key: TunnelKey) -> Option<MemberId> {
    let out = view.banned.values().map(|out| &out.member);
    let has = |member: &&MemberView| {
        let before = member.change.map(|change| change.before);
        member.id != me && (member.tunnel == key || before == Some(key))
    };
    view.members.values().chain(out).find(has).map(|member| member.id)
}

/// Since when at the latest `member` has the key that it has, in milliseconds since the Unix epoch: its last change, or, as
/// nobody writes down when a host came in, the end of the invite that it came in by.
pub fn held_since(state: &State, member: MemberId) -> Option<u64> {
    let came = || {
        let invite = state.members().present().get(&member)?.invite();
        let Some(invite) = invite else { return Some(state.founding().created_ms) };
        state.invites().get(&invite).map(|entry| entry.terms().expires_ms)
    };
    state.keys().get(member).map(KeyEntry::since_ms).or_else(came)
}

/// Who is waited for: of the present members those in `behind`, which are not known to have applied the change, and those
/// that are out for a time. They hear of nothing until they are back, and then know this host by the key they knew.
pub fn waited_for(view: &ClusterView, behind: Vec<MemberId>) -> Vec<MemberId> {
    let back = view.banned.iter().filter(|(_, out)| out.until_ms.is_some());
    behind.into_iter().chain(back.map(|(member, _)| *member)).collect()
}

/// Whether nobody is waited for any more after `change`: those in `behind` [are](waited_for).
pub fn is_over(change: &KeyChange, behind: &[MemberId], wall_ms: u64) -> bool {
    behind.is_empty() || wall_ms >= kept_until(change)
}

/// Until when the key before `change` is kept at most, in milliseconds since the Unix epoch.
pub fn kept_until(change: &KeyChange) -> u64 {
    change.since_ms.saturating_add(KEPT_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_model::{IdentitySecret, OverlayAddrs};

    use super::*;

    fn key(n: u8) -> TunnelKey {
        TunnelKey([n; 32])
    }

    /// A member that has key `now`, after `before` if there was one.
    fn own(now: u8, before: Option<u8>) -> MemberView {
        MemberView {
            id: MemberId(7),
            name: "n7".parse().expect("a name"),
            identity: IdentitySecret::from_seed([1; 32]).public(),
            tunnel: key(now),
            addrs: OverlayAddrs { v4: [100, 88, 0, 7].into(), v6: 7.into() },
            tags: BTreeSet::new(),
            change: before.map(change),
        }
    }

    fn change(before: u8) -> KeyChange {
        KeyChange { serial: 1, before: key(before), at: 9, since_ms: 1000 }
    }

    #[test]
    fn the_stage_follows_from_what_is_held_and_what_is_agreed() {
        let stage = |first, other: Option<u8>, own| {
            let held: Vec<_> = std::iter::once(first).chain(other).map(key).collect();
            Stage::of(&held, &own)
        };
        assert_eq!(stage(1, None, own(1, None)), Ok(Stage::Settled));
        assert_eq!(stage(1, Some(2), own(1, None)), Ok(Stage::Prepared(key(2))));
        // Agreed, and not yet written down in this order, or written down.
        for (first, other) in [(1, 2), (2, 1)] {
            let agreed = Ok(Stage::Agreed(change(1)));
            assert_eq!(stage(first, Some(other), own(2, Some(1))), agreed);
        }
        assert_eq!(stage(2, None, own(2, Some(1))), Ok(Stage::Settled));
        assert_eq!(stage(2, Some(3), own(2, Some(1))), Ok(Stage::Prepared(key(3))));
    }

    #[test]
    fn a_host_without_its_agreed_key_is_told_so() {
        for held in [&[key(2)][..], &[key(2), key(1)], &[]] {
            let stage = Stage::of(held, &own(3, Some(2)));
            assert_eq!(stage, Err(KeyMissing(key(3))));
        }
    }

    #[test]
    fn a_key_that_was_put_aside_counts_if_it_is_agreed_after_all() {
        let held = [1, 3, 2].map(key);
        assert_eq!(Stage::of(&held, &own(1, None)), Ok(Stage::Prepared(key(3))));
        assert_eq!(Stage::of(&held, &own(2, Some(1))), Ok(Stage::Agreed(change(1))));
        assert_eq!(Stage::of(&held, &own(3, Some(1))), Ok(Stage::Agreed(change(1))));
    }

    #[test]
    fn the_key_before_is_kept_for_those_who_are_away_but_not_for_ever() {
        let away = [MemberId(3)];
        assert!(is_over(&change(1), &[], 0));
        assert!(!is_over(&change(1), &away, 1000 + KEPT_MS - 1));
        assert!(is_over(&change(1), &away, 1000 + KEPT_MS));
    }
}
