//! Every order in which two threads can meet.
#![cfg(loom)]

use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use mesh_ring::{Sleep, ring};

#[test]
fn items_arrive_whole_in_order_and_once() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let filler = thread::spawn(move || {
            let mut refused = 0;
            for n in 1..=3 {
                refused += usize::from(producer.push(Box::new(n)).is_err());
            }
            refused
        });
        let mut got = Vec::new();
        for _ in 0..3 {
            got.extend(consumer.pop().map(|item| *item));
        }
        let refused = filler.join().unwrap();
        got.extend(std::iter::from_fn(|| consumer.pop().map(|item| *item)));
        assert_eq!(got.len() + refused, 3);
        assert!(got.is_sorted(), "{got:?}");
    });
}

#[test]
fn what_is_left_behind_is_dropped() {
    // loom itself reports what is never dropped.
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let filler = thread::spawn(move || {
            let _ = producer.push(loom::sync::Arc::new(1));
            let _ = producer.push(loom::sync::Arc::new(2));
        });
        let _ = consumer.pop();
        drop(consumer);
        filler.join().unwrap();
    });
}

#[test]
fn nothing_waits_for_a_sleeper_that_nobody_wakes() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sleep = Arc::new(Sleep::new());
        let woken = Arc::new(AtomicUsize::new(0));
        let giver = {
            let (sleep, woken) = (Arc::clone(&sleep), Arc::clone(&woken));
            thread::spawn(move || {
                assert!(producer.push(1).is_ok());
                if sleep.must_wake() {
                    woken.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        sleep.announce();
        let seen = consumer.pop().is_some();
        giver.join().unwrap();
        // Asleep with something in the ring and no call on its way: that would be for ever.
        assert!(seen || woken.load(Ordering::Relaxed) == 1);
    });
}

#[test]
fn what_goes_round_through_two_rings_is_one_thread_s_at_a_time() {
    loom::model(|| {
        let (mut full, mut full_out) = ring(1);
        let (mut empty, mut empty_out) = ring(1);
        assert!(empty.push(Box::new(Cell::new(0))).is_ok());
        let filler = thread::spawn(move || {
            let mut filled = 0;
            for n in 1..=2 {
                if let Some(it) = empty_out.pop() {
                    // loom itself reports two threads that have access at a time.
                    it.set(n);
                    assert!(full.push(it).is_ok(), "there is room for all there are");
                    filled += 1;
                }
            }
            filled
        });
        let mut seen = 0;
        for _ in 0..2 {
            if let Some(it) = full_out.pop() {
                assert_ne!(it.get(), 0);
                seen += 1;
                assert!(empty.push(it).is_ok());
            }
        }
        let filled = filler.join().unwrap();
        assert!(filled >= 1 && seen <= filled);
    });
}
