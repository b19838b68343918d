//! The device-wide source check.
//!
//! WireGuard accepts a decrypted packet if its source lies in the sender's allowed IPs. That is not
//! enough once prefixes nest: a peer that holds 10.0.0.0/8 could speak for the peer that holds
//! 10.1.2.3/32. So the question is asked the other way round: whose address is this, over all
//! peers? It must be the sender's.

use std::net::IpAddr;

use super::Fib;
use crate::peers::Slot;

impl Fib {
    /// Whether a packet from `peer` may carry the source address `source`.
    pub(crate) fn is_source_of(&mut self, peer: Slot, source: IpAddr) -> bool {
        self.lookup(source) == Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_prefix_does_not_speak_for_a_narrower_one() {
        let mut fib = Fib::default();
        fib.insert("10.0.0.0/8".parse().unwrap(), Slot(1));
        fib.insert("10.1.2.3/32".parse().unwrap(), Slot(2));
        let inner = "10.1.2.3".parse().unwrap();
        assert!(!fib.is_source_of(Slot(1), inner));
        assert!(fib.is_source_of(Slot(2), inner));
        assert!(fib.is_source_of(Slot(1), "10.1.2.4".parse().unwrap()));
        assert!(!fib.is_source_of(Slot(1), "192.0.2.1".parse().unwrap()));
    }
}
