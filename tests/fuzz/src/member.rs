//! `Engine::handle_datagram` for datagrams of a peer: what it seals is judged as the rules say, and what
//! others make of its datagrams is not believed.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ipnet::IpNet;
use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::{Drop, Endpoint, Engine, HandshakeBudget, Role};
use mesh_model::addr::port;
use mesh_model::plan::Update;

use crate::cursor::Cursor;
use crate::outbox::Outbox;
use crate::reference::{Ip, TCP, UDP, repair, word};
use crate::strangers::{addrs, engine, plan, public, start};

/// Datagrams of one script: fewer than the replay window holds.
const MAX_STEPS: usize = 64;

/// What the peer may use.
const ALLOWED: [&str; 4] = ["10.98.0.2/32", "fd00::2/128", "10.99.0.0/16", "fd00:1::/32"];

/// Scripts that one pair plays, one after the other: shaking hands costs as much as a hundred datagrams,
/// and all that one script leaves to the next is a replay window further on. Far fewer than a session has
/// counters, and so few that what is found is found again by its script alone or by some before it.
const SCRIPTS: usize = 64;

thread_local! {
    static PAIR: Cell<Option<(Pair, usize)>> = const { Cell::new(None) };
}

/// Plays the script in the input.
pub fn run(input: &[u8]) {
    let kept = PAIR.take().filter(|(_, played)| *played < SCRIPTS);
    let (mut pair, played) = kept.unwrap_or_else(|| (Pair::new(), 0));
    play(input, &mut pair);
    pair.sealed.clear();
    pair.arrived.clear();
    PAIR.set(Some((pair, played + 1)));
}

fn play(input: &[u8], pair: &mut Pair) {
    let mut cursor = Cursor::new(input);
    for _ in 0..MAX_STEPS {
        if cursor.is_empty() {
            break;
        }
        pair.step(&mut cursor);
    }
    // Whatever happened, an honest packet passes.
    let mut packet = honest(60);
    repair(false, UDP, &mut packet).expect("long enough");
    pair.seal(packet);
    pair.deliver(pair.sealed.len() - 1, place(9));
}

/// A packet from the peer to the victim.
fn honest(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[12..20].copy_from_slice(&[10, 98, 0, 2, 10, 98, 0, 1]);
    packet
}

fn place(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, n], 51820))
}

/// A victim and its peer, who have shaken hands.
struct Pair {
    now: Instant,
    victim: Engine,
    peer: Engine,
    /// Inner packets, and the datagrams they are sealed in.
    sealed: Vec<(Vec<u8>, Vec<u8>)>,
    /// Which of them have arrived.
    arrived: BTreeSet<usize>,
}

impl Pair {
    fn new() -> Self {
        let now = start();
        let budget = HandshakeBudget::default();
        let mut pair = Self {
            now,
            victim: engine(1, Role::Member(addrs(1)), budget, now),
            peer: engine(2, Role::Plain, budget, now),
            sealed: Vec::new(),
            arrived: BTreeSet::new(),
        };
        let mut out = Outbox::default();
        let to_peer = Update::SetPeer(public(2), plan(2, &ALLOWED));
        pair.victim.handle_update(to_peer, now, &mut out);
        let to_victim = Update::SetPeer(public(1), plan(1, &["0.0.0.0/0", "::/0"]));
        pair.peer.handle_update(to_victim, now, &mut out);
        pair.shake_hands();
        pair
    }

    fn shake_hands(&mut self) {
        let (mut to_victim, mut to_peer) = (Outbox::default(), Outbox::default());
        let mut packet = honest(60);
        repair(false, UDP, &mut packet).expect("long enough");
        let segments = Segments::one(&packet).expect("a packet");
        self.peer.handle_kernel(&segments, self.now, &mut to_victim);
        for _ in 0..2 {
            for (_, mut datagram) in std::mem::take(&mut to_victim.sent) {
                let from = Endpoint::from(place(1));
                let _ = self.victim.handle_datagram(from, &mut datagram, self.now, &mut to_peer);
            }
            for (_, mut datagram) in std::mem::take(&mut to_peer.sent) {
                let from = Endpoint::from(place(2));
                let _ = self.peer.handle_datagram(from, &mut datagram, self.now, &mut to_victim);
            }
        }
        assert!(self.peer.peers().all(|peer| peer.established));
        assert!(self.victim.peers().all(|peer| peer.established));
        while self.victim.poll_event().is_some() {}
    }

    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let (step, which) = (cursor.u8(), usize::from(cursor.u8()));
        let from = place(step >> 4);
        match step & 3 {
            0 | 1 => {
                let len = usize::from(cursor.u8());
                let mut packet = honest(20);
                let given = cursor.bytes(len);
                if step & 4 != 0 || given.len() < 20 {
                    packet.extend(given);
                } else {
                    packet = given.to_vec();
                }
                if step & 8 != 0 {
                    let (v6, protocol) = (which & 1 != 0, if which & 2 == 0 { UDP } else { TCP });
                    // What is too short for that stays as it is.
                    let _ = repair(v6, protocol, &mut packet);
                }
                self.seal(packet);
            }
            2 if !self.sealed.is_empty() => self.deliver(which % self.sealed.len(), from),
            _ if !self.sealed.is_empty() => {
                let (_, datagram) = &self.sealed[which % self.sealed.len()];
                let forged = forge(datagram.clone(), cursor);
                self.refuse(forged, from);
            }
            _ => {}
        }
    }

    /// The peer seals `packet`, if it is one.
    fn seal(&mut self, packet: Vec<u8>) {
        let Ok(segments) = Segments::one(&packet) else { return };
        let mut out = Outbox::default();
        self.peer.handle_kernel(&segments, self.now, &mut out);
        // Its own endpoint is no way to it; everything else leaves.
        if let Some((_, datagram)) = out.sent.pop() {
            assert!(out.sent.is_empty());
            self.sealed.push((segments.inner().bytes().to_vec(), datagram));
        }
    }

    /// Datagram `n` arrives from `from`, for the first time or not.
    fn deliver(&mut self, n: usize, from: SocketAddr) {
        let (packet, datagram) = self.sealed[n].clone();
        if !self.arrived.insert(n) {
            return self.refuse(datagram, from);
        }
        let drops = self.victim.drops().clone();
        let mut out = Outbox::default();
        let mut opened = datagram.clone();
        let inner = self.victim.handle_datagram(from.into(), &mut opened, self.now, &mut out);
        assert!(out.sent.is_empty());
        let inner = inner.map(|inner| opened[inner].to_vec());
        let control = out.control.pop();
        assert!(out.control.is_empty());
        let moved = self.victim.peers().all(|peer| peer.endpoint == Some(from));
        assert!(moved, "an authentic datagram tells where the peer is");
        while self.victim.poll_event().is_some() {}
        match judgement(&packet) {
            Ok(Lane::Kernel) => assert_eq!((inner, control), (Some(packet), None)),
            Ok(Lane::Control) => {
                assert_eq!(inner, None);
                assert_eq!(control.map(|(from, packet)| (from.0, packet)), Some((2, packet)));
            }
            Err(reason) => {
                assert_eq!((inner, control), (None, None));
                assert_eq!(self.victim.drops().get(reason), drops.get(reason) + 1, "{reason:?}");
                assert_eq!(self.victim.drops().total(), drops.total() + 1);
                return;
            }
        }
        assert_eq!(*self.victim.drops(), drops);
    }

    /// A datagram that the peer did not send, or not now, arrives and changes nothing.
    fn refuse(&mut self, mut datagram: Vec<u8>, from: SocketAddr) {
        let before: Vec<_> = self.victim.peers().collect();
        let drops = self.victim.drops().total();
        let mut out = Outbox::default();
        let inner = self.victim.handle_datagram(from.into(), &mut datagram, self.now, &mut out);
        assert_eq!(inner, None);
        assert!(out.sent.is_empty() && out.control.is_empty());
        assert!(self.victim.poll_event().is_none());
        assert!(self.victim.peers().eq(before), "believed");
        assert_eq!(self.victim.drops().total(), drops + 1);
    }
}

/// `datagram`, but not quite.
fn forge(mut datagram: Vec<u8>, cursor: &mut Cursor<'_>) -> Vec<u8> {
    let (how, at) = (cursor.u8(), usize::from(cursor.u16()) % datagram.len());
    match how & 3 {
        0 => datagram.truncate(at),
        1 => datagram.push(how),
        2 => {
            // Another counter, as far away as can be.
            let counter = u64::from(cursor.u32()) << (how >> 2);
            let held = u64::from_le_bytes(std::array::from_fn(|n| datagram[8 + n]));
            let other = if counter == held { counter + 1 } else { counter };
            datagram[8..16].copy_from_slice(&other.to_le_bytes());
        }
        _ => datagram[at] ^= 1 << (how >> 5),
    }
    datagram
}

/// Where a packet of the peer belongs.
enum Lane {
    Kernel,
    Control,
}

/// The rules of one inner packet, written down once more.
fn judgement(packet: &[u8]) -> Result<Lane, Drop> {
    let ip = Ip::read(packet).ok_or(Drop::DecryptedMalformed)?;
    let own = [IpAddr::from(addrs(1).v4), addrs(1).v6.into()];
    let allowed = ALLOWED.iter().map(|net| net.parse::<IpNet>().expect("a prefix"));
    if own.contains(&ip.src) || !allowed.into_iter().any(|net| net.contains(&ip.src)) {
        return Err(Drop::SourceNotAllowed);
    }
    if !own.contains(&ip.dst) {
        return Err(Drop::NotForUs);
    }
    let segment = &packet[ip.header..ip.total];
    let udp = ip.protocol == UDP && !ip.fragment && segment.len() >= 8;
    Ok(if udp && port::is_control(word(segment, 2)) { Lane::Control } else { Lane::Kernel })
}
