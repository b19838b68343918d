//! Destinations to which no runs of datagrams leave.
//!
//! The kernel refuses a run when the device on the way cannot do its sums, or when the way is too narrow
//! for the run's datagrams, which single ones cross in parts. That says nothing about other destinations,
//! and nothing for ever: routes change.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a refusal counts. Trying again costs one call that is refused.
const LASTS: Duration = Duration::from_secs(60);

/// Refusals that are remembered; the oldest make room. With more narrow ways than that each turn asks
/// some of them again.
const MOST: usize = 64;

/// The destinations, oldest refusal first.
#[derive(Default)]
pub(super) struct Refusals(VecDeque<(IpAddr, Instant)>);

impl Refusals {
    /// Whether runs may leave for `to`.
    pub(super) fn allow(&self, to: IpAddr) -> bool {
        self.0.iter().all(|(refused, _)| *refused != to)
    }

    /// A run to `to` was refused.
    pub(super) fn add(&mut self, to: IpAddr, now: Instant) {
        self.forget(to);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((to, now));
    }

    /// It was not the run's fault after all.
    pub(super) fn forget(&mut self, to: IpAddr) {
        self.0.retain(|(refused, _)| *refused != to);
    }

    /// Forgets what is too long ago.
    pub(super) fn expire(&mut self, now: impl Fn() -> Instant) {
        while let Some((_, at)) = self.0.front()
            && now() >= *at + LASTS
        {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: usize) -> IpAddr {
        IpAddr::from((n as u128).to_be_bytes())
    }

    #[test]
    fn a_refusal_is_one_destinations_and_lasts_a_while() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        assert!(refusals.allow(host(1)));
        refusals.add(host(1), start);
        refusals.add(host(2), start + LASTS / 2);
        let allowed = |refusals: &Refusals| [1, 2, 3].map(|n| refusals.allow(host(n)));
        assert_eq!(allowed(&refusals), [false, false, true]);
        refusals.expire(|| start + LASTS - Duration::from_nanos(1));
        assert_eq!(allowed(&refusals), [false, false, true]);
        refusals.expire(|| start + LASTS);
        assert_eq!(allowed(&refusals), [true, false, true]);
        refusals.forget(host(2));
        assert_eq!(allowed(&refusals), [true; 3]);
    }

    #[test]
    fn so_many_are_remembered_and_the_latest_of_them() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        for n in 0..=MOST {
            refusals.add(host(n), start);
            refusals.add(host(n), start);
        }
        assert!(refusals.allow(host(0)));
        assert!((1..=MOST).all(|n| !refusals.allow(host(n))));
        assert_eq!(refusals.0.len(), MOST);
    }
}
