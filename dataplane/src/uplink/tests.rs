//! The uplink's rate and buffer, over links of some rate, in virtual time.

use super::*;

const US: Duration = Duration::from_micros(1);

/// A socket with a buffer, over a link of some rate, and a sender that wakes late by `late`.
struct Link {
    rate: f64,
    buffer: f64,
    held: f64,
    now: Instant,
}

impl Link {
    #[allow(clippy::disallowed_methods)]
    fn new(mbit: f64) -> Self {
        let (buffer, any) = (Uplink::BUFFER as f64, Instant::now());
        Self { rate: mbit * 125_000.0, buffer, held: 0.0, now: any }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.held = (self.held - self.rate * time.as_secs_f64()).max(0.0);
    }

    /// Fills the buffer, sends `bytes` more once there is room, nothing for `gap`, and `bytes` again.
    fn burst(&mut self, uplink: &mut Uplink, bytes: usize, gap: Duration) {
        uplink.handle_full(self.now);
        uplink.handle_room(Uplink::BUFFER);
        self.pass(US * 1000);
        uplink.handle_sent(bytes, self.now);
        uplink.handle_idle();
        self.pass(gap);
        if uplink.asks_unsent() {
            uplink.handle_more(0);
        }
        uplink.handle_sent(bytes, self.now);
    }

    /// Sends all it can for `time`, waking `late` after there is room; how many bytes left, and the
    /// longest that one waited in the last tenth, in milliseconds.
    fn saturate(&mut self, uplink: &mut Uplink, time: Duration, late: Duration) -> (f64, f64) {
        let (start, mut sent, mut longest) = (self.now, 0.0, 0.0_f64);
        while self.now < start + time {
            while self.held < self.buffer {
                self.held += 1500.0;
                sent += 1500.0;
                uplink.handle_sent(1500, self.now);
            }
            // Whoever is told that there is no room may ask again and again.
            for again in 0..3 {
                uplink.handle_full(self.now + late * again);
            }
            if let Some(buffer) = uplink.poll_buffer() {
                self.buffer = buffer as f64;
            }
            if self.now > start + time.mul_f64(0.9) {
                longest = longest.max(self.held / self.rate * 1e3);
            }
            let half = ((self.held - self.buffer / 2.0) / self.rate).max(0.0);
            self.pass(Duration::from_secs_f64(half) + late);
            uplink.handle_room((2.0 * self.held) as usize);
        }
        (sent, longest)
    }
}

#[test]
fn the_buffer_comes_to_hold_a_few_milliseconds_and_the_uplink_stays_full() {
    for mbit in [2.0, 20.0, 50.0, 100.0, 500.0] {
        let mut link = Link::new(mbit);
        let mut uplink = Uplink::default();
        let time = Duration::from_secs(10);
        let (sent, longest) = link.saturate(&mut uplink, time, 60 * US);
        assert!(sent > 0.98 * link.rate * time.as_secs_f64(), "{mbit}: {sent}");
        let bound = f64::max(6.0, 1.2 * SMALLEST as f64 / link.rate * 1e3);
        assert!(longest < bound, "{mbit}: {longest} ms");
        assert!(uplink.share() < SMALLEST.max(80_000));
    }
}

#[test]
fn an_uplink_that_becomes_faster_or_slower_is_followed() {
    let mut link = Link::new(20.0);
    let mut uplink = Uplink::default();
    let time = Duration::from_secs(5);
    link.saturate(&mut uplink, time, 60 * US);
    link.rate *= 10.0;
    link.saturate(&mut uplink, time, 60 * US);
    let (sent, longest) = link.saturate(&mut uplink, time, 60 * US);
    assert!(sent > 0.98 * link.rate * time.as_secs_f64());
    assert!(longest < 6.0, "{longest}");
    link.rate /= 10.0;
    link.saturate(&mut uplink, time, 60 * US);
    let (_, longest) = link.saturate(&mut uplink, time, 60 * US);
    assert!(longest < 10.0, "{longest}");
}

#[test]
fn a_thread_that_wakes_late_is_not_taken_for_a_slow_uplink() {
    for late in [300, 1000, 3000, 10_000].map(|late| US * late) {
        let mut link = Link::new(10_000.0);
        let mut uplink = Uplink::default();
        let time = Duration::from_secs(5);
        let (sent, _) = link.saturate(&mut uplink, time, late);
        let most = f64::min(Uplink::LARGEST as f64 / late.as_secs_f64(), link.rate);
        assert!(sent > 0.75 * most * time.as_secs_f64(), "{late:?}: {sent}");
    }
}

#[test]
fn one_that_has_had_room_for_a_while_is_taken_for_any_other() {
    let mut link = Link::new(20.0);
    let mut uplink = Uplink::default();
    link.saturate(&mut uplink, Duration::from_secs(5), 60 * US);
    assert!(uplink.share() < 10_000);
    link.pass(RELAX);
    uplink.handle_sent(100, link.now);
    assert_eq!(uplink.share(), usize::MAX);
    assert_eq!(uplink.poll_buffer(), Some(Uplink::BUFFER));
    assert_eq!(uplink.poll_buffer(), None);

    let mut link = Link::new(2000.0);
    link.saturate(&mut uplink, Duration::from_secs(5), 60 * US);
    let held = link.buffer as usize;
    assert!(held > 4 * Uplink::BUFFER);
    link.pass(RELAX);
    uplink.handle_sent(100, link.now);
    assert_eq!(uplink.poll_buffer(), Some(held / 2), "it was fast, and is trusted for a while");
    for _ in 0..10 {
        link.pass(RELAX);
        uplink.handle_sent(100, link.now);
    }
    assert_eq!(uplink.poll_buffer(), Some(Uplink::BUFFER));
    assert_eq!(uplink.poll_buffer(), None);
}

#[test]
fn bursts_with_nothing_in_between_are_not_taken_for_a_slow_uplink() {
    let mut link = Link::new(10_000.0);
    let mut uplink = Uplink::default();
    for gap in [5, 50, 500, 900] {
        for _ in 0..20 {
            link.burst(&mut uplink, 100_000, US * 1000 * gap);
        }
        assert_eq!(uplink.share(), usize::MAX, "{gap} ms");
        assert!(uplink.poll_buffer().is_none_or(|buffer| buffer > Uplink::BUFFER));
    }
}

#[test]
fn where_nothing_leaves_at_all_there_is_room_for_what_does() {
    let mut link = Link::new(20.0);
    let mut uplink = Uplink::default();
    link.saturate(&mut uplink, Duration::from_secs(5), 60 * US);
    uplink.handle_full(link.now);
    for unsent in [30_000, 30_000] {
        let at = uplink.poll_timeout().expect("to look");
        assert!(at > link.now && at <= link.now + STALL);
        link.now = at;
        assert!(uplink.is_full());
        uplink.handle_stall(unsent, link.now);
    }
    assert!(!uplink.is_full());
    assert_eq!(uplink.poll_buffer(), Some(Uplink::LARGEST));
    assert_eq!(uplink.poll_timeout(), None);
    // It stays so for a while, as the rate is still told, and is then fit to the rate again.
    link.buffer = Uplink::LARGEST as f64;
    link.saturate(&mut uplink, LENIENT / 2, 60 * US);
    assert_eq!(link.buffer, Uplink::LARGEST as f64);
    assert!(uplink.share() < 10_000);
    link.saturate(&mut uplink, LENIENT, 60 * US);
    let (_, longest) = link.saturate(&mut uplink, Duration::from_secs(5), 60 * US);
    assert!(longest < 10.0, "{longest}");
}

#[test]
fn where_little_leaves_there_is_no_more_room_for_it() {
    let mut link = Link::new(1.0);
    let mut uplink = Uplink::default();
    uplink.handle_full(link.now);
    for step in 1..20 {
        link.now = uplink.poll_timeout().expect("to look");
        uplink.handle_stall(100_000 - step * 100, link.now);
        assert!(uplink.is_full());
    }
    assert_eq!(uplink.poll_buffer(), None);
}

#[test]
fn a_slow_uplink_that_became_fast_is_not_slow_for_ever_to_whoever_sends_in_bursts() {
    let mut link = Link::new(2.0);
    let mut uplink = Uplink::default();
    link.saturate(&mut uplink, Duration::from_secs(5), 60 * US);
    assert!(uplink.share() < 1_000);
    for _ in 0..20 {
        link.burst(&mut uplink, 20_000, RELAX / 2);
    }
    assert_eq!(uplink.share(), usize::MAX);
    assert!(uplink.poll_buffer().is_some_and(|buffer| buffer >= Uplink::BUFFER));
}

#[test]
fn what_was_too_long_for_the_buffer_makes_it_large_for_a_while() {
    let mut link = Link::new(1_000.0);
    let mut uplink = Uplink::default();
    assert!(uplink.handle_cramped(link.now));
    assert_eq!(uplink.poll_buffer(), Some(Uplink::LARGEST));
    assert!(!uplink.handle_cramped(link.now), "it is as large as may be");
    for _ in 0..50 {
        link.pass(RELAX);
        uplink.handle_sent(100, link.now);
        uplink.poll_buffer();
    }
    assert_eq!(uplink.buffer, Some(Uplink::BUFFER));
}
