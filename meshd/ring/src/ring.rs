//! A bounded ring with one end for each of two threads.

use std::mem::MaybeUninit;

use crate::sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

/// A ring of at least `capacity` items, rounded up to a power of two.
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let capacity = capacity.max(1).next_power_of_two();
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared = Arc::new(Shared {
        slots,
        filled: Position(AtomicUsize::new(0)),
        emptied: Position(AtomicUsize::new(0)),
    });
    let producer = Producer { shared: Arc::clone(&shared), filled: 0, emptied: 0 };
    (producer, Consumer { shared, emptied: 0 })
}

/// On a cache line of its own, and with what the prefetcher takes beside it: the two ends would
/// otherwise take one line from each other with every item.
#[repr(align(128))]
struct Position(AtomicUsize);

/// `emptied..filled` are the items inside; both only grow, and wrap around with the machine's word.
struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    filled: Position,
    emptied: Position,
}

// SAFETY: an item is written before `filled` says so (release) and read after that was seen (acquire);
// its slot is written again only after `emptied` said that it was read. So at any time one thread at
// most has access to a slot, and items move between threads, for which they must be `Send`.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[position & (self.slots.len() - 1)]
    }

    /// Moves the item at `position` out.
    #[allow(unsafe_code)]
    fn take(&self, position: usize) -> T {
        // SAFETY: the callers have seen `filled` beyond `position`, so the slot holds an item, and
        // count it as emptied afterwards, so nobody reads it twice.
        self.slot(position).with_mut(|slot| unsafe { (*slot).assume_init_read() })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let filled = self.filled.0.load(Ordering::Relaxed);
        let mut emptied = self.emptied.0.load(Ordering::Relaxed);
        while emptied != filled {
            drop(self.take(emptied));
            emptied = emptied.wrapping_add(1);
        }
    }
}

/// The end that fills.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    filled: usize,
    /// `emptied` as last seen: looked at again only when the ring seems full.
    emptied: usize,
}

impl<T> Producer<T> {
    /// Puts `item` in, or gives it back when the ring is full.
    #[allow(unsafe_code)]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        let capacity = self.shared.slots.len();
        if self.filled.wrapping_sub(self.emptied) == capacity {
            self.emptied = self.shared.emptied.0.load(Ordering::Acquire);
            if self.filled.wrapping_sub(self.emptied) == capacity {
                return Err(item);
            }
        }
        self.shared.slot(self.filled).with_mut(|slot| {
            // SAFETY: the slot is outside `emptied..filled`, so the consumer does not touch it, and
            // this is the only producer.
            unsafe { (*slot).write(item) };
        });
        self.filled = self.filled.wrapping_add(1);
        self.shared.filled.0.store(self.filled, Ordering::Release);
        Ok(())
    }
}

/// The end that empties.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    emptied: usize,
}

impl<T> Consumer<T> {
    /// The oldest item.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let item = self.shared.take(self.emptied);
        self.emptied = self.emptied.wrapping_add(1);
        self.shared.emptied.0.store(self.emptied, Ordering::Release);
        Some(item)
    }

    /// Whether there is nothing now.
    pub fn is_empty(&self) -> bool {
        self.shared.filled.0.load(Ordering::Acquire) == self.emptied
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::rc::Rc;
    use std::thread;

    use super::*;

    #[test]
    fn items_come_out_in_order_and_a_full_ring_gives_them_back() {
        let (mut producer, mut consumer) = ring(3);
        for round in 0..10 {
            for n in 0..4 {
                assert_eq!(producer.push((round, n)), Ok(()), "rounded up to four");
            }
            assert_eq!(producer.push((round, 4)), Err((round, 4)));
            assert_eq!(consumer.pop(), Some((round, 0)));
            assert_eq!(producer.push((round, 4)), Ok(()));
            let rest: Vec<_> = std::iter::from_fn(|| consumer.pop()).collect();
            assert_eq!(rest, [1, 2, 3, 4].map(|n| (round, n)));
            assert!(consumer.is_empty());
        }
    }

    #[test]
    fn what_nobody_took_is_dropped_once() {
        let item = Rc::new(());
        let (mut producer, mut consumer) = ring(8);
        for _ in 0..5 {
            assert!(producer.push(Rc::clone(&item)).is_ok());
        }
        drop(consumer.pop());
        assert_eq!(Rc::strong_count(&item), 5);
        drop((producer, consumer));
        assert_eq!(Rc::strong_count(&item), 1);
    }

    #[test]
    fn two_threads_pass_everything_on() {
        let (mut producer, mut consumer) = ring(16);
        let items = 200_000u64;
        let filler = thread::spawn(move || {
            for n in 0..items {
                let mut item = n;
                while let Err(back) = producer.push(item) {
                    item = back;
                    thread::yield_now();
                }
            }
        });
        for n in 0..items {
            let got = loop {
                match consumer.pop() {
                    Some(got) => break got,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(got, n);
        }
        filler.join().expect("no panic");
    }
}
