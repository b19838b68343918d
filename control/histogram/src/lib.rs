//! Stands in for the crate `base2histogram`, which openraft counts its batch sizes with.
//!
//! The crate on the registry keeps tables for every resolution it knows, 26 MB that are filled when the
//! first value is recorded: more than everything else in an idle daemon. This one computes where a value
//! belongs and keeps counts only up to the largest one seen. Here is what openraft asks for and nothing
//! else; the root `Cargo.toml` puts it in the other's place.
//!
//! A bucket spans a quarter of a power of two, so a figure is at most 25 % above what it reports. That is
//! the layout of an HDR histogram with two significant bits.

use std::fmt;
use std::marker::PhantomData;

/// Bits of a value that tell buckets of one power of two apart: openraft's counts need no more.
const FINE_BITS: u32 = 2;

/// Buckets of one power of two.
const FINE: u64 = 1 << FINE_BITS;

/// How often values of each size were seen. `T` is a label openraft leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// By bucket; none after the last that was seen.
    counts: Vec<u64>,
    label: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: Vec::new(), label: PhantomData }
    }

    /// Counts `value`.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts `value` `times` over.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let bucket = bucket(value);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
    }

    /// How the values are spread.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.counts.iter().sum();
        let at = |share| self.smallest_above(samples, share);
        PercentileStats {
            samples,
            p0_1: at(0.001),
            p1: at(0.01),
            p5: at(0.05),
            p10: at(0.1),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
        }
    }

    /// The least value, as its bucket begins, that at least `share` of `samples` do not exceed.
    fn smallest_above(&self, samples: u64, share: f64) -> u64 {
        let wanted = (samples as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return least(bucket);
            }
        }
        0
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The bucket of `value`.
fn bucket(value: u64) -> usize {
    let Some(power) = value.checked_ilog2().filter(|power| *power >= FINE_BITS) else {
        return value as usize;
    };
    let fine = (value >> (power - FINE_BITS)) & (FINE - 1);
    (u64::from(power - FINE_BITS + 1) * FINE + fine) as usize
}

/// The least value in `bucket`.
fn least(bucket: usize) -> u64 {
    let (group, fine) = (bucket as u64 / FINE, bucket as u64 % FINE);
    if group == 0 { fine } else { (FINE + fine) << (group - 1) }
}

/// How values are spread: each figure is one that this share of them does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// Values counted.
    pub samples: u64,
    /// 0.1 %.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// Half.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(f, "{samples} samples, p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}")
    }
}

/// Named histograms, one below the other.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    lines: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With `histogram` as the next line.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram) -> Self {
        self.lines.push((name.to_owned(), histogram.percentile_stats()));
        self
    }

    /// As text, a line each.
    #[must_use]
    pub fn detailed(&self) -> String {
        self.lines.iter().map(|(name, stats)| format!("{name}: {stats}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_up_to_the_largest_value() {
        let last = bucket(u64::MAX);
        assert_eq!(last, 251);
        for at in 0..=last {
            assert_eq!(bucket(least(at)), at);
            assert!(at == 0 || bucket(least(at) - 1) == at - 1, "before bucket {at}");
        }
    }

    #[test]
    fn a_bucket_is_a_quarter_of_its_value_wide_at_most() {
        for at in 8..251 {
            assert!(least(at + 1) - least(at) <= least(at) / 4, "bucket {at}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p99, 0);
        histogram.record_n(1, 90);
        histogram.record_n(64, 9);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p50, stats.p90), (100, 1, 1, 1));
        assert_eq!((stats.p99, stats.p99_9), (64, least(251)));
    }

    #[test]
    fn a_chart_has_a_line_for_each() {
        let mut histogram = Histogram::new();
        histogram.record(7);
        let chart = AsciiChart::new().add("batches", histogram).detailed();
        assert_eq!(chart, "batches: 1 samples, p50 7, p90 7, p99 7, p99.9 7\n");
    }
}
