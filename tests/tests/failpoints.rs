//! The daemon is struck at each step on the way to its disk. Needs a daemon built with the feature `failpoints`, which
//! this test asks for; `scripts/verify` has a stage for it.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Mutex;

use mesh_tests::chaos::{Blow, Story, Strike, points};

/// Stories told at once. Most of each is waiting.
const TELLERS: usize = 4;

/// Which occurrences of a point are struck at: the first, and some later ones, farther and farther apart.
const AFTER: [u64; 5] = [0, 1, 3, 8, 20];

/// Tells `strikes`, several at a time; those points at which a daemon was struck.
fn tell(strikes: Vec<Strike>) -> BTreeSet<String> {
    let (open, hit) = (Mutex::new(strikes), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..TELLERS {
            scope.spawn(|| {
                loop {
                    let Some(strike) = open.lock().unwrap().pop() else { return };
                    if strike.run().unwrap() {
                        hit.lock().unwrap().insert(strike.point);
                    }
                }
            });
        }
    });
    hit.into_inner().unwrap()
}

fn strikes(blow: Blow, after: &[u64]) -> Vec<Strike> {
    let stories = [Story::Founder, Story::Joiner];
    let of_point = |point: String| {
        stories.into_iter().flat_map(move |story| {
            let point = point.clone();
            after.iter().map(move |&after| Strike { point: point.clone(), blow, after, story })
        })
    };
    points().unwrap().into_iter().flat_map(of_point).collect()
}

#[test]
fn a_daemon_that_dies_on_the_way_to_its_disk_has_lost_nothing_it_acknowledged() {
    let hit = tell(strikes(Blow::Abort, &AFTER));
    assert_eq!(hit, points().unwrap().into_iter().collect());
}

#[test]
fn a_daemon_whose_disk_fails_once_has_lost_nothing_it_acknowledged() {
    let hit = tell(strikes(Blow::Error, &AFTER[..3]));
    assert_eq!(hit, points().unwrap().into_iter().collect());
}
