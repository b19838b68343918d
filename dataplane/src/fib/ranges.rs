//! Prefixes laid out flat: who holds each stretch of the address space.
//!
//! ```text
//! prefixes   |------------- 10.0.0.0/8: a -------------|
//!                      |-- 10.1.0.0/16: b --|
//! stretches  |    a    |         b          |    a     |  nobody
//! ```
//!
//! Nested prefixes become stretches that do not overlap, so the longest match is one binary search:
//! ten steps through one array for a thousand hosts, however the prefixes nest.

use std::ops::RangeInclusive;

use crate::peers::Slot;

/// An address as a number.
pub(super) trait Addr: Copy + Ord {
    /// The first one.
    const ZERO: Self;
    /// The one after it.
    fn next(self) -> Option<Self>;
}

impl Addr for u32 {
    const ZERO: Self = 0;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Addr for u128 {
    const ZERO: Self = 0;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// The stretches of one address family.
#[derive(Debug)]
pub(super) struct Ranges<A> {
    /// Where each stretch begins, ascending; the first one at zero.
    starts: Vec<A>,
    /// Who holds it.
    holders: Vec<Option<Slot>>,
}

impl<A: Addr> Ranges<A> {
    /// The stretches of `prefixes`, which come by first address, wider ones first.
    pub(super) fn new(prefixes: impl Iterator<Item = (RangeInclusive<A>, Slot)>) -> Self {
        let mut ranges = Self { starts: vec![A::ZERO], holders: vec![None] };
        // The prefixes around the present one, widest first: where each ends, and whose it is.
        let mut around: Vec<(A, Slot)> = Vec::new();
        for (prefix, holder) in prefixes {
            ranges.leave(&mut around, Some(*prefix.start()));
            ranges.begin(*prefix.start(), Some(holder));
            around.push((*prefix.end(), holder));
        }
        ranges.leave(&mut around, None);
        ranges
    }

    /// Ends the prefixes that lie before `next`, or all: what is around them goes on.
    fn leave(&mut self, around: &mut Vec<(A, Slot)>, next: Option<A>) {
        while let Some((end, _)) = around.pop_if(|(end, _)| next.is_none_or(|next| *end < next)) {
            if let Some(after) = end.next() {
                self.begin(after, around.last().map(|(_, holder)| *holder));
            }
        }
    }

    fn begin(&mut self, start: A, holder: Option<Slot>) {
        if self.starts.last() == Some(&start) {
            self.holders.pop();
        } else {
            self.starts.push(start);
        }
        self.holders.push(holder);
    }

    /// Who holds `addr`.
    #[inline]
    pub(super) fn holder(&self, addr: A) -> Option<Slot> {
        let stretch = self.starts.partition_point(|start| *start <= addr);
        *self.holders.get(stretch.checked_sub(1)?)?
    }
}
