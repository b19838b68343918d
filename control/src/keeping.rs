//! Which backups to make and which to forget. Pure: the time is an argument, the files are somebody else's.
//!
//! ```text
//! made:   |---|---|---------- now -----|               every: |---|     due, since the last before now is longer ago
//!         ^ forgotten                  ^ before that   keep: 3          once the new one is on disk
//! ```

/// When backups are made and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// From one to the next, in milliseconds.
    pub every_ms: u64,
    /// How many, at least one.
    pub keep: usize,
}

impl Keeping {
    /// When the next one is to be made, in milliseconds since the Unix epoch, if those there are were `made` then: now at
    /// the earliest.
    ///
    /// One from the future was made while a clock was wrong. It puts the next one off by what it would if it were made
    /// now, not until that time comes.
    pub fn next_ms(&self, made: &[u64], now_ms: u64) -> u64 {
        let last = made.iter().filter(|made| **made <= now_ms).max();
        let ahead = made.iter().any(|made| *made > now_ms && *made - now_ms <= self.every_ms);
        match last {
            Some(last) => last.saturating_add(self.every_ms).max(now_ms),
            None if ahead => now_ms.saturating_add(self.every_ms),
            None => now_ms,
        }
    }

    /// Those of `made` to forget: all but the newest that are kept. To be asked once one that is due is on disk and among
    /// them.
    ///
    /// How old one from the future is nobody knows. It goes before all others: it would count as the newest for as long as
    /// that time does not come, and a few of them would have each new one forgotten at once.
    pub fn surplus(&self, made: &[u64], now_ms: u64) -> Vec<u64> {
        let mut made = made.to_vec();
        made.sort_unstable_by_key(|made| (*made <= now_ms, *made));
        made.truncate(made.len().saturating_sub(self.keep.max(1)));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURLY: Keeping = Keeping { every_ms: 3_600_000, keep: 3 };
    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn the_first_is_due_at_once_and_the_next_when_its_time_has_come() {
        assert_eq!(HOURLY.next_ms(&[], NOW), NOW);
        assert_eq!(HOURLY.next_ms(&[NOW - 1000], NOW), NOW - 1000 + 3_600_000);
        assert_eq!(HOURLY.next_ms(&[NOW - 9_000_000, NOW - 3_600_000], NOW), NOW);
        // Those a host missed while it was off are not made up for.
        assert_eq!(HOURLY.next_ms(&[NOW - 90_000_000], NOW), NOW);
    }

    #[test]
    fn one_from_the_future_puts_nothing_off_for_long() {
        let year = 365 * 86_400_000;
        assert_eq!(HOURLY.next_ms(&[NOW + year], NOW), NOW);
        assert_eq!(HOURLY.next_ms(&[NOW + 5], NOW), NOW + 3_600_000);
        assert_eq!(HOURLY.next_ms(&[NOW - 5, NOW + year], NOW), NOW - 5 + 3_600_000);
    }

    #[test]
    fn the_newest_are_kept_whatever_their_order() {
        assert_eq!(HOURLY.surplus(&[4, 1, 3, 2, 5], 5), [1, 2]);
        assert_eq!(HOURLY.surplus(&[4, 1, 3], 5), [0; 0]);
        assert_eq!(HOURLY.surplus(&[], 5), [0; 0]);
        let none = Keeping { keep: 0, ..HOURLY };
        assert_eq!(none.surplus(&[7, 8], 8), [7], "the one just made is never forgotten");
    }

    #[test]
    fn those_from_the_future_go_before_the_one_just_made() {
        let year = 365 * 86_400_000;
        let made = [NOW + year, NOW + 2 * year, NOW, NOW + 3 * year];
        assert_eq!(HOURLY.surplus(&made, NOW), [NOW + year]);
        let made = [NOW + 1, NOW - 9, NOW - 8, NOW];
        assert_eq!(HOURLY.surplus(&made, NOW), [NOW + 1]);
        assert_eq!(HOURLY.surplus(&made, NOW + 1), [NOW - 9], "its time has come");
    }
}
