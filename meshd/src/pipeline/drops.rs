//! Why the packet thread dropped something. What the packet core drops, it counts itself.

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathDrop {
    /// A datagram that is neither WireGuard's nor QUIC's.
    NotOurs,
    /// A joiner's datagram while the join queue was full.
    JoinQueueFull,
    /// A control frame that is no UDP datagram to a control port.
    ControlMalformed,
    /// A gossip frame while its queue was full.
    GossipQueueFull,
    /// An agreement frame while its queue was full.
    AgreementQueueFull,
    /// An echo while its queue was full.
    EchoQueueFull,
    /// An event while its queue was full.
    EventQueueFull,
    /// An own packet while the order queue was full.
    OrderQueueFull,
    /// Packets for a peer of another packet thread that was too far behind.
    HandoverFull,
    /// A packet that had waited too long for a slow uplink, or was one too many to wait.
    Congested,
    /// A datagram outside any tunnel, of joining, while the buffer of what waits to be sent was full.
    UdpFull,
    /// A datagram the kernel would not send: no route, no permission, too long.
    UdpRefused,
    /// A packet for the kernel without a TUN device.
    TunAbsent,
    /// A packet from the TUN device that contradicts itself.
    TunMalformed,
    /// A packet the TUN device had no room for.
    TunFull,
    /// A packet the TUN device would not take: interface down, malformed.
    TunRefused,
}

impl PathDrop {
    const ALL: [(Self, &'static str); 16] = [
        (Self::NotOurs, "not_ours"),
        (Self::JoinQueueFull, "join_queue_full"),
        (Self::ControlMalformed, "control_malformed"),
        (Self::GossipQueueFull, "gossip_queue_full"),
        (Self::AgreementQueueFull, "agreement_queue_full"),
        (Self::EchoQueueFull, "echo_queue_full"),
        (Self::EventQueueFull, "event_queue_full"),
        (Self::OrderQueueFull, "order_queue_full"),
        (Self::HandoverFull, "handover_full"),
        (Self::Congested, "congested"),
        (Self::UdpFull, "udp_full"),
        (Self::UdpRefused, "udp_refused"),
        (Self::TunAbsent, "tun_absent"),
        (Self::TunMalformed, "tun_malformed"),
        (Self::TunFull, "tun_full"),
        (Self::TunRefused, "tun_refused"),
    ];
}

/// One counter per reason.
#[derive(Debug, Default)]
pub(crate) struct PathDrops([u64; PathDrop::ALL.len()]);

impl PathDrops {
    /// Counts `count` drops.
    pub(crate) fn add(&mut self, reason: PathDrop, count: u64) {
        self.0[reason as usize] += count;
    }

    /// All reasons with their stable names, in one order for good.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        PathDrop::ALL.iter().map(|(reason, name)| (*name, self.0[*reason as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        for (at, (reason, name)) in PathDrop::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at, "{name}");
            let mut drops = PathDrops::default();
            drops.add(*reason, 3);
            let counted: Vec<_> = drops.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(*name, 3)]);
        }
    }
}
