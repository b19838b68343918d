//! Who can talk with whom through a tunnel.
//!
//! Both ends have to have the other as a peer, and one of them has to know where the other is: that one begins, and is
//! answered where it was heard. Two that both know nothing stay apart, however open the underlay between them is. Nor does
//! a handshake succeed where one knows the other by none of the keys that it goes by: one that was away, or banned, while the other
//! changed its key twice (record 34).

use std::collections::{BTreeMap, BTreeSet};

use mesh_dataplane::{OtherKey, OwnKeys};
use mesh_model::plan::Plan;
use mesh_model::{MemberId, TunnelKey};

/// One end's tunnels.
#[derive(Debug, Clone, Default)]
pub struct Tunnels {
    /// The keys it answers to.
    answers: BTreeSet<TunnelKey>,
    /// Those of them with which it begins a handshake.
    greets: BTreeSet<TunnelKey>,
    /// The peers of its plan.
    peers: BTreeMap<MemberId, Known>,
}

/// A peer as the other end knows it.
#[derive(Debug, Clone)]
struct Known {
    keys: BTreeSet<TunnelKey>,
    /// There is a place to send to.
    is_placed: bool,
}

impl Tunnels {
    /// What `plan` makes for a host with `keys`.
    pub fn of(plan: &Plan, keys: &OwnKeys) -> Self {
        let mut answers: BTreeSet<_> = [keys.current.public()].into();
        let mut greets = answers.clone();
        match &keys.other {
            Some(OtherKey::Next(next)) => drop(answers.insert(next.public())),
            Some(OtherKey::Before(before)) => {
                answers.insert(before.public());
                greets.insert(before.public());
            }
            None => {}
        }
        let mut peers = BTreeMap::new();
        for (key, peer) in &plan.peers {
            let keys = [Some(*key), peer.before].into_iter().flatten().collect();
            let is_placed = !peer.endpoints.is_empty();
            peers.insert(peer.member, Known { keys, is_placed });
        }
        Self { answers, greets, peers }
    }

    /// Whether there is one to `member`.
    pub fn lead_to(&self, member: MemberId) -> bool {
        self.peers.contains_key(&member)
    }

    /// Whether `me`, whose these are, could talk with `other`, who has `theirs`, if one of them knew where the other is.
    pub fn could_join(&self, me: MemberId, (other, theirs): (MemberId, &Self)) -> bool {
        self.find_each_other(me, (other, theirs), |_| true)
    }

    /// Whether `me`, whose these are, can talk with `other`, who has `theirs`.
    pub fn join(&self, me: MemberId, (other, theirs): (MemberId, &Self)) -> bool {
        self.find_each_other(me, (other, theirs), |known| known.is_placed)
    }

    /// Whether one of the two is answered, of those that begin with what they know of the other.
    fn find_each_other(
        &self,
        me: MemberId,
        (other, theirs): (MemberId, &Self),
        begins: fn(&Known) -> bool,
    ) -> bool {
        let (Some(here), Some(there)) = (self.peers.get(&other), theirs.peers.get(&me)) else {
            return false;
        };
        begins(here) && self.is_answered(here, (theirs, there))
            || begins(there) && theirs.is_answered(there, (self, here))
    }

    /// Whether one that knows the other as `known` is answered by it, who has `theirs` and knows it as `back`.
    fn is_answered(&self, known: &Known, (theirs, back): (&Self, &Known)) -> bool {
        !known.keys.is_disjoint(&theirs.answers) && !back.keys.is_disjoint(&self.greets)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ONE: MemberId = MemberId(1);
    const OTHER: MemberId = MemberId(2);

    fn key(number: u8) -> TunnelKey {
        TunnelKey([number; 32])
    }

    /// Those of one that goes by `own`, with a tunnel to `member` by `keys`.
    pub(crate) fn to(own: u8, member: MemberId, keys: &[u8], is_placed: bool) -> Tunnels {
        let own = BTreeSet::from([key(own)]);
        let known = Known { keys: keys.iter().copied().map(key).collect(), is_placed };
        Tunnels { answers: own.clone(), greets: own, peers: [(member, known)].into() }
    }

    #[test]
    fn one_that_knows_where_the_other_is_is_enough_and_none_is_not() {
        let joined =
            |here, there| to(1, OTHER, &[2], here).join(ONE, (OTHER, &to(2, ONE, &[1], there)));
        assert!(joined(true, true) && joined(true, false) && joined(false, true));
        assert!(!joined(false, false));
    }

    #[test]
    fn two_that_do_not_know_where_the_other_is_could_talk_if_they_go_by_the_keys_they_know() {
        let could = |known: &[u8]| {
            to(1, OTHER, &[2], false).could_join(ONE, (OTHER, &to(2, ONE, known, false)))
        };
        assert!(could(&[1]) && !could(&[9]));
    }

    #[test]
    fn one_that_is_no_peer_is_not_talked_with() {
        let (none, some) = (Tunnels::default(), to(1, OTHER, &[2], true));
        assert!(!some.join(ONE, (OTHER, &none)) && !none.join(OTHER, (ONE, &some)));
    }

    #[test]
    fn each_knows_the_other_by_a_key_that_it_goes_by_or_went_by() {
        let joined = |own, known: &[u8]| {
            to(1, OTHER, &[2], true).join(ONE, (OTHER, &to(own, ONE, known, true)))
        };
        assert!(joined(2, &[1]) && joined(2, &[9, 1]));
        assert!(!joined(3, &[1]), "the other goes by another key");
        assert!(!joined(2, &[9]), "the other knows another key");
    }

    #[test]
    fn one_is_answered_by_a_key_that_is_to_come_and_greeted_with_none_such() {
        let joined = |begins: bool| {
            let mut rising = to(1, OTHER, &[2], begins);
            rising.answers.insert(key(7));
            rising.join(ONE, (OTHER, &to(2, ONE, &[7], !begins)))
        };
        assert!(joined(false) && !joined(true));
    }
}
