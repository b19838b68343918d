//! Many members, and few copies.

use mesh_sim::crowd::{self, trial};

/// Seven times as many as the leader feeds, and two levels deep.
const MEMBERS: u64 = 60;

/// As many as anybody may send one entry to, whatever the code makes of it: nine that a leader feeds, eight places, and some that
/// were given to another meanwhile.
const MOST_COPIES: usize = 24;

#[test]
fn everybody_has_what_was_agreed_soon_whatever_happens_and_equal_seeds_give_equal_runs() {
    let run = |seed| {
        let mut reports = Vec::new();
        crowd::run(MEMBERS, seed, |report| reports.push(report)).map(|()| reports)
    };
    let reports = run(1).unwrap_or_else(|violation| panic!("{violation}"));
    let tried: Vec<_> = reports.iter().map(|report| report.trouble).collect();
    assert_eq!(tried, trial::ALL);
    for report in &reports {
        assert!((1..=MOST_COPIES).contains(&report.by_leader), "{report:?}");
        assert!((1..=MOST_COPIES).contains(&report.by_busiest), "{report:?}");
        assert!(report.copies >= MEMBERS - 1, "{report:?}");
    }
    let again = run(1).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(reports, again);
}
