//! The highest rate that still gets through: up in large steps while it does, then between the last
//! rate that did and the first that did not.
//!
//! The search knows no clock and no socket. It says which rate to try and is told what became of it.

/// Of what is sent, the share whose loss is still called clean.
pub const CLEAN_LOSS: f64 = 0.005;

/// The least of a rate that the sender itself must reach for the trial to say anything of the path.
const SENDER_KEEPS_UP: f64 = 0.97;

/// The search ends when the rates on both sides of the answer are this close.
const CLOSE_ENOUGH: f64 = 1.03;

/// A step up, as long as nothing was lost.
const UP: f64 = 1.5;

/// A step down, as long as nothing got through clean.
const DOWN: f64 = 1.6;

/// The most trials: two steps to bracket the answer, five halvings from 50 % to 3 %, and as many
/// second tries.
const MAX_TRIALS: u32 = 14;

/// The lowest rate worth trying, in datagrams a second.
const FLOOR: f64 = 500.0;

/// What became of one rate, in datagrams a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// What left the sender.
    pub sent: f64,
    /// What arrived.
    pub received: f64,
    /// The share of what was sent that did not arrive.
    pub loss: f64,
}

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    rate: f64,
    clean_at: Option<f64>,
    lossy_at: Option<f64>,
    best: Option<Trial>,
    doubted: bool,
    trials: u32,
}

impl Search {
    /// A search whose first trial is at `rate`.
    pub fn starting_at(rate: f64) -> Self {
        Self {
            rate: rate.max(FLOOR),
            clean_at: None,
            lossy_at: None,
            best: None,
            doubted: false,
            trials: 0,
        }
    }

    /// The rate to try next; `None` when the search is over.
    pub fn next_rate(&self) -> Option<f64> {
        let close = match (self.clean_at, self.lossy_at) {
            (Some(clean), Some(lossy)) => lossy / clean < CLOSE_ENOUGH,
            _ => false,
        };
        (!close && self.trials < MAX_TRIALS && self.rate >= FLOOR).then_some(self.rate)
    }

    /// What became of [`next_rate`](Self::next_rate).
    pub fn record(&mut self, trial: Trial) {
        self.trials += 1;
        let clean = trial.loss < CLEAN_LOSS;
        if !clean && !self.doubted {
            // One hiccup of the machine loses as much as a path that is too slow: ask again.
            self.doubted = true;
            return;
        }
        self.doubted = false;
        if clean && self.best.is_none_or(|best| trial.received > best.received) {
            self.best = Some(trial);
        }
        if clean && trial.sent >= SENDER_KEEPS_UP * self.rate {
            self.clean_at = Some(self.rate);
        } else {
            // Too fast for the path, or for the sender: either way no answer lies above.
            self.lossy_at = Some(self.rate);
        }
        self.rate = match (self.clean_at, self.lossy_at) {
            (Some(clean), Some(lossy)) => (clean * lossy).sqrt(),
            (_, None) => self.rate * UP,
            (None, Some(_)) => self.rate / DOWN,
        };
    }

    /// The fastest clean trial.
    pub fn best(&self) -> Option<Trial> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that drops what exceeds `capacity`, behind a sender that manages `sender`.
    fn through(capacity: f64, sender: f64, rate: f64) -> Trial {
        let sent = rate.min(sender);
        let received = sent.min(capacity);
        Trial { sent, received, loss: 1.0 - received / sent }
    }

    fn run(search: &mut Search, mut path: impl FnMut(f64) -> Trial) -> u32 {
        let mut trials = 0;
        while let Some(rate) = search.next_rate() {
            search.record(path(rate));
            trials += 1;
            assert!(trials <= MAX_TRIALS);
        }
        trials
    }

    #[test]
    fn the_capacity_is_found_from_below_and_from_above() {
        for start in [10_000.0, 80_000.0, 100_000.0, 300_000.0] {
            let mut search = Search::starting_at(start);
            run(&mut search, |rate| through(100_000.0, 1e9, rate));
            let found = search.best().unwrap().received;
            assert!((96_000.0..=100_600.0).contains(&found), "from {start}: {found}");
        }
    }

    #[test]
    fn one_hiccup_does_not_mislead() {
        for hiccup in 0..4 {
            let mut search = Search::starting_at(50_000.0);
            let mut at = 0;
            run(&mut search, |rate| {
                at += 1;
                if at == hiccup + 1 {
                    Trial { sent: rate, received: rate * 0.9, loss: 0.1 }
                } else {
                    through(100_000.0, 1e9, rate)
                }
            });
            let found = search.best().unwrap().received;
            assert!(found > 96_000.0, "hiccup in trial {hiccup}: {found}");
        }
    }

    #[test]
    fn a_slow_sender_ends_the_search_with_what_it_sent() {
        let mut search = Search::starting_at(200_000.0);
        let trials = run(&mut search, |rate| through(1e9, 250_000.0, rate));
        let found = search.best().unwrap().received;
        assert!((242_000.0..=250_000.0).contains(&found), "{found}");
        assert!(trials < MAX_TRIALS);
    }

    #[test]
    fn a_dead_path_gives_up_without_an_answer() {
        let mut search = Search::starting_at(20_000.0);
        run(&mut search, |rate| Trial { sent: rate, received: 0.0, loss: 1.0 });
        assert_eq!(search.best(), None);
    }
}
