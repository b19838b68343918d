//! The underlay between simulated hosts: delay, loss, duplication, and links that are cut.
//!
//! It carries no bytes itself. Whoever sends asks for the fate of one message and schedules what
//! comes of it, so datagrams and the agreement's calls suffer the same faults.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

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
    cut: BTreeSet<(HostNo, HostNo)>,
}

impl Net {
    /// An underlay without cuts.
    pub fn new(quality: Quality, seed: [u8; 32]) -> Self {
        Self { rng: ChaCha8Rng::from_seed(seed), quality, cut: BTreeSet::new() }
    }

    /// The delays after which copies of one message arrive: none when it is lost.
    pub fn fate(&mut self, from: HostNo, to: HostNo) -> Vec<Duration> {
        if self.is_cut(from, to) || self.rng.random_bool(self.quality.loss) {
            return Vec::new();
        }
        let copies = if self.rng.random_bool(self.quality.duplication) { 2 } else { 1 };
        (0..copies).map(|_| self.delay()).collect()
    }

    /// The delay of one message that is delivered once or never: `None` when it is lost.
    pub fn fate_of_call(&mut self, from: HostNo, to: HostNo) -> Option<Duration> {
        if self.is_cut(from, to) || self.rng.random_bool(self.quality.loss) {
            return None;
        }
        Some(self.delay())
    }

    fn delay(&mut self) -> Duration {
        let (min, max) = (self.quality.delay_min, self.quality.delay_max);
        let micros = self.rng.random_range(min.as_micros() as u64..=max.as_micros() as u64);
        Duration::from_micros(micros)
    }

    /// Whether messages from `from` to `to` vanish.
    pub fn is_cut(&self, from: HostNo, to: HostNo) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Cuts one direction of one link.
    pub fn cut(&mut self, from: HostNo, to: HostNo) {
        self.cut.insert((from, to));
    }

    /// Cuts both directions between the hosts of `side` and all of `hosts` outside it.
    pub fn partition(&mut self, side: &BTreeSet<HostNo>, hosts: &BTreeSet<HostNo>) {
        for inside in side {
            for outside in hosts.difference(side) {
                self.cut(*inside, *outside);
                self.cut(*outside, *inside);
            }
        }
    }

    /// Mends every link.
    pub fn heal(&mut self) {
        self.cut.clear();
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
    const C: HostNo = HostNo(3);

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
        assert!(net(1.0, 0.0).fate(A, B).is_empty());
        assert_eq!(net(1.0, 0.0).fate_of_call(A, B), None);
        let twice = net(0.0, 1.0).fate(A, B);
        assert_eq!(twice.len(), 2);
        let span = Duration::from_millis(1)..=Duration::from_millis(9);
        assert!(twice.iter().all(|delay| span.contains(delay)));
    }

    #[test]
    fn a_cut_has_a_direction_and_a_partition_two_sides() {
        let mut net = net(0.0, 0.0);
        net.cut(A, B);
        assert!(net.fate(A, B).is_empty() && !net.fate(B, A).is_empty());
        net.heal();
        net.partition(&[A].into(), &[A, B, C].into());
        assert!(net.is_cut(A, B) && net.is_cut(C, A) && !net.is_cut(B, C));
        net.heal();
        assert!(!net.is_cut(A, B));
    }
}
