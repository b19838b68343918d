//! When what is remembered of the others has to be written anew.

use std::collections::BTreeSet;

use mesh_model::wire::join::PeerHint;

/// Whether `hints` tell of somebody, or have somebody's word, where `saved` do not. A host that forgets such a one may be known to
/// nobody that it finds again.
pub fn tell_more(hints: &[PeerHint], saved: &[PeerHint]) -> bool {
    let known = |hint: &PeerHint| (hint.member, hint.facts.is_some());
    let before: BTreeSet<_> = saved.iter().map(known).collect();
    hints.iter().any(|hint| !before.contains(&known(hint)))
}

/// Whether `hints` are worth a write where `saved` were written. Facts alone change with every entry of the log, and old
/// ones serve as well.
pub fn differ(hints: &[PeerHint], saved: &[PeerHint]) -> bool {
    let place = |hint: &PeerHint| (hint.member, hint.endpoint, hint.facts.is_some());
    !hints.iter().map(place).eq(saved.iter().map(place))
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;

    use super::*;

    fn seen(member: u64, port: u16) -> PeerHint {
        let endpoint = Some(([192, 0, 2, 1], port).into());
        PeerHint { member: MemberId(member), endpoint, facts: None }
    }

    #[test]
    fn one_that_was_not_known_is_more_and_one_that_moved_is_different() {
        let saved = [seen(1, 1), seen(2, 1)];
        assert!(!tell_more(&saved, &saved) && !differ(&saved, &saved));
        let moved = [seen(1, 1), seen(2, 7)];
        assert!(!tell_more(&moved, &saved) && differ(&moved, &saved));
        let met = [seen(1, 1), seen(2, 1), seen(3, 1)];
        assert!(tell_more(&met, &saved) && differ(&met, &saved));
        assert!(!tell_more(&saved, &met) && differ(&saved, &met), "one that is gone is no more");
    }
}
