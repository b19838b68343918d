//! The reasons for which messages change nothing, and their counters.

use std::collections::BTreeSet;

use mesh_control::gossip::Drop;
use mesh_control::refusals::{Refusals, Refused};
use mesh_model::wire::join::{JoinRefusal, JoinReply};

#[test]
fn every_reason_has_its_own_counter_and_name() {
    let mut names: BTreeSet<_> = Drop::ALL.iter().map(|reason| reason.name()).collect();
    for reason in Refused::ALL {
        assert!(names.insert(reason.name()), "{} is taken", reason.name());
        let refusals = Refusals::default();
        for _ in 0..3 {
            refusals.count(*reason);
        }
        let counted: Vec<_> = refusals.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(*reason, 3)]);
    }
}

#[test]
fn whoever_is_not_let_in_is_counted_by_what_it_is_told() {
    let refusals = [
        (JoinRefusal::UnknownInvite, "join_unknown_invite"),
        (JoinRefusal::Used, "join_used"),
        (JoinRefusal::Expired, "join_expired"),
        (JoinRefusal::Revoked, "join_revoked"),
        (JoinRefusal::Chain("of the invite".to_owned()), "join_forged"),
        (JoinRefusal::NameTaken("n1".to_owned()), "join_name_taken"),
        (JoinRefusal::KeyTaken, "join_key_taken"),
        (JoinRefusal::Departed, "join_departed"),
        (JoinRefusal::AddressesExhausted("100.64.0.0/10".to_owned()), "join_addresses_exhausted"),
        (JoinRefusal::Full(9), "join_full"),
        (JoinRefusal::AlreadyVotes, "join_already_votes"),
        (JoinRefusal::Banned, "join_banned"),
    ];
    for (refusal, name) in refusals {
        let reason = Refused::of_join(&JoinReply::Refused(refusal)).expect("it is refused");
        assert_eq!(reason.name(), name);
    }
    let undecided = Refused::of_join(&JoinReply::Unavailable).expect("it is not let in");
    assert_eq!(undecided.name(), "join_undecided");
}
