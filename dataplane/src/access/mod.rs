//! The policy at the receiver: what a peer may begin with this host, and what answers what.
//!
//! ```text
//! out   a packet to a peer that is held to something ──> its flow is remembered as ours
//! in    a rule lets it in? ─no─> does it answer a flow of ours? ─no─> an error about one? ─no─> dropped
//! ```
//!
//! Nobody is asked about what leaves: each host guards itself, so a member that was broken into gains nothing by
//! forgetting the policy. A peer that is held to nothing costs one look at a flag.
//!
//! **Who began a flow** decides, not who may: what a rule lets in is never remembered, so a rule that is taken back
//! takes the connections with it that were made under it. A TCP flow is ours by the SYN we sent, and answers
//! never begin with one. Of a flow that is older than the peer's restriction, be it the first policy or a daemon
//! started anew, nobody saw the beginning; for [`PICK_UP`] the side with the lower port passes for the server. Of UDP
//! there is nothing to see: who sends from a port that no rule opens wants to be answered.
//!
//! **Parts of packets** follow the first, which alone has ports; one that overtakes it is dropped.

mod flows;
mod part;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_model::MemberId;
use mesh_model::access::{Inbound, Openings, Traffic};

use crate::packet::ip::{FRAGMENT, ICMP, Inner, TCP, UDP};
use flows::{Flow, Flows};
use part::{Part, Transport, quoted};

/// How long a TCP flow whose beginning was not seen is taken up, from when its peer was first held to anything. Whatever
/// goes on at all says something in that time; later nobody is spared an old connection by its ports.
const PICK_UP: Duration = Duration::from_secs(300);

/// What a peer is held to.
#[derive(Debug)]
pub(crate) struct Restriction {
    openings: Arc<Openings>,
    since: Instant,
}

impl Restriction {
    /// What follows from the plan's `inbound` for a peer that was held to `before`.
    pub(crate) fn next(before: Option<&Self>, inbound: &Inbound, now: Instant) -> Option<Self> {
        match inbound {
            Inbound::Everything => None,
            Inbound::Only(openings) => {
                let since = before.map_or(now, |before| before.since);
                Some(Self { openings: Arc::clone(openings), since })
            }
        }
    }
}

/// The policy in one slice of a host: packets of a peer go through the same slice in both directions.
pub(crate) struct Access {
    flows: Flows,
}

impl Access {
    /// Without any flows. Nobody who does not know `seed` can choose whose place a flow takes.
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        Self { flows: Flows::new(seed, now) }
    }

    /// A peer is held to something: makes room for what is to be remembered, so that no packet has to.
    pub(crate) fn prepare(&mut self) {
        self.flows.make_room();
    }

    /// `packet` leaves for `member`, which is held to `held`.
    pub(crate) fn note(
        &mut self,
        member: MemberId,
        held: &Restriction,
        packet: &Inner<'_>,
        now: Instant,
    ) {
        let (Some(Part::Whole(transport)) | Some(Part::First { transport, .. })) = Part::of(packet)
        else {
            return;
        };
        let flow = |protocol, ours, theirs| Flow {
            member,
            protocol,
            ours,
            theirs,
            v6: packet.src().is_ipv6(),
        };
        match transport {
            Transport::Tcp { src, dst, begins } => {
                let flow = flow(TCP, src, dst);
                let is_old = now.saturating_duration_since(held.since) >= PICK_UP;
                if begins || !is_old && src > dst {
                    self.flows.remember(flow, now);
                } else {
                    self.flows.refresh(flow, now);
                }
            }
            Transport::Udp { src, dst } if !held.openings.permits(Traffic::Udp(src)) => {
                self.flows.remember(flow(UDP, src, dst), now);
            }
            Transport::EchoRequest { id } => self.flows.remember(flow(ICMP, id, 0), now),
            Transport::Other { protocol } => self.flows.remember(flow(protocol, 0, 0), now),
            Transport::Udp { .. }
            | Transport::EchoReply { .. }
            | Transport::IcmpError { .. }
            | Transport::Icmp => {}
        }
    }

    /// Whether `packet` of `member`, which is held to `held` and may use its source address, is let in. `is_its` says
    /// whether an address is the sender's.
    pub(crate) fn admits(
        &mut self,
        member: MemberId,
        held: &Restriction,
        packet: &Inner<'_>,
        now: Instant,
        is_its: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let v6 = packet.src().is_ipv6();
        let part = |ident: u32| {
            let (ours, theirs) = ((ident >> 16) as u16, ident as u16);
            Flow { member, protocol: FRAGMENT, ours, theirs, v6 }
        };
        match Part::of(packet) {
            None => false,
            Some(Part::Whole(transport)) => {
                self.admits_whole((member, held), packet, transport, now, is_its)
            }
            Some(Part::First { ident, transport }) => {
                let admitted = self.admits_whole((member, held), packet, transport, now, is_its);
                if admitted {
                    self.flows.remember(part(ident), now);
                }
                admitted
            }
            Some(Part::Later { ident }) => self.flows.refresh(part(ident), now),
        }
    }

    fn admits_whole(
        &mut self,
        (member, held): (MemberId, &Restriction),
        packet: &Inner<'_>,
        transport: Transport<'_>,
        now: Instant,
        is_its: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let permits = |traffic| held.openings.permits(traffic);
        let flow = |protocol, ours, theirs| Flow {
            member,
            protocol,
            ours,
            theirs,
            v6: packet.src().is_ipv6(),
        };
        match transport {
            Transport::Tcp { src, dst, begins } => {
                permits(Traffic::Tcp(dst))
                    || !begins && self.flows.refresh(flow(TCP, dst, src), now)
            }
            Transport::Udp { src, dst } => {
                permits(Traffic::Udp(dst)) || self.flows.refresh(flow(UDP, dst, src), now)
            }
            Transport::EchoReply { id } => {
                permits(Traffic::Icmp) || self.flows.refresh(flow(ICMP, id, 0), now)
            }
            Transport::IcmpError { message } => {
                permits(Traffic::Icmp)
                    || self.is_about_ours((member, held), packet, message, now, is_its)
            }
            Transport::EchoRequest { .. } | Transport::Icmp => permits(Traffic::Icmp),
            Transport::Other { protocol } => {
                permits(Traffic::Other) || self.flows.refresh(flow(protocol, 0, 0), now)
            }
        }
    }

    /// Whether an error that came in `packet` quotes a packet from us to its sender, of a flow that is ours or that a
    /// rule let in.
    fn is_about_ours(
        &self,
        (member, held): (MemberId, &Restriction),
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
            TCP => held.openings.permits(Traffic::Tcp(ours)),
            UDP => held.openings.permits(Traffic::Udp(ours)),
            _ => false,
        };
        let flow = Flow { member, protocol, ours, theirs, v6: sent.src().is_ipv6() };
        let_in || self.flows.knows(flow, now)
    }
}

#[cfg(test)]
mod tests {
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
        let held = Restriction::next(None, &Inbound::Only(Arc::default()), now).unwrap();
        let mut access = Access::new(1, now);
        access.prepare();
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
