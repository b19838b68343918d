//! Every way a packet can end early, one counter each.

use std::iter::Sum;

use mesh_model::Fault;

macro_rules! drops {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $fault:ident;)*) => {
        /// Why a packet ended early.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Drop {
            $($(#[$doc])* $variant,)*
        }

        impl Drop {
            /// All reasons, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The reason's name in status documents and metrics. Stable.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Whose fault it is.
            pub fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault),* }
            }
        }
    };
}

drops! {
    /// Outgoing: not an IPv4 or IPv6 packet, or its lengths contradict each other.
    InnerMalformed => "inner_malformed", Local;
    /// Outgoing: longer than a sealed packet may be.
    InnerTooLarge => "inner_too_large", Local;
    /// Outgoing: from the kernel to a port that only daemons talk to.
    ControlFromKernel => "control_from_kernel", Local;
    /// Outgoing: no peer's allowed IPs hold the destination.
    NoRoute => "no_route", Local;
    /// Outgoing: nobody knows where the peer is.
    NoEndpoint => "no_endpoint", World;
    /// Outgoing: addressed to the very place where the peer that holds the destination is, so that the
    /// route to the peer leads through its own tunnel; or wrapped by so many tunnels that they must lead
    /// into each other.
    RoutingLoop => "routing_loop", Local;
    /// Outgoing: too many packets already wait for the peer's handshake.
    HoldFull => "hold_full", World;
    /// Outgoing: waited for a handshake that was given up.
    HandshakeTimeout => "handshake_timeout", World;
    /// Outgoing: waited for a handshake with a peer that was removed.
    PeerRemoved => "peer_removed", World;
    /// Either way: a handshake on a device without a private key.
    NoPrivateKey => "no_private_key", Local;
    /// Either way: while the interface of a plain device was switched off.
    InterfaceDown => "interface_down", Local;
    /// Outgoing: the sink had no room for the datagram.
    SinkFull => "sink_full", World;
    /// Incoming: not a WireGuard message of types 1 to 4, or not of its type's length.
    DatagramMalformed => "datagram_malformed", Peer;
    /// Incoming: a handshake whose first MAC is wrong: the sender does not know our key, or it was
    /// damaged.
    BadMac => "bad_mac", Peer;
    /// Incoming: a handshake answered with a cookie, to be repeated with proof of its source
    /// address.
    CookieRequired => "cookie_required", World;
    /// Incoming: a handshake from a source that has used up its budget.
    HandshakeBudget => "handshake_budget", Peer;
    /// Incoming: a handshake or cookie that does not decrypt.
    HandshakeInvalid => "handshake_invalid", Peer;
    /// Incoming: an initiation no newer than the last one of that peer.
    HandshakeReplay => "handshake_replay", Peer;
    /// Incoming: a response or cookie nobody waits for.
    HandshakeUnexpected => "handshake_unexpected", Peer;
    /// Incoming: an initiation with a key that is no peer's.
    UnknownPeer => "unknown_peer", Peer;
    /// Incoming: names a session index that no tunnel has.
    UnknownIndex => "unknown_index", Peer;
    /// Incoming: names a session that has expired.
    NoSession => "no_session", Peer;
    /// Incoming: data that does not decrypt.
    DecryptFailed => "decrypt_failed", Peer;
    /// Incoming: data seen before, or too old to tell.
    Replay => "replay", Peer;
    /// Either way: a handshake with a public key of low order, which proves nothing.
    LowOrderKey => "low_order_key", Peer;
    /// Either way: a counter at or above WireGuard's Reject-After-Messages.
    CounterExhausted => "counter_exhausted", Peer;
    /// Incoming: decrypted to something that is not an IP packet.
    DecryptedMalformed => "decrypted_malformed", Peer;
    /// Incoming: the inner source address is not its sender's.
    SourceNotAllowed => "source_not_allowed", Peer;
    /// Incoming: the inner destination is not this host.
    NotForUs => "not_for_us", Peer;
    /// Incoming: nothing that the mesh's policy lets in, nor an answer to anything of ours. The sender may have meant no
    /// harm; whether the policy is what it should be is for its operator to say.
    PolicyDenied => "policy_denied", Local;
    /// Either way: what programs say to each other, in a session without the pair's key, where nothing is to pass without
    /// it. Either host's configuration may be what has to change.
    NoPairKey => "no_pair_key", Local;
    /// Either way: a handshake for which no session index is left.
    IndicesFull => "indices_full", Local;
    /// Either way: handed on by another slice for a peer that has changed slices since.
    Moved => "moved", World;
    /// Not a packet but an event that nobody polled in time.
    EventsFull => "events_full", Local;
}

/// The counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops([u64; Drop::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; Drop::ALL.len()])
    }
}

impl Drops {
    /// Every reason and how many packets ended for it, reasons never seen included.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        Drop::ALL.iter().copied().zip(self.0.iter().copied())
    }

    /// How many packets ended for `reason`.
    pub fn get(&self, reason: Drop) -> u64 {
        self.0[reason as usize]
    }

    /// How many packets ended early.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts one.
    pub(crate) fn count(&mut self, reason: Drop) {
        self.add(reason, 1);
    }

    /// Counts `n`.
    pub(crate) fn add(&mut self, reason: Drop, n: usize) {
        tracing::trace!(reason = reason.name(), n, "dropped");
        self.0[reason as usize] += n as u64;
    }
}

impl<'a> Sum<&'a Drops> for Drops {
    fn sum<I: Iterator<Item = &'a Drops>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, drops| {
            sum.0.iter_mut().zip(drops.0).for_each(|(count, more)| *count += more);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_snake_case_and_differ() {
        let names: BTreeSet<_> = Drop::ALL.iter().map(|drop| drop.name()).collect();
        assert_eq!(names.len(), Drop::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn each_reason_has_its_own_counter() {
        let mut drops = Drops::default();
        for (n, reason) in Drop::ALL.iter().enumerate() {
            drops.add(*reason, n);
        }
        for (n, (reason, count)) in drops.iter().enumerate() {
            assert_eq!((count, drops.get(reason)), (n as u64, n as u64));
        }
    }
}
