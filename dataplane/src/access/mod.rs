//! The policy at the receiver: what a peer may begin with this host, and what answers what.
//!
//! ```text
//! out   a packet to a peer that is held to something ──> what it begins is remembered as ours
//! in    a rule lets it in? ─no─> does it answer a flow of ours? ─no─> an error about one? ─no─> dropped
//! ```
//!
//! Nobody is asked about what leaves: each host guards itself, so a member that was broken into gains nothing by
//! forgetting the policy. Where there is no policy a packet costs one look at a flag.
//!
//! **Who began a flow** decides, not who may ([`beginnings`]): what a peer began under a rule goes when the rule goes, what
//! this host began goes on. A TCP flow is ours by the SYN we sent, and answers never begin with one.
//!
//! **Parts of packets** follow the first, which alone has ports; one that overtakes it is dropped.

mod beginnings;
mod flows;
mod part;

use std::net::IpAddr;
use std::time::Instant;

use mesh_model::MemberId;
use mesh_model::access::{Inbound, Openings, Traffic};

use crate::packet::ip::{FRAGMENT, ICMP, Inner, TCP, UDP};
use beginnings::Beginnings;
use flows::{Flow, Flows};
use part::{Part, Transport, quoted};

/// Rows of 8 for packets that come in parts, half of them for one peer's. A tunnel keeps order, so that few have parts on
/// their way at once. 24 KiB.
const PARTED: usize = 128;

/// The policy in one slice of a host: packets of a peer go through the same slice in both directions.
pub(crate) struct Access {
    beginnings: Beginnings,
    /// Packets whose first part was let in.
    parted: Flows,
}

/// Between which two ends a packet goes.
#[derive(Clone, Copy)]
struct Ends {
    member: MemberId,
    v6: bool,
}

impl Ends {
    fn of(member: MemberId, packet: &Inner<'_>) -> Self {
        Self { member, v6: packet.src().is_ipv6() }
    }

    fn flow(self, protocol: u8, ours: u16, theirs: u16) -> Flow {
        Flow { member: self.member, protocol, ours, theirs, v6: self.v6 }
    }

    /// What the parts marked `ident` belong to.
    fn parted(self, ident: u32) -> Flow {
        self.flow(FRAGMENT, (ident >> 16) as u16, ident as u16)
    }
}

impl Access {
    /// Without any flows. Nobody who does not know `seed` can choose whose place a flow takes.
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        Self { beginnings: Beginnings::new(seed, now), parted: Flows::new(PARTED, seed, now) }
    }

    /// A peer that was held to `before` is held to `inbound` from now on. Makes room for what is to be remembered, so that no
    /// packet has to.
    pub(crate) fn hold(&mut self, before: Option<&Openings>, inbound: &Inbound, now: Instant) {
        let Inbound::Only(openings) = inbound else { return };
        self.beginnings.watch(now);
        self.parted.make_room();
        if before.is_some_and(|before| !openings.include(before)) {
            self.beginnings.take_back(now);
        }
    }

    /// `packet` leaves for `member`, which is held to `held`.
    pub(crate) fn note(
        &mut self,
        member: MemberId,
        held: &Openings,
        packet: &Inner<'_>,
        now: Instant,
    ) {
        let (Some(Part::Whole(transport)) | Some(Part::First { transport, .. })) = Part::of(packet)
        else {
            return;
        };
        let (ends, beginnings) = (Ends::of(member, packet), &mut self.beginnings);
        match transport {
            Transport::Tcp { src, dst, begins } => {
                let flow = ends.flow(TCP, src, dst);
                let passes_for_client = || src > dst && !held.permits(Traffic::Tcp(src));
                if begins || beginnings.takes_up(now) && passes_for_client() {
                    beginnings.begin(flow, now);
                } else {
                    beginnings.refresh(flow, now);
                }
            }
            Transport::Udp { src, dst } => {
                beginnings.speak(ends.flow(UDP, src, dst), held.permits(Traffic::Udp(src)), now);
            }
            Transport::EchoRequest { id } => beginnings.begin(ends.flow(ICMP, id, 0), now),
            Transport::Other { protocol } => {
                beginnings.speak(ends.flow(protocol, 0, 0), held.permits(Traffic::Other), now);
            }
            Transport::EchoReply { .. } | Transport::IcmpError { .. } | Transport::Icmp => {}
        }
    }

    /// Whether `packet` of `member`, which is held to `held` and may use its source address, is let in. `is_its` says
    /// whether an address is the sender's.
    pub(crate) fn admits(
        &mut self,
        member: MemberId,
        held: &Openings,
        packet: &Inner<'_>,
        now: Instant,
        is_its: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let ends = Ends::of(member, packet);
        match Part::of(packet) {
            None => false,
            Some(Part::Whole(transport)) => {
                self.admits_whole((ends, held), packet, transport, now, is_its)
            }
            Some(Part::First { ident, transport }) => {
                let admitted = self.admits_whole((ends, held), packet, transport, now, is_its);
                if admitted {
                    self.parted.remember(ends.parted(ident), now);
                }
                admitted
            }
            Some(Part::Later { ident }) => self.parted.refresh(ends.parted(ident), now),
        }
    }

    fn admits_whole(
        &mut self,
        (ends, held): (Ends, &Openings),
        packet: &Inner<'_>,
        transport: Transport<'_>,
        now: Instant,
        is_its: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let permits = |traffic| held.permits(traffic);
        let beginnings = &mut self.beginnings;
        match transport {
            Transport::Tcp { src, dst, begins } => {
                permits(Traffic::Tcp(dst))
                    || !begins && beginnings.refresh(ends.flow(TCP, dst, src), now)
            }
            Transport::Udp { src, dst } => {
                beginnings.hear(ends.flow(UDP, dst, src), permits(Traffic::Udp(dst)), now)
            }
            Transport::EchoReply { id } => {
                permits(Traffic::Icmp) || beginnings.refresh(ends.flow(ICMP, id, 0), now)
            }
            Transport::IcmpError { message } => {
                permits(Traffic::Icmp)
                    || self.is_about_ours((ends.member, held), packet, message, now, is_its)
            }
            Transport::EchoRequest { .. } | Transport::Icmp => permits(Traffic::Icmp),
            Transport::Other { protocol } => {
                beginnings.hear(ends.flow(protocol, 0, 0), permits(Traffic::Other), now)
            }
        }
    }

    /// Whether an error that came in `packet` quotes a packet from us to its sender, of a flow that is ours or that a
    /// rule let in.
    fn is_about_ours(
        &self,
        (member, held): (MemberId, &Openings),
        packet: &Inner<'_>,
        message: &[u8],
        now: Instant,
        is_its: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let Ok(sent) = Inner::parse_quoted(message) else { return false };
        if sent.src() != packet.dst() || !is_its(sent.dst()) {
            return false;
        }
        let Some((protocol, ours, theirs)) = quoted(&sent) else { return false };
        let let_in = match protocol {
            TCP => held.permits(Traffic::Tcp(ours)),
            UDP => held.permits(Traffic::Udp(ours)),
            _ => false,
        };
        let flow = Ends::of(member, &sent).flow(protocol, ours, theirs);
        let_in || self.beginnings.knows(flow, now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use allocation_counter::measure;

    use super::*;
    use crate::packet::udp;

    #[test]
    fn no_packet_costs_an_allocation() {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let ends =
            |ports: [u16; 2]| [([10, 0, 0, 1], ports[0]).into(), ([10, 0, 0, 2], ports[1]).into()];
        let packet =
            |[src, dst]: [std::net::SocketAddr; 2]| udp::encode(src, dst, b"hello").unwrap();
        let (asked, denied) = (packet(ends([5_000, 53])), packet(ends([53, 5_001])));
        let [answer] = [ends([5_000, 53])].map(|[a, b]| packet([b, a]));
        let member = MemberId(7);
        let held = Openings::default();
        let mut access = Access::new(1, now);
        access.hold(None, &Inbound::Only(Arc::default()), now);
        let mut let_in = 0;
        let allocated = measure(|| {
            for _ in 0..100 {
                access.note(member, &held, &Inner::parse(&asked).unwrap(), now);
                for packet in [&answer, &denied] {
                    let inner = Inner::parse(packet).unwrap();
                    let_in += usize::from(access.admits(member, &held, &inner, now, |_| true));
                }
            }
        });
        assert_eq!((allocated.count_total, let_in), (0, 100));
    }
}
