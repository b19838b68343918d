//! Packets that arrived in a row, put together into super-packets.
//!
//! A burst of one TCP stream arrives as some forty packets, and handing each to the kernel costs more
//! than all else together. The packets stay where they are: only their places are noted, and the
//! super-packet is gathered from there by the write itself.
//!
//! ```text
//! arena   [..|ip tcp payload|..|ip tcp payload|..|ip tcp payload|..]   as it was decrypted
//! write   virtio header, ip tcp payload, payload, payload              headers of the first, amended
//! ```
//!
//! Packets of one flow leave in the order they came in. Packets of several flows may change places,
//! as they may anywhere in a network.

use std::ops::Range;

use super::flow::{self, Candidate};
use super::{Segmentation, VirtioHeader};
use crate::packet::checksum::Sum;
use crate::packet::ip::{Inner, TCP, UDP, V6_HEADER};

/// Packets in one super-packet: what every kernel takes for UDP (UDP_MAX_SEGMENTS, 64 before 6.9), and
/// more than 64 KiB of TCP segments of the usual size.
pub const MAX_PARTS: usize = 64;

/// Bytes in one super-packet: what an IPv4 header can state, and IPv6 no more.
const MAX_TOTAL: usize = u16::MAX as usize;

/// Flows looked after at a time. More flows than this in one burst just cost some of them a chance to
/// be put together.
const FLOWS: usize = 64;

/// Marks the end of a chain of parts.
const NONE: u32 = u32::MAX;

/// Finds the super-packets of one burst. Its memory is kept from burst to burst.
#[derive(Debug)]
pub struct Coalescer {
    groups: Vec<Group>,
    parts: Vec<Part>,
    /// The latest group of each flow, by hash; only one of colliding flows is remembered.
    latest: [Option<u32>; FLOWS],
    takes: Takes,
}

/// Which super-packets a device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None: each packet stays alone.
    None,
    /// Those of TCP.
    Tcp,
    /// Those of TCP and of UDP.
    TcpAndUdp,
}

impl Takes {
    fn has(self, kind: Segmentation) -> bool {
        match self {
            Self::None => false,
            Self::Tcp => kind != Segmentation::Udp,
            Self::TcpAndUdp => true,
        }
    }
}

/// A super-packet in the making, or a packet that stays alone.
#[derive(Debug)]
struct Group {
    /// What it takes to join; `None` for a packet that stays alone.
    flow: Option<Candidate>,
    first: u32,
    last: u32,
    count: usize,
    /// Bytes of all headers and all payloads.
    total: usize,
    /// The sequence number that comes next; in UDP it stays 0.
    next_sequence: u32,
    /// Whether its last part was one that nothing follows.
    closed: bool,
    push: bool,
}

/// A stretch of the arena: the first part of a group with its headers, the others without.
#[derive(Debug)]
struct Part {
    at: Range<usize>,
    next: u32,
}

impl Coalescer {
    /// An empty one, for a device that takes these.
    pub fn new(takes: Takes) -> Self {
        Self { groups: Vec::new(), parts: Vec::new(), latest: [None; FLOWS], takes }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes the packet at `at` in `arena`: an IP packet of exactly its stated length.
    pub fn push(&mut self, arena: &[u8], at: Range<usize>) {
        let packet = &arena[at.clone()];
        let bucket = flow::hash(packet).map(|hash| usize::from(hash) % FLOWS);
        let candidate = Candidate::of(packet).filter(|it| self.takes.has(it.kind));
        if let (Some(bucket), Some(candidate)) = (bucket, &candidate)
            && let Some(latest) = self.latest[bucket]
            && self.join(latest, arena, candidate, &at)
        {
            return;
        }
        if let Some(bucket) = bucket {
            // Also for a packet that stays alone: none of its flow may be put in front of it now.
            self.latest[bucket] = u32::try_from(self.groups.len()).ok();
        }
        self.open(candidate, at);
    }

    fn open(&mut self, flow: Option<Candidate>, at: Range<usize>) {
        let part = self.parts.len() as u32;
        self.groups.push(Group {
            first: part,
            last: part,
            count: 1,
            total: at.len(),
            next_sequence: flow.map_or(0, |it| after(&it)),
            closed: flow.is_some_and(|it| it.push),
            push: flow.is_some_and(|it| it.push),
            flow,
        });
        self.parts.push(Part { at, next: NONE });
    }

    /// Adds the packet at `at` to `group`, if it continues it.
    fn join(&mut self, group: u32, arena: &[u8], next: &Candidate, at: &Range<usize>) -> bool {
        let group = &mut self.groups[group as usize];
        let Some(flow) = &group.flow else { return false };
        let first = &arena[self.parts[group.first as usize].at.clone()];
        let fits = !group.closed
            && next.payload <= flow.payload
            && group.next_sequence == next.sequence
            && group.count < MAX_PARTS
            && group.total + next.payload <= MAX_TOTAL
            && flow.continues(first, next, &arena[at.clone()]);
        if !fits {
            return false;
        }
        group.closed = next.push || next.payload < flow.payload;
        group.push |= next.push;
        group.next_sequence = after(next);
        group.count += 1;
        group.total += next.payload;
        let part = self.parts.len() as u32;
        self.parts[group.last as usize].next = part;
        group.last = part;
        self.parts.push(Part { at: at.start + next.header..at.end, next: NONE });
        true
    }

    /// Hands everything to `write`, in order, and is empty then. `arena` is the one that the packets
    /// were pushed from; the headers of super-packets are amended in it.
    pub fn drain(&mut self, arena: &mut [u8], mut write: impl FnMut(Gathered<'_>)) {
        for group in &self.groups {
            let header = match &group.flow {
                Some(flow) if group.count > 1 => {
                    group.amend(flow, &mut arena[self.parts[group.first as usize].at.clone()])
                }
                _ => VirtioHeader::default(),
            };
            write(Gathered {
                header,
                count: group.count,
                arena,
                parts: &self.parts,
                next: group.first,
            });
        }
        self.groups.clear();
        self.parts.clear();
        self.latest = [None; FLOWS];
    }
}

impl Group {
    /// Makes the headers of `first` those of the whole super-packet, and describes it.
    fn amend(&self, flow: &Candidate, first: &mut [u8]) -> VirtioHeader {
        let segment_len = (self.total - flow.transport) as u16;
        let (protocol, checksum_at) = match flow.kind {
            Segmentation::Udp => (UDP, 6),
            _ => (TCP, 16),
        };
        // The addresses do not change, and the packet was parsed when it was pushed.
        let pseudo = Inner::parse(first).map_or(0, |inner| {
            Sum::default().pseudo(inner.src(), inner.dst(), protocol, segment_len).fold()
        });
        if flow.transport == V6_HEADER {
            put(first, 4, segment_len);
        } else {
            put(first, 2, self.total as u16);
            put(first, 10, 0);
            let sum = Sum::default().add(&first[..flow.transport]).finish();
            put(first, 10, sum);
        }
        match flow.kind {
            Segmentation::Udp => put(first, flow.transport + 4, segment_len),
            _ if self.push => first[flow.transport + 13] |= 0x08,
            _ => {}
        }
        put(first, flow.transport + checksum_at, pseudo);
        VirtioHeader {
            checksum: Some((flow.transport as u16, checksum_at as u16)),
            segmentation: Some((flow.kind, flow.payload as u16)),
            header_len: flow.header as u16,
        }
    }
}

/// A packet for the kernel, in pieces.
#[derive(Debug)]
pub struct Gathered<'a> {
    header: VirtioHeader,
    count: usize,
    arena: &'a [u8],
    parts: &'a [Part],
    next: u32,
}

impl Gathered<'_> {
    /// What to tell the device about it.
    pub fn header(&self) -> VirtioHeader {
        self.header
    }

    /// How many packets it stands for.
    pub fn packets(&self) -> usize {
        self.count
    }
}

/// The pieces, in order; at most [`MAX_PARTS`].
impl<'a> Iterator for Gathered<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let part = self.parts.get(self.next as usize)?;
        self.next = part.next;
        Some(&self.arena[part.at.clone()])
    }
}

/// The sequence number behind a segment.
fn after(candidate: &Candidate) -> u32 {
    match candidate.kind {
        Segmentation::Udp => 0,
        _ => candidate.sequence.wrapping_add(candidate.payload as u32),
    }
}

fn put(bytes: &mut [u8], at: usize, word: u16) {
    bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
}
