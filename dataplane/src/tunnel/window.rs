//! The replay window: which counters of a session were seen (RFC 6479).
//!
//! A ring of bits, one per counter, moved forward a word at a time. The word that is being entered
//! is cleared, so one word less than the ring counts: the kernel's window exactly.

/// Words of the ring; a power of two, so that a place in it is a mask away.
const WORDS: usize = 128;

/// Counters this far behind the newest are too old to tell: 8128, of 8192 bits. At 10 Gbit/s in
/// packets of 1400 bytes that is 9 ms of reordering, the worst that several queues do to a flow.
pub(crate) const DEPTH: u64 = (WORDS as u64 - 1) * 64;

/// The counters of one session that were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// One more than the newest counter seen.
    next: u64,
    seen: [u64; WORDS],
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }

    /// Whether `counter` is new. To be asked before decrypting, which costs more.
    pub(crate) fn is_new(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        self.next - counter <= DEPTH && self.seen[word(counter)] & bit(counter) == 0
    }

    /// Takes note of an authentic `counter`; `false` when it is not new.
    #[must_use]
    pub(crate) fn mark(&mut self, counter: u64) -> bool {
        if !self.is_new(counter) {
            return false;
        }
        if counter >= self.next {
            self.advance(counter);
        }
        self.seen[word(counter)] |= bit(counter);
        true
    }

    /// Moves forward to `counter`, clearing the words that are entered.
    fn advance(&mut self, counter: u64) {
        let (newest, entered) = (self.next.saturating_sub(1) >> 6, counter >> 6);
        for step in 1..=(entered - newest).min(WORDS as u64) {
            self.seen[(newest + step) as usize % WORDS] = 0;
        }
        self.next = counter + 1;
    }
}

fn word(counter: u64) -> usize {
    (counter >> 6) as usize % WORDS
}

fn bit(counter: u64) -> u64 {
    1 << (counter & 63)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_that_counts_is_8127_behind() {
        let mut window = Window::new();
        assert!(window.mark(100_000));
        assert!(!window.mark(100_000));
        assert!(window.mark(100_000 - DEPTH + 1));
        assert!(!window.mark(100_000 - DEPTH));
        assert!(!window.mark(0));
        assert_eq!(DEPTH, 8128);
    }

    #[test]
    fn all_of_a_reversed_window_is_taken_once() {
        let mut window = Window::new();
        assert!((0..DEPTH).rev().all(|counter| window.mark(counter)));
        assert!((0..DEPTH).all(|counter| !window.mark(counter)));
    }

    #[test]
    fn the_far_end_of_the_range_does_not_overflow() {
        let mut window = Window::new();
        assert!(window.mark(0));
        assert!(window.mark(u64::MAX - 1));
        assert!(window.mark(u64::MAX - 2));
        assert!(!window.mark(u64::MAX - 2));
        assert!(!window.mark(0));
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec((any::<bool>(), 0u64..20_000), 1..400)) {
            let mut window = Window::new();
            let mut seen = BTreeSet::new();
            let mut newest = 0u64;
            for (ahead, step) in steps {
                let counter =
                    if ahead { newest + step / 8 } else { newest.saturating_sub(step / 2) };
                newest = newest.max(counter);
                let expected = newest - counter < DEPTH && seen.insert(counter);
                prop_assert_eq!(window.is_new(counter), expected);
                prop_assert_eq!(window.mark(counter), expected);
            }
        }
    }
}
