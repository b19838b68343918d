//! The underlay between simulated hosts: delay, loss, duplication, links that are cut or clogged.
//!
//! It carries no bytes itself. Whoever sends asks for the fate of one message and schedules what
//! comes of it, so datagrams and the agreement's calls suffer the same faults.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::cuts::Links;
use crate::link::{Link, Weather};

/// A simulated host, by its number from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostNo(pub u8);

impl HostNo {
    /// Where the host's daemon listens: 192.0.2.N (TEST-NET-1, RFC 5737).
    pub fn endpoint(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, self.0)), 51820)
    }

    /// The host that listens at `endpoint`, if one may.
    pub fn at(endpoint: SocketAddr) -> Option<Self> {
        match endpoint.ip() {
            IpAddr::V4(ip) if ip.octets()[..3] == [192, 0, 2] && endpoint.port() == 51820 => {
                Some(Self(ip.octets()[3]))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for HostNo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "h{}", self.0)
    }
}

impl std::fmt::Debug for HostNo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// How a link treats messages.
#[derive(Debug, Clone, Copy)]
pub struct Quality {
    /// The shortest delay one way.
    pub delay_min: Duration,
    /// The longest delay one way. Messages overtake each other within this span.
    pub delay_max: Duration,
    /// The share of messages lost, 0 to 1.
    pub loss: f64,
    /// The share of messages delivered twice, 0 to 1.
    pub duplication: f64,
}

/// The underlay.
pub struct Net {
    rng: ChaCha8Rng,
    quality: Quality,
    /// Directed links that carry nothing.
    cut: Links,
    /// Directed links that are worse than the others.
    worse: BTreeMap<(HostNo, HostNo), Link>,
}

impl Net {
    /// An underlay without cuts.
    pub fn new(quality: Quality, seed: [u8; 32]) -> Self {
        let rng = ChaCha8Rng::from_seed(seed);
        Self { rng, quality, cut: Links::new(), worse: BTreeMap::new() }
    }

    /// The delays after which copies of one message of `len` bytes arrive: none when it is lost.
    pub fn fate(&mut self, link: (HostNo, HostNo), len: usize, now: Duration) -> Vec<Duration> {
        let Some(first) = self.fate_of_call(link, len, now) else { return Vec::new() };
        if !self.rng.random_bool(self.quality.duplication) {
            return vec![first];
        }
        // A copy takes a way of its own, unless all ways lead through one queue.
        let queued = self.worse.get(&link).is_some_and(Link::is_queue);
        vec![first, if queued { first } else { self.delay() }]
    }

    /// The delay of one message that is delivered once or never: `None` when it is lost.
    pub fn fate_of_call(
        &mut self,
        link: (HostNo, HostNo),
        len: usize,
        now: Duration,
    ) -> Option<Duration> {
        if self.cut.contains(&link) || self.rng.random_bool(self.quality.loss) {
            return None;
        }
        let Some(worse) = self.worse.get_mut(&link) else { return Some(self.delay()) };
        if self.rng.random_bool(worse.weather.loss) {
            return None;
        }
        let through = worse.carry(len, now)?;
        // Nothing overtakes in a queue.
        Some(if worse.is_queue() { through + self.quality.delay_min } else { self.delay() })
    }

    fn delay(&mut self) -> Duration {
        let (min, max) = (self.quality.delay_min, self.quality.delay_max);
        let micros = self.rng.random_range(min.as_micros() as u64..=max.as_micros() as u64);
        Duration::from_micros(micros)
    }

    /// Messages over `links` vanish from now on.
    pub fn cut(&mut self, links: &Links) {
        self.cut.extend(links);
    }

    /// Whether what `from` sends to `to` can arrive.
    pub fn is_open(&self, (from, to): (HostNo, HostNo)) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// `links` are worse than the others from now on.
    pub fn worsen(&mut self, links: &Links, weather: Weather) {
        self.worse.extend(links.iter().map(|link| (*link, Link::new(weather))));
    }

    /// Mends every link.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.worse.clear();
    }

    /// Changes how all links treat messages from now on.
    pub fn set_quality(&mut self, quality: Quality) {
        self.quality = quality;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostNo = HostNo(1);
    const B: HostNo = HostNo(2);
    const NOW: Duration = Duration::ZERO;

    fn net(loss: f64, duplication: f64) -> Net {
        let (delay_min, delay_max) = (Duration::from_millis(1), Duration::from_millis(9));
        Net::new(Quality { delay_min, delay_max, loss, duplication }, [7; 32])
    }

    #[test]
    fn an_endpoint_leads_back_to_its_host() {
        assert_eq!(HostNo::at(A.endpoint()), Some(A));
        assert_eq!(HostNo::at(SocketAddr::from(([192, 0, 2, 1], 1))), None);
        assert_eq!(HostNo::at(SocketAddr::from(([198, 51, 100, 1], 51820))), None);
    }

    #[test]
    fn fates_follow_the_quality() {
        assert!(net(1.0, 0.0).fate((A, B), 1, NOW).is_empty());
        assert_eq!(net(1.0, 0.0).fate_of_call((A, B), 1, NOW), None);
        let twice = net(0.0, 1.0).fate((A, B), 1, NOW);
        assert_eq!(twice.len(), 2);
        let span = Duration::from_millis(1)..=Duration::from_millis(9);
        assert!(twice.iter().all(|delay| span.contains(delay)));
    }

    #[test]
    fn a_cut_has_a_direction_and_ends() {
        let mut net = net(0.0, 0.0);
        net.cut(&[(A, B)].into());
        assert!(net.fate((A, B), 1, NOW).is_empty() && !net.fate((B, A), 1, NOW).is_empty());
        net.heal();
        assert!(!net.fate((A, B), 1, NOW).is_empty());
    }

    #[test]
    fn a_clogged_link_is_slow_and_keeps_the_order() {
        let mut net = net(0.0, 0.0);
        let queue = Duration::from_secs(60);
        net.worsen(&[(A, B)].into(), Weather { loss: 0.0, bytes_per_second: Some(100), queue });
        let arrivals: Vec<_> = (0..20).flat_map(|_| net.fate((A, B), 50, NOW)).collect();
        assert!(arrivals.is_sorted() && arrivals[19] > Duration::from_secs(9));
        assert!(net.fate((B, A), 50, NOW)[0] < Duration::from_millis(10));
    }

    #[test]
    fn a_burst_of_loss_is_on_top() {
        let mut net = net(0.0, 0.0);
        let burst = Weather { loss: 0.5, bytes_per_second: None, queue: Duration::ZERO };
        net.worsen(&[(A, B)].into(), burst);
        let through = (0..1000).filter(|_| net.fate_of_call((A, B), 1, NOW).is_some()).count();
        assert!((400..600).contains(&through), "{through}");
    }
}
