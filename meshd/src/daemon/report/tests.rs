//! What is told of what was dropped and refused.

use std::collections::BTreeSet;

use mesh_control::refusals::Refused;

use super::*;
use crate::io::offloads::Offloads;
use crate::pipeline::PathDrops;

fn stats(drops: Vec<(&'static str, u64)>) -> PathStats {
    let offloads = Offloads::those(|_| false);
    PathStats { peers: Vec::new(), drops, offloads, newest_stamp: None, workers: 1 }
}

#[test]
fn what_was_refused_is_told_beside_what_was_dropped_and_what_never_happened_is_not() {
    let refusals = Refusals::default();
    refusals.count(Refused::JoinUsed);
    refusals.count(Refused::AgreementNotAVoter);
    refusals.count(Refused::JoinUsed);
    let told = drops(&stats(vec![("no_route", 7), ("not_ours", 0)]), &Drops::default(), &refusals);
    let told: Vec<_> = told.iter().map(|drop| (drop.reason.as_str(), drop.packets)).collect();
    assert_eq!(told, [("no_route", 7), ("agreement_not_a_voter", 1), ("join_used", 2)]);
}

/// Whoever reads the list goes by the names alone.
#[test]
fn no_two_reasons_have_one_name() {
    let (path, thread) = (mesh_dataplane::Drops::default(), PathDrops::default());
    let of_packets =
        path.iter().map(|(reason, _)| reason.name()).chain(thread.iter().map(|(name, _)| name));
    let of_gossip = mesh_control::node::Drop::ALL.iter().map(|reason| reason.name());
    let refused = Refused::ALL.iter().map(|reason| reason.name());
    let mut seen = BTreeSet::new();
    for name in of_packets.chain(of_gossip).chain(refused) {
        assert!(seen.insert(name), "{name} means two things");
    }
}

#[test]
fn the_manual_names_every_reason_for_which_messages_are_refused() {
    let manual = include_str!("../../../../docs/cli.md");
    let of_gossip = mesh_control::node::Drop::ALL.iter().map(|reason| reason.name());
    for name in Refused::ALL.iter().map(|reason| reason.name()).chain(of_gossip) {
        assert!(manual.contains(&format!("`{name}`")), "docs/cli.md lacks `{name}`");
    }
}
