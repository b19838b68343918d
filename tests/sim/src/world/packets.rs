//! Packets between members, and the datagrams that carry them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_dataplane::packet::udp;
use mesh_model::MemberId;
use mesh_model::view::ClusterView;
use rand::RngExt as _;

use super::World;
use super::queue::{Event, Joiner, Purpose};
use crate::host::{Host, Stage};
use crate::invariants::{Pair, Violation, banned_are_cut_off};
use crate::load::{Action, Situation};
use crate::net::HostNo;

/// A port no daemon serves: the packets of the load are the kernel's.
const PORT: u16 = 7000;

/// What a packet of the load says of itself: who really sent it, and which it is.
fn payload(sender: MemberId, nonce: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&sender.0.to_le_bytes());
    bytes[8..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

fn parse(payload: &[u8]) -> Option<(MemberId, u64)> {
    let (sender, nonce) = payload.split_first_chunk::<8>()?;
    let nonce = nonce.first_chunk::<8>()?;
    Some((MemberId(u64::from_le_bytes(*sender)), u64::from_le_bytes(*nonce)))
}

impl World {
    /// The load does something.
    pub(super) fn act(&mut self) -> Result<(), Violation> {
        let pause = self.load.pause();
        self.after(pause, Event::Load);
        let lives = || self.hosts.values().filter_map(|host| Some((host.no, host.life()?)));
        let members = lives().map(|(no, life)| (no, life.addrs)).collect();
        let agreed = self.newest_view();
        let is_banned = |member| agreed.as_ref().is_some_and(|it| it.banned.contains_key(&member));
        let present = lives().filter(|(_, life)| !is_banned(life.me)).count();
        let outside = self.hosts.values().filter(|host| matches!(host.stage, Stage::Outside));
        let outside = outside.map(|host| host.no).collect();
        let seen = Situation { members, present, outside, changing: !self.calm };
        match self.load.next(&seen) {
            None => {}
            Some(Action::Send { from, to, v6, forged }) => {
                self.send_packet((from, to), v6, forged)?;
            }
            Some(Action::Invite { at, uses }) => self.make_invite(at, uses),
            Some(Action::Join { host, ticket }) => {
                let Some(ticket) = self.load.ticket(ticket) else { return Ok(()) };
                let Some(host) = self.hosts.get_mut(&host) else { return Ok(()) };
                let admission = ticket.admission(&self.mesh.root, &host.keys);
                self.invariants.records.asks(host.no, &host.keys);
                host.stage = Stage::Joining(Box::new(admission));
                let joiner = Joiner { host: host.no, incarnation: host.incarnation };
                self.try_join(joiner);
            }
            Some(Action::Intrude { at, ticket }) => self.intrude(at, ticket),
            // The traitor stays as long as it may, and the one that others have to find their way by.
            Some(Action::Leave(host)) if self.is_traitors(host) || self.is_survivor(host) => {}
            Some(Action::Leave(host)) => {
                let incarnation = self.hosts.get(&host).map_or(0, |host| host.incarnation);
                self.try_leave(host, incarnation);
            }
        }
        Ok(())
    }

    fn make_invite(&mut self, at: HostNo, uses: u32) {
        let Some(now_ms) = self.hosts.get(&at).map(|host| self.wall_ms(host)) else { return };
        let number = self.load.next_invite();
        let ticket = self.mesh.invite(number, uses, now_ms);
        if self.propose(at, ticket.command(), Purpose::Invite) {
            self.load.asked_for(ticket);
        }
    }

    /// A process on `from` sends one packet to `to`.
    fn send_packet(
        &mut self,
        (from, to): (HostNo, HostNo),
        v6: bool,
        forged: Option<IpAddr>,
    ) -> Result<Option<u64>, Violation> {
        let life_of = |no| self.hosts.get(&no).and_then(Host::life);
        let (Some(sender), Some(receiver)) = (life_of(from), life_of(to)) else { return Ok(None) };
        let me = sender.me;
        let pick = |addrs: mesh_model::OverlayAddrs| match v6 {
            true => IpAddr::from(addrs.v6),
            false => IpAddr::from(addrs.v4),
        };
        let source = forged.unwrap_or(pick(sender.addrs));
        let (source, target) = (SocketAddr::new(source, PORT), pick(receiver.addrs));
        self.nonce += 1;
        let nonce = self.nonce;
        match forged {
            Some(_) => self.stats.forged += 1,
            None => self.stats.sent += 1,
        }
        let target = SocketAddr::new(target, PORT);
        let packet = udp::encode(source, target, &payload(me, nonce))
            .expect("both ends are of one family and the payload is short");
        let now = self.clock.now();
        let Some(life) = self.hosts.get_mut(&from).and_then(Host::life_mut) else {
            return Ok(None);
        };
        let output = life.handle_kernel(&packet, now);
        self.carry_out(from, output)?;
        Ok(Some(nonce))
    }

    /// A datagram sets out.
    pub(super) fn transmit(
        &mut self,
        (from, sender): (HostNo, MemberId),
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        let Some(to) = HostNo::at(to).filter(|to| self.hosts.contains_key(to)) else { return };
        let now = self.clock.elapsed();
        let fate = self.switchboard.lock().net.fate((from, to), bytes.len(), now);
        self.note(format_args!("datagram {from} -> {to} {} {fate:?}", bytes.len()));
        self.switchboard.note_bytes(&bytes);
        for delay in fate {
            let bytes = bytes.clone();
            self.after(delay, Event::Datagram { from, sender, to, bytes });
        }
    }

    /// A datagram arrives.
    pub(super) fn arrive(
        &mut self,
        (from, sender): (HostNo, MemberId),
        to: HostNo,
        mut bytes: Vec<u8>,
    ) -> Result<(), Violation> {
        let now = self.clock.now();
        let Some(life) = self.hosts.get_mut(&to).and_then(Host::life_mut) else { return Ok(()) };
        let me = life.me;
        let output = life.handle_datagram(from.endpoint(), &mut bytes, now);
        let view = Arc::clone(life.node.view());
        for (taken_for, source) in &output.control {
            banned_are_cut_off::check_taken(me, &view, (*taken_for, "a control frame"))?;
            let seen = (*taken_for, sender, *source);
            self.invariants.sources.check_control(me, seen, &self.reference)?;
        }
        self.carry_out(to, output)
    }

    /// `me` accepted `packet`.
    pub(super) fn delivered(
        &mut self,
        (me, view): (MemberId, &ClusterView),
        packet: &[u8],
    ) -> Result<(), Violation> {
        let Ok(datagram) = udp::parse(packet) else {
            return Err(Violation::new(
                "honest_sources",
                format!("{me} accepted a damaged packet"),
            ));
        };
        let Some((sender, nonce)) = parse(datagram.payload) else { return Ok(()) };
        self.note(format_args!("delivered {nonce} {sender} -> {me}"));
        banned_are_cut_off::check_taken(me, view, (sender, "a packet"))?;
        let seen = (nonce, sender, datagram.src.ip());
        self.invariants.sources.check(me, seen, &self.reference)?;
        self.stats.delivered += 1;
        if let Some(pair) = self.probes.remove(&nonce) {
            self.liveness.arrived(pair);
        }
        Ok(())
    }

    /// Every member sends every other a packet in both families.
    pub(super) fn probe(&mut self) -> Result<(), Violation> {
        let members: Vec<(HostNo, MemberId)> = self.staying();
        for (from, sender) in &members {
            for (to, receiver) in members.iter().filter(|(to, _)| to != from) {
                for v6 in [false, true] {
                    let afresh = self.sessions_ended;
                    let pair = Pair { from: *sender, to: *receiver, v6, afresh };
                    self.liveness.sent(pair);
                    // The nonce it is going to have: a packet may arrive before the call returns.
                    self.probes.insert(self.nonce + 1, pair);
                    self.send_packet((*from, *to), v6, None)?;
                }
            }
        }
        Ok(())
    }

    /// A duration drawn evenly from zero to `most_ms` milliseconds.
    pub(super) fn some_millis(&mut self, most_ms: u64) -> std::time::Duration {
        std::time::Duration::from_millis(self.rng.random_range(0..=most_ms))
    }
}
