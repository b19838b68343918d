//! A voter that signs what its log did not lead to is found out by whoever holds its word beside an honest one, and nobody else
//! is.
//!
//! Voters hold each other's words against their own. Whoever tells one of two words that contradict each other has them both,
//! and so must have raised the alarm, with the traitor among its parties. And no two honest members are ever set against each
//! other: without the traitor all parties of an alarm say the same.

use std::collections::BTreeSet;

use mesh_control::sync::{Divergence, MAX_DIVERGENCES};
use mesh_model::view::ClusterView;
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{LogIndex, MemberId, Signed};

use super::Violation;

const NAME: &str = "alarm_names_the_traitor";

/// `by`, which has `view`, tells these words, and shows these divergences.
pub(crate) fn check(
    by: MemberId,
    traitor: MemberId,
    (words, divergences): (&[Signed<Checkpoint>], &[Divergence]),
    view: &ClusterView,
) -> Result<(), Violation> {
    // The alarm ends with the membership of whoever is wrong.
    if by == traitor || !view.members.contains_key(&traitor) {
        return Ok(());
    }
    let said: Vec<Checkpoint> = words.iter().filter_map(|word| word.peek().ok()).collect();
    let lies = said.iter().filter(|word| word.member == traitor);
    let shown = said.iter().filter(|word| view.members.contains_key(&word.member));
    let exposed: BTreeSet<LogIndex> = lies
        .filter(|lie| shown.clone().any(|word| word.contradicts(lie)))
        .map(|lie| lie.at.index)
        .collect();
    for index in exposed {
        let names = |it: &Divergence| it.index == index && it.parties.contains_key(&traitor);
        // One that remembers as many as it can may have forgotten this one.
        if divergences.len() < MAX_DIVERGENCES && !divergences.iter().any(names) {
            let message = format!("{by} holds two words on {index} and does not name {traitor}");
            return Err(Violation::new(NAME, message));
        }
    }
    Ok(())
}

/// `by` shows these divergences.
pub(crate) fn check_parties(
    by: MemberId,
    traitor: Option<MemberId>,
    divergences: &[Divergence],
) -> Result<(), Violation> {
    for divergence in divergences {
        let honest = divergence.parties.iter().filter(|(party, _)| Some(**party) != traitor);
        let claims: BTreeSet<_> = honest.map(|(_, claim)| claim).collect();
        if claims.len() > 1 {
            let (index, parties) = (divergence.index, divergence.parties.keys());
            let message =
                format!("{by} sets honest members against each other at {index}: {parties:?}");
            return Err(Violation::new(NAME, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh_model::IdentitySecret;
    use mesh_model::view::StateHash;
    use mesh_model::wire::sync::{Claim, ElectorateHash, Lead, LogHash, Place};

    use super::*;
    use crate::invariants::sample::view;

    const BY: MemberId = MemberId(1);
    const TRAITOR: MemberId = MemberId(3);
    const OTHER: MemberId = MemberId(4);

    fn claim(state: u8) -> Claim {
        Claim {
            at: Place { term: 1, index: 9 },
            log: LogHash([0; 32]),
            state: StateHash([state; 32]),
            electorate: ElectorateHash([0; 32]),
            encoding: 2,
        }
    }

    fn word(view: &ClusterView, by: MemberId, state: u8) -> Signed<Checkpoint> {
        let lead = Lead { term: 1, leader: BY };
        let word = Checkpoint::of(view.mesh(), by, claim(state), lead);
        Signed::seal(&word, &IdentitySecret::from_seed([1; 32]))
    }

    fn divergence(parties: &[(MemberId, u8)]) -> Divergence {
        let parties: BTreeMap<_, _> =
            parties.iter().map(|(id, state)| (*id, claim(*state))).collect();
        Divergence { index: 9, parties }
    }

    #[test]
    fn a_traitor_that_is_not_named_is_seen() {
        let view = view(9, 1, &[(1, [0, 1]), (3, [0, 2]), (4, [0, 3])]);
        let words = [word(&view, TRAITOR, 2), word(&view, OTHER, 1)];
        let named = [divergence(&[(TRAITOR, 2), (OTHER, 1)])];
        check(BY, TRAITOR, (&words, &named), &view).unwrap();
        assert!(check(BY, TRAITOR, (&words, &[]), &view).is_err());
        assert!(
            check(BY, TRAITOR, (&words, &[divergence(&[(OTHER, 1), (BY, 2)])]), &view).is_err()
        );
        check(BY, TRAITOR, (&words[..1], &[]), &view).unwrap();
        let equal = [word(&view, TRAITOR, 1), word(&view, OTHER, 1)];
        check(BY, TRAITOR, (&equal, &[]), &view).unwrap();
    }

    #[test]
    fn honest_members_that_are_set_against_each_other_are_seen() {
        let fine = divergence(&[(TRAITOR, 2), (OTHER, 1), (BY, 1)]);
        check_parties(BY, Some(TRAITOR), &[fine]).unwrap();
        let slander = divergence(&[(TRAITOR, 2), (OTHER, 1), (BY, 3)]);
        assert!(check_parties(BY, Some(TRAITOR), &[slander]).is_err());
        assert!(check_parties(BY, None, &[divergence(&[(OTHER, 1), (BY, 2)])]).is_err());
    }
}
