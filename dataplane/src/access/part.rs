//! What a packet is, as far as the policy tells packets apart.

use crate::packet::ip::{
    DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, Inner, ROUTING, TCP, UDP,
};

/// Extension headers in front of what a packet carries, at most: each may stand once but for the destination options,
/// which may stand twice (RFC 8200, section 4.1). Whoever sends more is hiding something behind them.
const MAX_EXTENSIONS: usize = 5;

/// Bytes of a TCP header up to and with its flags. A first part that is shorter leaves them to the next.
const TCP_TO_FLAGS: usize = 14;

/// Bytes of a UDP header, of an ICMP header, and of what an error quotes behind the addresses at least (RFC 792).
const HEADER: usize = 8;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A packet, or the part of one that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// All of it.
    Whole(Transport<'a>),
    /// The first of several, which tells what the others belong to.
    First {
        /// What all of them are marked with.
        ident: u32,
        transport: Transport<'a>,
    },
    /// Another one.
    Later { ident: u32 },
}

/// What a packet carries. Ports are in the packet's own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport<'a> {
    Tcp {
        src: u16,
        dst: u16,
        /// A SYN that acknowledges nothing.
        begins: bool,
    },
    Udp {
        src: u16,
        dst: u16,
    },
    EchoRequest {
        id: u16,
    },
    EchoReply {
        id: u16,
    },
    /// Something has become of a packet, whose beginning is quoted.
    IcmpError {
        message: &'a [u8],
    },
    /// What else ICMP says.
    Icmp,
    Other {
        protocol: u8,
    },
}

/// Where a part stands in its packet.
#[derive(Debug, Clone, Copy)]
struct Place {
    ident: u32,
    /// In units of eight bytes.
    offset: u16,
    more: bool,
}

impl<'a> Part<'a> {
    /// What `packet` is. `None` when that cannot be told, or when it is made so that a part could change what
    /// an earlier one has shown.
    #[inline]
    pub(super) fn of(packet: &Inner<'a>) -> Option<Self> {
        let (protocol, payload, place) = match packet.src().is_ipv4() {
            true => (packet.protocol(), packet.payload(), place_v4(packet.bytes())),
            false => behind_extensions(packet)?,
        };
        match place {
            Some(Place { offset: 0, ident, more: true }) => {
                Some(Self::First { ident, transport: Transport::of(protocol, payload)? })
            }
            // It would begin inside a TCP header, before the flags (RFC 3128).
            Some(Place { offset: 1, .. }) if protocol == TCP => None,
            Some(Place { offset: 1.., ident, .. }) => Some(Self::Later { ident }),
            Some(Place { offset: 0, more: false, .. }) | None => {
                Some(Self::Whole(Transport::of(protocol, payload)?))
            }
        }
    }
}

/// Where an IPv4 packet stands among its parts (RFC 791, section 3.1); `None` when it is whole.
fn place_v4(bytes: &[u8]) -> Option<Place> {
    let fields: &[u8; 8] = bytes.first_chunk()?;
    let flags = u16::from_be_bytes([fields[6], fields[7]]);
    let (offset, more) = (flags & 0x1fff, flags & 0x2000 != 0);
    let ident = u16::from_be_bytes([fields[4], fields[5]]).into();
    (offset != 0 || more).then_some(Place { ident, offset, more })
}

/// What lies behind the extension headers of an IPv6 packet (RFC 8200, section 4), and of which protocol it is. Behind the
/// header of a later part lies no header at all.
fn behind_extensions<'a>(packet: &Inner<'a>) -> Option<(u8, &'a [u8], Option<Place>)> {
    let (mut next, mut rest, mut place) = (packet.protocol(), packet.payload(), None);
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            FRAGMENT if place.is_some() => return None,
            FRAGMENT => {
                let (header, behind) = rest.split_first_chunk::<8>()?;
                let [protocol, _, high, low, ident @ ..] = *header;
                let field = u16::from_be_bytes([high, low]);
                let (ident, offset) = (u32::from_be_bytes(ident), field >> 3);
                place = Some(Place { ident, offset, more: field & 1 != 0 });
                (next, rest) = (protocol, behind);
                if offset != 0 {
                    return Some((next, rest, place));
                }
            }
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [protocol, units, ..] = *rest.first_chunk::<8>()?;
                let len = (usize::from(units) + 1) * 8;
                (next, rest) = (protocol, rest.get(len..)?);
            }
            _ => return Some((next, rest, place)),
        }
    }
    None
}

impl<'a> Transport<'a> {
    /// What `payload` of `protocol` begins with; `None` when it ends before that can be told.
    fn of(protocol: u8, payload: &'a [u8]) -> Option<Self> {
        match protocol {
            TCP => {
                let header: &[u8; TCP_TO_FLAGS] = payload.first_chunk()?;
                let (src, dst) = ports(payload)?;
                Some(Self::Tcp { src, dst, begins: header[13] & (SYN | ACK) == SYN })
            }
            UDP => {
                payload.first_chunk::<HEADER>()?;
                let (src, dst) = ports(payload)?;
                Some(Self::Udp { src, dst })
            }
            ICMP | ICMPV6 => {
                let (header, message) = payload.split_first_chunk::<HEADER>()?;
                let id = u16::from_be_bytes([header[4], header[5]]);
                Some(match (protocol, header[0]) {
                    (ICMP, 8) | (ICMPV6, 128) => Self::EchoRequest { id },
                    (ICMP, 0) | (ICMPV6, 129) => Self::EchoReply { id },
                    // Unreachable, time exceeded, parameter problem; too big in IPv6 (RFC 792, RFC 4443).
                    (ICMP, 3 | 11 | 12) | (ICMPV6, 1..=4) => Self::IcmpError { message },
                    _ => Self::Icmp,
                })
            }
            protocol => Some(Self::Other { protocol }),
        }
    }
}

/// Source and destination port, with which TCP and UDP headers begin.
fn ports(payload: &[u8]) -> Option<(u16, u16)> {
    let [src @ .., _, _]: &[u8; 4] = payload.first_chunk()?;
    let [_, _, dst @ ..]: &[u8; 4] = payload.first_chunk()?;
    Some((u16::from_be_bytes(*src), u16::from_be_bytes(*dst)))
}

/// Which flow a quoted packet of ours was part of: its protocol, our port and theirs. An error quotes little more than
/// headers, and of a packet in parts only the first has them.
pub(super) fn quoted(sent: &Inner<'_>) -> Option<(u8, u16, u16)> {
    let (protocol, payload, place) = match sent.src().is_ipv4() {
        true => (sent.protocol(), sent.payload(), place_v4(sent.bytes())),
        false => behind_extensions(sent)?,
    };
    if place.is_some_and(|place| place.offset != 0) {
        return None;
    }
    match protocol {
        TCP | UDP => ports(payload).map(|(ours, theirs)| (protocol, ours, theirs)),
        ICMP | ICMPV6 => match Transport::of(protocol, payload)? {
            Transport::EchoRequest { id } => Some((ICMP, id, 0)),
            _ => None,
        },
        protocol => Some((protocol, 0, 0)),
    }
}
