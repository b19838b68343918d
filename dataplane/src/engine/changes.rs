//! What the operator or the plan changes: peers, their prefixes and places, our own key.
//!
//! Of several slices each takes every change, all in the same order, and keeps what all must know; what
//! only a peer's own slice has, the others pass over.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use ipnet::IpNet;
use mesh_model::plan::{PeerPlan, Update};
use mesh_model::{TunnelKey, TunnelSecret};

use super::Engine;
use crate::drops::Drop;
use crate::keys::OwnKeys;
use crate::peer::Peer;
use crate::peers::Slot;
use crate::sink::Sink;
use crate::tunnel::Keyring;
use crate::wall::WallTime;

impl Engine {
    /// Takes one step of the plan. A peer that stays keeps its session; one that goes loses it at
    /// once.
    pub fn handle_update(&mut self, update: Update, now: Instant, sink: &mut impl Sink) {
        match update {
            Update::SetPeer(key, plan) => self.set_peer(key, &plan, now, sink),
            Update::RemovePeer(key) => self.remove_peer(key),
            Update::MovePeer(key, endpoint) => self.move_peer(key, endpoint, now, sink),
            Update::RekeyPeer(before, key) => self.rekey_peer(before, key),
            Update::RenewPeer(key) => self.renew_peer(key, now, sink),
        }
    }

    /// Takes another private key: all sessions and handshakes end, and start anew when they are
    /// needed. A peer with our own new key is removed.
    pub fn handle_secret(
        &mut self,
        secret: Option<TunnelSecret>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        self.kit.own = secret.map(OwnKeys::from).as_ref().map(Keyring::new);
        if let Some(own) = self.own_key() {
            self.remove_peer(own);
        }
        self.start_over(now, sink);
    }

    /// Takes the keys of a host whose key changes. Sessions go on; the next handshakes are made with the current
    /// key, and those under way go on as long as the key they were begun with is among these.
    pub fn handle_keys(&mut self, keys: &OwnKeys) {
        let own = self.kit.own.insert(Keyring::new(keys));
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.keep_shared(own);
            }
        }
    }

    /// The TUN device takes packets of at most `mtu` bytes: none is padded beyond that.
    pub fn handle_mtu(&mut self, mtu: u16) {
        self.kit.mtu = mtu.into();
    }

    /// The wall clock shows `wall` now. Handshakes are stamped by a clock that was set forward, which
    /// the peers of a host that did not know the time may insist on; one set back is not followed.
    pub fn handle_wall(&mut self, wall: WallTime, now: Instant) {
        self.kit.stamps.follow(wall, now);
    }

    /// The host was asleep, which a monotonic clock does not count: sessions may have died without
    /// `now` showing it, so all of them end.
    pub fn handle_resume(&mut self, now: Instant, sink: &mut impl Sink) {
        self.start_over(now, sink);
    }

    pub(super) fn start_over(&mut self, now: Instant, sink: &mut impl Sink) {
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.start_over(&mut self.kit.turn(now, sink));
            }
            self.run_timers(slot, now, sink);
        }
    }

    fn own_key(&self) -> Option<TunnelKey> {
        self.kit.own.as_ref().map(|own| *own.current().key())
    }

    fn set_peer(&mut self, key: TunnelKey, plan: &PeerPlan, now: Instant, sink: &mut impl Sink) {
        if Some(key) == self.own_key() {
            // A tunnel with oneself cannot be; the planner leaves us out.
            tracing::error!(member = %plan.member, "the plan names this host as its own peer");
            return;
        }
        let slot = self.peers.slot_for(key, |slot| Peer::new(slot, key, plan.member));
        self.peers.set_before(slot, plan.before);
        self.set_allowed_ips(slot, plan);
        if let Some(peer) = self.peers.get_mut(slot) {
            self.access.hold(peer.held_to(), &plan.inbound, now);
            peer.update(plan, now);
        }
        self.run_timers(slot, now, sink);
    }

    /// Gives `slot` exactly the plan's prefixes, taking them from whoever held them. What it has already
    /// is left alone: peers with a hundred thousand prefixes gain and lose single ones.
    fn set_allowed_ips(&mut self, slot: Slot, plan: &PeerPlan) {
        let allowed: BTreeSet<_> = plan.allowed_ips.iter().map(IpNet::trunc).collect();
        let Some(held) = self.peers.allowed_ips(slot).map(std::mem::take) else { return };
        for given_up in held.difference(&allowed) {
            self.fib.remove(*given_up);
        }
        for taken in allowed.difference(&held) {
            let before = self.fib.insert(*taken, slot);
            if let Some(loser) = before.and_then(|before| self.peers.allowed_ips(before)) {
                loser.remove(taken);
            }
        }
        if let Some(held) = self.peers.allowed_ips(slot) {
            *held = allowed;
        }
    }

    fn move_peer(
        &mut self,
        key: TunnelKey,
        endpoint: SocketAddr,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        let Some(slot) = self.peers.by_key(key) else { return };
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.move_to(endpoint, now);
        }
        self.run_timers(slot, now, sink);
    }

    fn renew_peer(&mut self, key: TunnelKey, now: Instant, sink: &mut impl Sink) {
        let Some(slot) = self.peers.by_key(key) else { return };
        if let Some(peer) = self.peers.get_mut(slot).filter(|_| self.up) {
            peer.renew(&mut self.kit.turn(now, sink));
        }
        self.run_timers(slot, now, sink);
    }

    fn rekey_peer(&mut self, before: TunnelKey, key: TunnelKey) {
        if Some(key) == self.own_key() || self.peers.is_peer(key) {
            // Agreement gives no key twice; whoever does loses the peer that has it no more.
            return self.remove_peer(before);
        }
        if let Some(slot) = self.peers.rekey(before, key)
            && let Some(peer) = self.peers.get_mut(slot)
        {
            peer.rekey(key);
        }
    }

    fn remove_peer(&mut self, key: TunnelKey) {
        let Some((allowed_ips, peer)) = self.peers.remove(key) else { return };
        for prefix in allowed_ips {
            self.fib.remove(prefix);
        }
        if let Some(mut peer) = peer {
            let waited = peer.close(&mut self.kit.indices, &mut self.kit.room);
            self.kit.drops.add(Drop::PeerRemoved, waited);
        }
    }
}
