//! Datagrams on their way out, written once and sent in runs.
//!
//! The packet core encrypts straight into one stretch of memory, datagram after datagram. What lies
//! side by side with equal length and destination leaves as one (GSO).

use std::net::IpAddr;
use std::ops::Range;

use mesh_dataplane::Endpoint;

/// A batch of bulk, in bytes: two super-packets, what one turn of the worker reads, cut to the shortest
/// link of IPv6 and sealed.
pub(crate) const BULK_ARENA: usize = 144 << 10;

/// A batch of control, in bytes: a turn's orders, each a QUIC datagram of at most the overlay's MTU.
pub(crate) const CONTROL_ARENA: usize = 1 << 17;

/// Datagrams in one batch: the arena full of empty keepalives would hold more, which nobody needs.
const MAX_DATAGRAMS: usize = 512;

/// The longest run the kernel takes, in bytes: the longest IPv4 packet less its header and UDP's. That
/// is 45 datagrams at the usual MTU, and not one more.
const MAX_RUN: usize = 65_535 - 20 - 8;

struct Written {
    to: Endpoint,
    /// How far it may go, if that is limited.
    hops: Option<u8>,
    at: Range<usize>,
}

/// The batch. Its memory is kept from turn to turn.
pub(crate) struct SendBatch {
    arena: Box<[u8]>,
    end: usize,
    written: Vec<Written>,
    /// Datagrams that have left already, while others wait for room in the kernel.
    passed: usize,
}

/// Datagrams that can leave together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) to: Endpoint,
    /// How far it may go, if that is limited: a datagram of which that is said leaves alone.
    pub(crate) hops: Option<u8>,
    pub(crate) contents: &'a [u8],
    /// The length of each but the last; `None` when there is only one.
    pub(crate) segment: Option<u16>,
    /// How many there are.
    pub(crate) count: usize,
    /// Whether no datagram still to be written could join it.
    pub(crate) is_full: bool,
}

impl SendBatch {
    pub(crate) fn new(arena: usize) -> Self {
        Self {
            arena: vec![0; arena].into_boxed_slice(),
            end: 0,
            written: Vec::with_capacity(MAX_DATAGRAMS),
            passed: 0,
        }
    }

    /// Whether a datagram of `max` bytes still fits.
    pub(crate) fn has_room(&self, max: usize) -> bool {
        self.has_room_for(1, max)
    }

    /// Whether `count` datagrams of `max` bytes each still fit.
    pub(crate) fn has_room_for(&self, count: usize, max: usize) -> bool {
        self.written.len() + count <= MAX_DATAGRAMS && self.arena.len() - self.end >= count * max
    }

    /// Room for one datagram; the same room again until [`SendBatch::push`] keeps it. Empty when the
    /// batch [has no room](SendBatch::has_room).
    pub(crate) fn slot(&mut self, max: usize) -> &mut [u8] {
        let len = if self.has_room(max) { max } else { 0 };
        &mut self.arena[self.end..self.end + len]
    }

    /// Keeps the first `len` bytes of the slot as a datagram to `to`, and no further than `hops`.
    pub(crate) fn push(&mut self, to: Endpoint, hops: Option<u8>, len: usize) {
        let at = self.end..self.end + len;
        self.end = at.end;
        self.written.push(Written { to, hops, at });
    }

    /// What is to leave, in runs of at most as many datagrams as `most` says of a destination.
    pub(crate) fn runs<F>(&self, most: F) -> impl Iterator<Item = Run<'_>>
    where
        F: Fn(IpAddr) -> usize,
    {
        let mut first = self.passed;
        std::iter::from_fn(move || {
            let run = self.run(first, &most)?;
            first += run.count;
            Some(run)
        })
    }

    fn run(&self, first: usize, most: impl Fn(IpAddr) -> usize) -> Option<Run<'_>> {
        let Written { to, hops, at } = self.written.get(first)?;
        let max = if hops.is_some() { 1 } else { most(to.remote.ip()) };
        let segment = at.len();
        let mut end = at.end;
        let mut count = 1;
        let mut is_full = max <= 1;
        for next in &self.written[first + 1..] {
            let fits = count < max
                && next.to == *to
                && next.hops.is_none()
                && (1..=segment).contains(&next.at.len())
                && next.at.end - at.start <= MAX_RUN;
            if !fits {
                is_full = true;
                break;
            }
            end = next.at.end;
            count += 1;
            if next.at.len() < segment {
                is_full = true;
                break;
            }
        }
        Some(Run {
            to: *to,
            hops: *hops,
            contents: &self.arena[at.start..end],
            segment: u16::try_from(segment).ok().filter(|_| count > 1),
            count,
            is_full: is_full || count >= max || end - at.start + segment > MAX_RUN,
        })
    }

    /// The next `count` datagrams have left, or never will. Once all have, there is room again.
    pub(crate) fn pass(&mut self, count: usize) {
        self.passed += count;
        if self.passed >= self.written.len() {
            self.written.clear();
            self.passed = 0;
            self.end = 0;
        }
    }

    /// Whether nothing waits to leave.
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn to(port: u16) -> Endpoint {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    fn batch(datagrams: &[(u16, usize)]) -> SendBatch {
        let mut batch = SendBatch::new(BULK_ARENA);
        for (at, (port, len)) in datagrams.iter().enumerate() {
            assert!(batch.has_room(*len));
            batch.slot(*len + 32)[..*len].fill(at as u8);
            batch.push(to(*port), None, *len);
        }
        batch
    }

    fn runs(batch: &mut SendBatch, max: usize) -> Vec<(u16, usize, Option<u16>)> {
        let mut runs = Vec::new();
        let mut count = 0;
        for run in batch.runs(|_| max) {
            runs.push((run.to.remote.port(), run.contents.len(), run.segment));
            count += run.count;
        }
        batch.pass(count);
        assert!(batch.is_empty());
        runs
    }

    #[test]
    fn equal_neighbours_leave_together_and_a_shorter_one_ends_the_run() {
        let mut batch = batch(&[(1, 100), (1, 100), (1, 40), (1, 100), (2, 100), (2, 120)]);
        let first = batch.runs(|_| 64).next().expect("a run");
        assert_eq!(first.contents[99..101], [0, 1]);
        assert_eq!(first.contents[239], 2);
        assert_eq!(
            runs(&mut batch, 64),
            [(1, 240, Some(100)), (1, 100, None), (2, 100, None), (2, 120, None)]
        );
    }

    #[test]
    fn a_run_is_full_once_nothing_can_join_it() {
        let is_full = |datagrams: &[(u16, usize)], max| {
            batch(datagrams).runs(|_| max).next().map(|run| run.is_full)
        };
        assert_eq!(is_full(&[(1, 100), (1, 100)], 64), Some(false));
        assert_eq!(is_full(&[(1, 100), (1, 100)], 2), Some(true), "as many as may be");
        assert_eq!(is_full(&[(1, 100)], 1), Some(true), "the kernel takes no runs");
        assert_eq!(is_full(&[(1, 100), (1, 40)], 64), Some(true), "a shorter one is the last");
        assert_eq!(is_full(&[(1, 100), (2, 100)], 64), Some(true), "followed by another's");
        assert_eq!(is_full(&[(1, 1452); 44], 64), Some(false));
        assert_eq!(is_full(&[(1, 1452); 45], 64), Some(true), "as long as may be");
    }

    #[test]
    fn what_may_not_go_far_leaves_alone_and_in_its_turn() {
        let mut batch = SendBatch::new(BULK_ARENA);
        for hops in [None, None, Some(7), Some(7), None] {
            batch.slot(100);
            batch.push(to(1), hops, 100);
        }
        let left: Vec<_> = batch.runs(|_| 64).map(|run| (run.hops, run.count)).collect();
        assert_eq!(left, [(None, 2), (Some(7), 1), (Some(7), 1), (None, 1)]);
    }

    #[test]
    fn runs_keep_to_the_kernels_bounds() {
        assert_eq!(runs(&mut batch(&[(1, 10); 5]), 2).len(), 3);
        assert_eq!(runs(&mut batch(&[(1, 10); 3]), 1).len(), 3);
        let mut long = batch(&[(1, 1480); 80]);
        assert!(runs(&mut long, 64).iter().all(|(_, len, _)| *len <= MAX_RUN));
    }

    #[test]
    fn a_full_batch_says_so_and_one_that_has_left_starts_again() {
        let mut batch = SendBatch::new(BULK_ARENA);
        while batch.has_room(1500) {
            assert_eq!(batch.slot(1500).len(), 1500);
            batch.push(to(1), None, 1500);
        }
        let all = batch.written.len();
        assert!(all > 64);
        batch.pass(all - 1);
        assert!(!batch.has_room(1500), "the last one still lies there");
        assert!(batch.slot(1500).is_empty());
        batch.pass(1);
        assert!(batch.is_empty() && batch.has_room(1500));
    }
}
