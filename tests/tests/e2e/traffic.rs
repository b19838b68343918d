//! What users send.

use std::time::Duration;

use mesh_tests::needs_namespaces;
use mesh_tests::traffic::Transfer;
use mesh_tests::wire::Rule;

use crate::{addresses, alone, assert_reaches, bridged, wired};

/// 100 MB, as promised.
const BULK: u64 = 100_000_000;

#[test]
fn a_hundred_megabytes_arrive_whole_over_each_family() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    for target in addresses(&lab, 3) {
        let transfer = Transfer::of(BULK, 11);
        let report = transfer.run(lab.host(2).netns(), lab.host(3).netns(), target).unwrap();
        transfer.check(&report).unwrap();
    }
}

#[test]
fn bulk_arrives_whole_over_a_link_with_delay_and_loss() {
    needs_namespaces!();
    let _alone = alone();
    let lab = wired(2);
    lab.wire().rule_for_all(Rule { latency: Duration::from_millis(5), loss: 0.005 });
    for target in addresses(&lab, 2) {
        let transfer = Transfer::of(4_000_000, 12);
        let report = transfer.run(lab.host(1).netns(), lab.host(2).netns(), target).unwrap();
        transfer.check(&report).unwrap();
    }
    assert!(lab.wire().count(1, 2).lost > 0);
}

#[test]
fn nothing_of_a_user_crosses_the_wire_in_the_clear() {
    needs_namespaces!();
    let _alone = alone();
    let lab = wired(2);
    assert_reaches(&lab, 1, 2);
    // Two members reach each other by overlay addresses that the underlay has no route for: had the
    // packets left unencrypted, the kernel would have sent them to the default gateway, which is not
    // there.
    let before = lab.wire().count(1, 2).forwarded;
    assert_reaches(&lab, 1, 2);
    assert!(lab.wire().count(1, 2).forwarded > before);
}
