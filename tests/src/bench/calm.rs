//! A figure counts when the machine was ours: wait until nobody else is at work, measure, and measure again
//! if somebody was after all, or the hypervisor gave the processors to other machines.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::interrupt;
use super::load::{Reading, strangers_during};
use crate::error::Result;

/// What strangers may use before a measurement starts, in processors.
const QUIET: f64 = 0.1;

/// What strangers and other machines may take during a measurement before it counts as disturbed, in
/// processors: 8 % of a machine with two, about as far as two undisturbed samples lie apart.
pub const DISTURBED: f64 = 0.15;

/// How long quiet is watched for.
const GLANCE: Duration = Duration::from_millis(250);

/// How much a run puts up with.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Patience {
    /// The longest wait for quiet before a measurement, in seconds.
    pub wait_seconds: u64,
    /// How often a disturbed measurement is repeated.
    pub repeats: u32,
}

/// A measurement, and what else went on.
#[derive(Debug, Clone, Copy)]
pub struct Measured<T> {
    /// What was measured.
    pub value: T,
    /// Processors that strangers used meanwhile.
    pub strangers: f64,
    /// Processors the hypervisor took away meanwhile.
    pub stolen: f64,
}

impl<T> Measured<T> {
    /// Whether others had a part in the figure.
    pub fn is_disturbed(&self) -> bool {
        self.taken() >= DISTURBED
    }

    /// Processors that were not ours meanwhile.
    fn taken(&self) -> f64 {
        self.strangers + self.stolen
    }
}

impl Patience {
    /// Measures until it was quiet, or patience ends; the calmest try counts. A repeat that fails takes nothing from
    /// those that did not.
    pub fn measure<T>(&self, mut measurement: impl FnMut() -> Result<T>) -> Result<Measured<T>> {
        self.keep_calmest(|| {
            self.wait_for_quiet()?;
            let before = Reading::now()?;
            let value = measurement()?;
            let spent = before.until(&Reading::now()?)?;
            Ok(Measured { value, strangers: spent.strangers, stolen: spent.stolen })
        })
    }

    fn keep_calmest<T>(
        &self,
        mut take: impl FnMut() -> Result<Measured<T>>,
    ) -> Result<Measured<T>> {
        let mut calmest = take()?;
        for _ in 0..self.repeats {
            if !calmest.is_disturbed() {
                break;
            }
            match take() {
                Ok(again) if again.taken() < calmest.taken() => calmest = again,
                // One that failed says nothing against the one before.
                Ok(_) | Err(_) => {}
            }
            interrupt::check()?;
        }
        Ok(calmest)
    }

    fn wait_for_quiet(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(self.wait_seconds);
        while Instant::now() < deadline && strangers_during(GLANCE)? >= QUIET {
            interrupt::check()?;
        }
        interrupt::check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `tries` is kept of a first one and so many `repeats`, and how many were made; nothing stands for a try
    /// that failed.
    fn kept_of(tries: &[Option<(f64, f64)>], repeats: u32) -> (Option<(f64, f64)>, usize) {
        let mut made = 0;
        let patience = Patience { wait_seconds: 0, repeats };
        let kept = patience.keep_calmest(|| {
            made += 1;
            let (strangers, stolen) = tries[made - 1].ok_or("failed")?;
            Ok(Measured { value: (), strangers, stolen })
        });
        (kept.ok().map(|kept| (kept.strangers, kept.stolen)), made)
    }

    fn calmest_of(loads: &[(f64, f64)], repeats: u32) -> ((f64, f64), usize) {
        let tries: Vec<_> = loads.iter().copied().map(Some).collect();
        let (kept, made) = kept_of(&tries, repeats);
        (kept.unwrap(), made)
    }

    #[test]
    fn a_quiet_measurement_is_not_repeated() {
        assert_eq!(calmest_of(&[(0.1, 0.0), (9.0, 0.0)], 2), ((0.1, 0.0), 1));
    }

    #[test]
    fn of_disturbed_ones_the_calmest_counts() {
        let [much, less, none] = [(0.9, 0.0), (0.2, 0.0), (0.0, 0.0)];
        assert_eq!(calmest_of(&[much, less, (0.5, 0.0)], 2), (less, 3));
        assert_eq!(calmest_of(&[much, none], 2), (none, 2));
        assert_eq!(calmest_of(&[much], 0), (much, 1));
    }

    #[test]
    fn what_the_hypervisor_takes_disturbs_as_much() {
        let stolen = (0.0, 0.9);
        assert_eq!(calmest_of(&[stolen, (0.2, 0.0), (0.1, 0.4)], 2), ((0.2, 0.0), 3));
        assert_eq!(calmest_of(&[(0.1, 0.1), (0.0, 0.1)], 2), ((0.0, 0.1), 2));
    }

    #[test]
    fn a_repeat_that_fails_leaves_what_was_measured() {
        let [much, less] = [Some((0.9, 0.0)), Some((0.2, 0.0))];
        assert_eq!(kept_of(&[much, None], 1), (much, 2));
        assert_eq!(kept_of(&[much, None, less], 2), (less, 3));
        assert_eq!(kept_of(&[less, much, None], 2), (less, 3));
        assert_eq!(kept_of(&[None], 2), (None, 1));
    }
}
