//! Who is at the door: counted in all and per source, so that no stranger fills it alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Visitors at once. Each holds a connection's state, some 100 kB with its buffers.
pub(super) const MAX_VISITORS: usize = 64;

/// Visitors at once from one source: a few hosts behind one NAT that join together. The others try
/// again.
pub(super) const MAX_PER_SOURCE: usize = 4;

/// Bits of an IPv6 address that tell one network from the next (RFC 6177): whoever has one address has
/// the 2^64 beside it.
const NETWORK_BITS: u32 = 64;

/// The visitors there are. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Visitors(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One visitor, until dropped.
#[derive(Debug)]
pub(super) struct Visit {
    visitors: Visitors,
    source: IpAddr,
}

/// Why a visitor is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowd {
    /// Too many there are.
    All,
    /// Too many came from the same source.
    Source,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "{MAX_VISITORS} others are at the door"),
            Self::Source => {
                write!(f, "{MAX_PER_SOURCE} others from the same source are at the door")
            }
        }
    }
}

impl Visitors {
    /// Counts one from `address` in, if there is room.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Visit, Crowd> {
        let source = source(address);
        let mut present = self.present();
        if present.values().sum::<usize>() >= MAX_VISITORS {
            return Err(Crowd::All);
        }
        let count = present.entry(source).or_default();
        if *count >= MAX_PER_SOURCE {
            return Err(Crowd::Source);
        }
        *count += 1;
        Ok(Visit { visitors: self.clone(), source })
    }

    fn present(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut present = self.visitors.present();
        if let Some(count) = present.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.source);
            }
        }
    }
}

/// What `address` is counted as.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - NETWORK_BITS))).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(visitors: &Visitors, address: &str) -> Result<Visit, Crowd> {
        visitors.admit(address.parse().expect("an address"))
    }

    #[test]
    fn one_source_does_not_fill_the_door() {
        let visitors = Visitors::default();
        let held: Vec<_> = (0..MAX_PER_SOURCE).map(|_| admit(&visitors, "192.0.2.1")).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(admit(&visitors, "::ffff:192.0.2.1").unwrap_err(), Crowd::Source);
        admit(&visitors, "192.0.2.2").expect("another source");
        drop(held);
        admit(&visitors, "192.0.2.1").expect("room again");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let visitors = Visitors::default();
        let held: Vec<_> =
            (0..MAX_PER_SOURCE).map(|n| admit(&visitors, &format!("2001:db8::{n}:1"))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(admit(&visitors, "2001:db8::ffff").unwrap_err(), Crowd::Source);
        admit(&visitors, "2001:db8:0:1::ffff").expect("another network");
    }

    #[test]
    fn the_door_holds_so_many_and_forgets_who_left() {
        let visitors = Visitors::default();
        let held: Vec<_> =
            (0..MAX_VISITORS).map(|n| admit(&visitors, &format!("192.0.2.{n}"))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(admit(&visitors, "198.51.100.1").unwrap_err(), Crowd::All);
        drop(held);
        assert!(visitors.present().is_empty());
        admit(&visitors, "198.51.100.1").expect("room again");
    }
}
