//! A plain WireGuard device, as an operator configures it.
//!
//! Where a mesh has a plan that everybody agrees on, a plain device has what `wg` said last: its key, its port, its
//! peers and the allowed IPs that they take from each other. [`Device`] remembers that and says what follows for the
//! packet core. Because a request must happen whole or not at all, it is carried out in two steps:
//!
//! ```text
//! check(&change)  -> what the shell has to get first, and may fail to: another port, another mark
//! apply(change)   -> what the packet core has to do, which cannot fail
//! ```

mod limits;
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use ipnet::IpNet;
use mesh_model::plan::Update;
use mesh_model::uapi::{AllowedIp, DeviceChange, DeviceReport, Endpoint, PeerChange, PeerReport};
use mesh_model::{MemberId, TunnelKey, TunnelSecret};

use crate::stats::PeerStats;
use crate::wall::WallTime;
pub use limits::TooMany;
use peer::Peer;

/// The device's configuration.
#[derive(Debug, Default)]
pub struct Device {
    secret: Option<TunnelSecret>,
    listen_port: u16,
    fwmark: u32,
    peers: BTreeMap<TunnelKey, Peer>,
    /// Which peer has a prefix. No two have the same.
    holders: BTreeMap<IpNet, TunnelKey>,
    /// Peers made so far: each gets a member id of its own, which is what the packet core calls it.
    made: u64,
}

/// What a change needs from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Another UDP port; 0 for one of the system's choice.
    pub port: Option<u16>,
    /// Another mark on outgoing datagrams.
    pub fwmark: Option<u32>,
}

/// What a change means for the packet core, in this order.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// Another private key.
    pub secret: Option<Option<TunnelSecret>>,
    /// Steps to take.
    pub updates: Vec<Update>,
}

/// Which peers a change has named so far, and where it says that some are.
#[derive(Default)]
struct Touched {
    peers: BTreeSet<TunnelKey>,
    /// Those of which the packet core has not heard.
    made: BTreeSet<TunnelKey>,
    moved: BTreeMap<TunnelKey, SocketAddr>,
}

impl Device {
    /// A device without key and peers, whose port the system has chosen.
    pub fn new(listen_port: u16) -> Self {
        Self { listen_port, ..Self::default() }
    }

    /// The UDP port.
    pub fn listen_port(&self) -> u16 {
        self.listen_port
    }

    /// The mark on outgoing datagrams; 0 is none.
    pub fn fwmark(&self) -> u32 {
        self.fwmark
    }

    /// What `change` needs from the host before it can be [applied](Self::apply).
    pub fn check(&self, change: &DeviceChange) -> Result<Needs, TooMany> {
        limits::check(self, change)?;
        // Port 0 asks for any, which is another one each time.
        let port = change.listen_port.filter(|port| *port == 0 || *port != self.listen_port);
        Ok(Needs { port, fwmark: change.fwmark.filter(|mark| *mark != self.fwmark) })
    }

    /// Carries out a change that was [checked](Self::check). The port is `listen_port` now.
    pub fn apply(&mut self, change: DeviceChange, listen_port: u16) -> Effects {
        let mut effects = Effects::default();
        self.listen_port = listen_port;
        self.fwmark = change.fwmark.unwrap_or(self.fwmark);
        if let Some(secret) = change.secret.filter(|secret| *secret != self.secret) {
            self.secret.clone_from(&secret);
            effects.secret = Some(secret);
        }
        let own = self.secret.as_ref().map(TunnelSecret::public);
        let mut touched = Touched::default();
        if let Some(own) = own.filter(|_| effects.secret.is_some()) {
            self.remove(own, &mut effects);
        }
        if change.replace_peers {
            let all: Vec<_> = self.peers.keys().copied().collect();
            all.into_iter().for_each(|key| self.remove(key, &mut effects));
        }
        for peer in change.peers {
            if peer.remove {
                touched.moved.remove(&peer.key);
                if touched.made.remove(&peer.key) {
                    self.unmake(peer.key);
                } else {
                    self.remove(peer.key, &mut effects);
                }
            } else if Some(peer.key) != own {
                // With oneself there is no tunnel. Not an error: one list of peers may serve all of them.
                self.change_peer(peer, &mut touched);
            }
        }
        // Once each, at the end: a request may name a peer with many prefixes again and again.
        let plans = touched.peers.into_iter().filter_map(|key| {
            let peer = self.peers.get(&key)?;
            Some(Update::SetPeer(key, peer.plan()))
        });
        effects.updates.extend(plans);
        let moved = touched.moved.into_iter();
        effects.updates.extend(moved.map(|(key, endpoint)| Update::MovePeer(key, endpoint)));
        effects
    }

    fn change_peer(&mut self, change: PeerChange, touched: &mut Touched) {
        let key = change.key;
        let known = self.peers.contains_key(&key);
        if change.update_only && !known {
            return;
        }
        if !known {
            self.made += 1;
            touched.made.insert(key);
            self.peers.insert(key, Peer::new(MemberId(self.made)));
        }
        touched.peers.extend(self.change_allowed_ips(&change));
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(preshared_key) = change.preshared_key {
            peer.preshared_key = preshared_key;
        }
        if let Some(keepalive) = change.keepalive {
            peer.keepalive = keepalive;
        }
        touched.peers.insert(key);
        if let Some(Endpoint::At(endpoint)) = change.endpoint {
            touched.moved.insert(key, endpoint);
        }
    }

    /// Lets the peer take and give up prefixes. Returns those whom it took one from: they are without it even when the
    /// peer gives it up in the same breath.
    fn change_allowed_ips(&mut self, change: &PeerChange) -> BTreeSet<TunnelKey> {
        let mut losers = BTreeSet::new();
        if change.replace_allowed_ips {
            self.give_up_all(change.key);
        }
        for step in &change.allowed_ips {
            match step {
                AllowedIp::Add(net) => losers.extend(self.take(change.key, *net)),
                AllowedIp::Remove(net) => self.give_up(change.key, *net),
            }
        }
        losers
    }

    /// Gives `net` to the peer `key`, and says whom it was taken from.
    fn take(&mut self, key: TunnelKey, net: IpNet) -> Option<TunnelKey> {
        let before = self.holders.insert(net, key).filter(|before| *before != key);
        if let Some(peer) = before.and_then(|before| self.peers.get_mut(&before)) {
            peer.allowed_ips.remove(&net);
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.allowed_ips.insert(net);
        }
        before
    }

    fn give_up(&mut self, key: TunnelKey, net: IpNet) {
        let had = self.peers.get_mut(&key).is_some_and(|peer| peer.allowed_ips.remove(&net));
        if had {
            self.holders.remove(&net);
        }
    }

    fn give_up_all(&mut self, key: TunnelKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for net in std::mem::take(&mut peer.allowed_ips) {
            self.holders.remove(&net);
        }
    }

    fn remove(&mut self, key: TunnelKey, effects: &mut Effects) {
        if self.unmake(key) {
            effects.updates.push(Update::RemovePeer(key));
        }
    }

    /// Forgets a peer; `false` when there is none.
    fn unmake(&mut self, key: TunnelKey) -> bool {
        self.give_up_all(key);
        self.peers.remove(&key).is_some()
    }

    /// The device as it is shown: what was configured, and what `stats` tell of each peer. `now` and `wall` are the same
    /// moment.
    pub fn report(
        &self,
        stats: impl IntoIterator<Item = PeerStats>,
        now: Instant,
        wall: WallTime,
    ) -> DeviceReport {
        let mut stats: BTreeMap<_, _> = stats.into_iter().map(|peer| (peer.key, peer)).collect();
        let peers = self.peers.iter().map(|(key, peer)| {
            let seen = stats.remove(key).map(|stats| stats.report(now, wall));
            PeerReport {
                preshared_key: peer.preshared_key.clone(),
                keepalive: peer.keepalive,
                allowed_ips: peer.allowed_ips.iter().copied().collect(),
                ..seen.unwrap_or_else(|| PeerReport::new(*key))
            }
        });
        DeviceReport {
            secret: self.secret.clone(),
            listen_port: self.listen_port,
            fwmark: self.fwmark,
            peers: peers.collect(),
        }
    }
}
