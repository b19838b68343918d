use std::time::Duration;

use super::*;

const ROWS: usize = 4_096;

/// The `n`th flow with the `of`th member.
fn flow_with(of: u64, n: u32) -> Flow {
    let (ours, theirs) = ((n >> 16) as u16, n as u16);
    Flow { member: MemberId(of), protocol: TCP, ours, theirs, v6: false }
}

fn flow(n: u32) -> Flow {
    flow_with(7, n)
}

fn start() -> Instant {
    // The only instant there is; nothing measures it.
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

fn table(rows: usize, now: Instant) -> Flows {
    let mut flows = Flows::new(rows, 42, now);
    flows.make_room();
    flows
}

fn known(flows: &Flows, of: u64, range: std::ops::Range<u32>, now: Instant) -> usize {
    range.filter(|n| flows.knows(flow_with(of, *n), now)).count()
}

#[test]
fn a_full_table_forgets_those_that_were_silent_for_longest() {
    let start = start();
    let mut flows = table(ROWS, start);
    assert_eq!(size_of_val(flows.rows.as_slice()), 768 << 10);
    let share = (ROWS * SHARE) as u32;
    (0..2_000).for_each(|n| flows.remember(flow(n), start));
    let now = start + Duration::from_secs(10);
    let last = 2_000 + 2 * share;
    (2_000..last).for_each(|n| flows.remember(flow(n), now));
    assert_eq!(size_of_val(flows.rows.as_slice()), 768 << 10, "it does not grow");
    assert_eq!(known(&flows, 7, 0..2_000, now), 0, "the early ones made room");
    let rest = known(&flows, 7, 2_000..last, now);
    assert!(rest > 9 * share as usize / 10, "there is little room left: {rest}");
    assert!(flows.knows(flow(last - 1), now), "the last one always is there");
}

#[test]
fn what_has_died_makes_room_before_anything_that_lives() {
    let start = start();
    let mut flows = table(1, start);
    let udp = Flow { protocol: 17, ..flow(0) };
    flows.remember(flow(1), start);
    let at = |seconds| start + Duration::from_secs(seconds);
    flows.remember(udp, at(100));
    (2..4).for_each(|n| flows.remember(flow(n), at(400)));
    (2..5).for_each(|n| flows.remember(flow(n), at(400)));
    assert_eq!(known(&flows, 7, 1..5, at(400)), 4);
    assert!(!flows.has_lost(MemberId(7), at(400)));
    flows.remember(flow(5), at(401));
    assert!(!flows.knows(flow(1), at(401)) && flows.has_lost(MemberId(7), at(401)));
    assert!(!flows.has_lost(MemberId(8), at(401)) && !flows.has_lost(MemberId(7), at(701)));
}

#[test]
fn nobody_takes_the_places_of_another() {
    let now = start();
    let mut flows = table(1, now);
    (0..4).for_each(|n| flows.remember(flow_with(1, n), now));
    (0..1_000).for_each(|n| flows.remember(flow_with(2, n), now));
    assert_eq!(known(&flows, 1, 0..4, now), 4);
    assert_eq!(known(&flows, 2, 0..1_000, now), SHARE, "one peer has half at most");
    // Others get their part of what those two have, and no more.
    for other in 3..=4 {
        (0..1_000).for_each(|n| flows.remember(flow_with(other, n), now));
    }
    let parts = [1, 2, 3, 4].map(|of| known(&flows, of, 0..1_000, now));
    assert_eq!(parts, [2; 4]);
    (0..1_000).for_each(|n| flows.remember(flow_with(1, n), now));
    let parts = [1, 2, 3, 4].map(|of| known(&flows, of, 0..1_000, now));
    assert_eq!(parts, [2; 4], "who has as much as all others pays for itself");
    assert!(flows.knows(flow_with(1, 999), now));
}

#[test]
fn silence_ends_a_flow_and_words_keep_it() {
    let start = start();
    let mut flows = table(ROWS, start);
    let at = |seconds| start + Duration::from_secs(seconds);
    for (protocol, patience) in [(TCP, 7_440), (17, 300), (ICMP, 60), (FRAGMENT, 30), (132, 300)] {
        let flow = Flow { protocol, ..flow(1) };
        flows.remember(flow, at(0));
        assert!(flows.refresh(flow, at(patience - 1)));
        assert!(flows.knows(flow, at(2 * patience - 2)));
        assert!(!flows.knows(flow, at(2 * patience - 1)));
        assert!(!flows.refresh(flow, at(2 * patience - 1)), "protocol {protocol}");
    }
}

#[test]
fn without_room_nothing_is_known() {
    let now = start();
    let mut flows = Flows::new(ROWS, 42, now);
    flows.remember(flow(1), now);
    assert!(!flows.knows(flow(1), now) && !flows.refresh(flow(1), now));
    assert!(!flows.has_lost(MemberId(7), now));
}
