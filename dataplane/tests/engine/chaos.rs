//! A bad wire: nothing arrives twice, nothing arrives changed, and once it heals everything
//! arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_dataplane::HandshakeBudget;
use proptest::prelude::*;

use crate::wire::{Faults, Wire};

fn faults() -> impl Strategy<Value = Faults> {
    (0u32..50, 0u32..50, 0u64..400).prop_map(|(loss, double, delay)| Faults {
        loss,
        double,
        delay: Duration::from_millis(delay),
    })
}

fn delivered_at_most_once(wire: &Wire, sent: &[BTreeSet<Vec<u8>>]) -> Result<(), TestCaseError> {
    for (host, sent) in wire.hosts.iter().zip(sent) {
        let arrived: BTreeSet<_> = host.out.delivered.iter().cloned().collect();
        prop_assert_eq!(arrived.len(), host.out.delivered.len(), "twice");
        prop_assert!(arrived.is_subset(sent), "changed");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_bad_wire_loses_but_does_not_lie(seed in any::<u64>(), faults in faults(), of in 1usize..4, talk in prop::collection::vec((0usize..3, 1usize..3, 0u64..800), 1..60)) {
        let mut wire = Wire::sliced(3, of, HandshakeBudget::default()).introduced();
        wire.seed(seed);
        wire.faults = faults;
        let mut sent = vec![BTreeSet::new(); 3];
        for (n, (from, step, pause)) in talk.into_iter().enumerate() {
            let to = (from + step) % 3;
            let packet = wire.send(from, to, &n.to_be_bytes());
            sent[to].insert(packet);
            wire.run_ms(pause);
        }
        // Nobody is forgotten once the wire is good again: at most 5 s and jitter to the next try,
        // and another pause for a cookie.
        wire.faults = Faults::default();
        wire.run_ms(15_000);
        for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
            let packet = wire.send(from, to, b"healed");
            wire.run_ms(7_000);
            prop_assert!(wire.hosts[to].out.delivered.contains(&packet), "{} to {}", from, to);
            sent[to].insert(packet);
        }
        delivered_at_most_once(&wire, &sent)?;
    }
}
