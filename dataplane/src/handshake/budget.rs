//! Token buckets: how many handshakes a source may cost us.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::slice::{GATEKEEPER, Slice};

/// How many at once, and how many per second in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, after a pause.
    pub burst: u32,
    /// Per second. Zero counts as one.
    pub per_second: u32,
}

/// What handshakes may cost.
///
/// One costs about 0.25 ms of a core, or 0.07 ms when it turns out to come from no peer
/// (`cargo bench -p mesh-dataplane answer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeBudget {
    /// Without proof of the source address, over all sources. 128 per second are some 3 % of a
    /// core.
    pub free: Rate,
    /// Without proof, per source: a reboot with a few retries, or a few members behind one NAT.
    pub free_per_source: Rate,
    /// With proof, per source: a site of some dozens of members behind one NAT coming back at once.
    pub proven_per_source: Rate,
}

impl Default for HandshakeBudget {
    fn default() -> Self {
        Self {
            free: Rate { burst: 128, per_second: 128 },
            free_per_source: Rate { burst: 16, per_second: 8 },
            proven_per_source: Rate { burst: 64, per_second: 32 },
        }
    }
}

impl HandshakeBudget {
    /// The part of it that one slice has.
    ///
    /// All initiations are judged by one slice, which has all of it. What others judge are responses,
    /// which must name a session index of ours: only somebody on the path can. They divide the budget of
    /// a source, so that all together it costs at most twice what it may cost a single engine.
    pub(crate) fn share(self, slice: Slice) -> Self {
        if slice.this() == GATEKEEPER {
            return self;
        }
        let divided = |rate: Rate| {
            let divided = |n: u32| n.div_ceil(slice.of() as u32);
            Rate { burst: divided(rate.burst), per_second: divided(rate.per_second) }
        };
        Self {
            free: self.free,
            free_per_source: divided(self.free_per_source),
            proven_per_source: divided(self.proven_per_source),
        }
    }
}

/// Sources remembered per map: 4096 at some 50 bytes each. A source is forgotten once its bucket is
/// full again, two seconds at the default rates. A full map refuses new sources: a flood from more
/// free sources than this makes everybody show a cookie, one from more proven sources is a botnet
/// that fills the link as well.
const MAX_SOURCES: usize = 4096;

/// Full buckets are swept at most this often, so that a flood does not pay for a sweep per packet.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The budgets of one engine.
#[derive(Debug)]
pub(super) struct Budget {
    free: Bucket,
    free_rate: Rate,
    free_sources: Sources,
    proven_sources: Sources,
}

impl Budget {
    pub(super) fn new(budget: HandshakeBudget, now: Instant) -> Self {
        Self {
            free: Bucket { full_at: now },
            free_rate: budget.free,
            free_sources: Sources::new(budget.free_per_source, now),
            proven_sources: Sources::new(budget.proven_per_source, now),
        }
    }

    /// Spends one handshake without proof; `false` when proof is needed.
    pub(super) fn spend_free(&mut self, from: IpAddr, now: Instant) -> bool {
        self.free_sources.spend(from, now) && self.free.spend(self.free_rate, now)
    }

    /// Spends one handshake without proof from its source's budget only.
    pub(super) fn spend_source(&mut self, from: IpAddr, now: Instant) -> bool {
        self.free_sources.spend(from, now)
    }

    /// Spends one handshake with proof; `false` when the source has had enough.
    pub(super) fn spend_proven(&mut self, from: IpAddr, now: Instant) -> bool {
        self.proven_sources.spend(from, now)
    }
}

/// A token bucket as one instant: when it will be full again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Instant,
}

impl Bucket {
    fn spend(&mut self, rate: Rate, now: Instant) -> bool {
        let token = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.max(now) + token;
        let spent = full_at - now <= token * rate.burst;
        if spent {
            self.full_at = full_at;
        }
        spent
    }
}

/// One bucket per source, of which a bounded number is remembered.
#[derive(Debug)]
struct Sources {
    rate: Rate,
    buckets: BTreeMap<Source, Bucket>,
    swept: Instant,
}

impl Sources {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, buckets: BTreeMap::new(), swept: now }
    }

    fn spend(&mut self, from: IpAddr, now: Instant) -> bool {
        let source = Source::of(from);
        if self.buckets.len() >= MAX_SOURCES && !self.buckets.contains_key(&source) {
            self.sweep(now);
            if self.buckets.len() >= MAX_SOURCES {
                return false;
            }
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { full_at: now });
        bucket.spend(self.rate, now)
    }

    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) >= SWEEP_EVERY {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
            self.swept = now;
        }
    }
}

/// Whom a budget belongs to: an IPv4 address, or the /64 that one IPv6 host can choose its address
/// from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Source(u128);

impl Source {
    fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().into()),
            IpAddr::V6(v6) => Self(u128::from(v6) & (u128::MAX << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn budget(now: Instant) -> Budget {
        Budget::new(HandshakeBudget::default(), now)
    }

    #[test]
    fn a_source_runs_out_and_recovers_while_others_are_served() {
        let mut now = start();
        let mut budget = budget(now);
        let served = (0..1000).filter(|_| budget.spend_free(v4(1), now)).count();
        assert_eq!(served, 16);
        assert!(budget.spend_free(v4(2), now));
        now += Duration::from_secs(1);
        let served = (0..1000).filter(|_| budget.spend_free(v4(1), now)).count();
        assert_eq!(served, 8);
    }

    #[test]
    fn the_free_budget_is_shared_and_the_proven_one_is_not() {
        let now = start();
        let mut budget = budget(now);
        let served = (0..1000).filter(|n| budget.spend_free(v4(*n), now)).count();
        assert_eq!(served, 128);
        assert!((0..1000).all(|n| budget.spend_proven(v4(n), now)));
        let served = (0..1000).filter(|_| budget.spend_proven(v4(1), now)).count();
        assert_eq!(served, 63, "one was spent above");
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let mut now = start();
        let mut budget = budget(now);
        let served = (0..10_000).filter(|n| budget.spend_proven(v4(*n), now)).count();
        assert_eq!(served, MAX_SOURCES);
        assert_eq!(budget.proven_sources.buckets.len(), MAX_SOURCES);
        now += SWEEP_EVERY;
        assert!(budget.spend_proven(v4(20_000), now));
        assert_eq!(budget.proven_sources.buckets.len(), 1);
    }

    #[test]
    fn of_a_flood_without_proof_some_sources_are_remembered_and_soon_forgotten() {
        let mut now = start();
        let mut budget = budget(now);
        for n in 0..60_000 {
            // 20,000 a second.
            now += Duration::from_micros(50);
            budget.spend_free(v4(n), now);
            assert!(budget.free_sources.buckets.len() <= MAX_SOURCES);
        }
        now += SWEEP_EVERY;
        assert!(
            (0..MAX_SOURCES as u32).all(|n| budget.spend_source(v4(n), now)),
            "room for as many"
        );
    }

    #[test]
    fn an_ipv6_host_does_not_multiply_by_choosing_addresses() {
        let now = start();
        let mut budget = budget(now);
        let served = (0..1000u128)
            .filter(|n| budget.spend_free(IpAddr::V6((0x2001_0db8 << 96 | n).into()), now))
            .count();
        assert_eq!(served, 16);
        let mapped = "::ffff:0.0.0.7".parse().unwrap();
        assert_eq!(Source::of(mapped), Source::of(v4(7)));
    }
}
