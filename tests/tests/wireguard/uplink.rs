//! A slow uplink: who sends too much loses, in order, and nobody else.
//!
//! Red when: flows share a queue, something overtakes, a loss is not counted as one of congestion, or the device does
//! not come back from it.

use std::collections::BTreeMap;

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::rights::report_skip;
use mesh_tests::traffic::{Flood, echo_datagrams};
use mesh_tests::wireguard::{Device, End, Family, PROGRAM, Tunnel};
use mesh_tests::{eventually, link, needs_namespaces};

use crate::{LIMIT, assert_none_is_lost, assert_reaches, program, told_counters};

/// The uplink, in Mbit/s.
const RATE: u32 = 20;

/// Five times as much.
const FLOOD: Flood = Flood { each_ms: 12, len: 1_000 };

/// Packets that wait for a device's process, at most: most of a second's worth of the flood, so that none is lost there,
/// uncounted, while the machine is busy elsewhere.
const QUEUE: u32 = 10_000;

/// Bytes of echoes that are sent one by one: a few dozen. In one queue with the flood each is lost four times of five.
const ECHOES: [usize; 40] = [100; 40];

/// Quiet flows that may try: one of a thousand shares the flood's queue by chance, a second one then has its own.
const QUIET_FLOWS: usize = 2;

/// What is dropped without anybody's doing: the kernel asks for routers and groups that no peer has.
const USUAL: &str = "no_route";

/// What `device` has dropped, by reason.
fn drops(device: &Device) -> BTreeMap<String, u64> {
    let line = told_counters(device);
    let (_, drops) = line.split_once("drops=\"").unwrap();
    let (drops, _) = drops.split_once('"').unwrap();
    let each = drops.split(' ').filter_map(|drop| drop.split_once('='));
    let each = each.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap()));
    each.filter(|(reason, _)| reason != USUAL).collect()
}

/// What `end` has dropped of what its uplink had no room for.
fn congested(end: &End) -> u64 {
    drops(&end.device).get("congested").copied().unwrap_or_default()
}

/// Waits until `from` loses more on its uplink than it sends to `to`: by then all queues are full.
fn wait_until_most_is_lost(from: &End, to: &End) {
    let lost = || congested(from) * FLOOD.len as u64;
    let most = || (lost() > from.sees(to).ok()?.tx_bytes).then_some(());
    eventually(LIMIT, "most of the flood is lost", most).unwrap();
}

/// Asserts that a flow that asks for little loses nothing while the other one goes on to lose most.
fn assert_quiet_flow_is_whole(from: &End, to: &End) {
    wait_until_most_is_lost(from, to);
    let before = congested(from);
    let echoes = |_| echo_datagrams(from.netns(), to.netns(), to.inner(Family::V4), &ECHOES);
    let mut flows = (0..QUIET_FLOWS).map(echoes);
    assert!(flows.any(|flow| flow.is_ok()), "echoes are lost");
    assert!(congested(from) > before, "meanwhile the flood goes on");
}

/// Asserts that the uplink is to blame for all that is lost; or, of several packet threads, one that had no
/// processor for a while.
fn assert_lost_are_counted(drops: &BTreeMap<String, u64>, lost: u64, workers: usize) {
    let reasons = ["congested", "handover_full"];
    let known = &reasons[..if workers > 1 { 2 } else { 1 }];
    assert!(drops.keys().all(|reason| known.contains(&reason.as_str())), "{drops:?}");
    assert_eq!(drops.values().sum::<u64>(), lost, "{drops:?}");
}

/// Floods the slow uplink of a device with so many packet threads. By which of them a flow comes is the kernel's choice: of
/// two, the one that has the peer, or the one that hands it on.
fn flood_with(workers: usize) {
    needs_namespaces!();
    if std::env::var_os(PROGRAM).is_some() {
        return report_skip("uplink", "others have no counters to show");
    }
    let program = program().with_workers(workers);
    let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    link::limit_rate(one.netns(), UNDERLAY, RATE).unwrap();
    link::set_queue_length(one.netns(), one.device.interface(), QUEUE).unwrap();
    let quiet = || assert_quiet_flow_is_whole(one, two);
    let target = two.inner(Family::V4);
    let ((), flood) = FLOOD.during(one.netns(), two.netns(), target, quiet).unwrap();
    assert_eq!((flood.arrived.altered, flood.arrived.out_of_order), (0, 0), "{flood:?}");
    assert_lost_are_counted(&drops(&one.device), flood.lost(), workers);
    assert_eq!(drops(&two.device), BTreeMap::new());
    assert_none_is_lost(one, two, Family::V4);
}

#[test]
fn a_flood_harms_only_itself() {
    flood_with(1);
}

#[test]
fn a_flood_through_several_threads_harms_only_itself() {
    flood_with(2);
}
