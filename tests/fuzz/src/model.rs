//! A WireGuard device as one would write it on a napkin: what `wg` said, in maps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;
use mesh_dataplane::device::Effects;
use mesh_model::plan::Update;
use mesh_model::uapi::{AllowedIp, DeviceChange, DeviceReport, PeerChange, PeerReport};
use mesh_model::{PresharedKey, TunnelKey, TunnelSecret};

/// Who has a prefix.
pub(crate) type Holders = BTreeMap<IpNet, TunnelKey>;

/// The device.
pub(crate) struct Model {
    secret: Option<TunnelSecret>,
    listen_port: u16,
    fwmark: u32,
    peers: BTreeMap<TunnelKey, (Option<PresharedKey>, Option<Duration>)>,
    holders: Holders,
}

impl Model {
    pub(crate) fn new(listen_port: u16) -> Self {
        let (peers, holders) = Default::default();
        Self { secret: None, listen_port, fwmark: 0, peers, holders }
    }

    pub(crate) fn apply(&mut self, change: &DeviceChange, port: u16) {
        self.listen_port = port;
        self.fwmark = change.fwmark.unwrap_or(self.fwmark);
        if let Some(secret) = &change.secret {
            self.secret.clone_from(secret);
        }
        let own = self.secret.as_ref().map(TunnelSecret::public);
        if change.replace_peers {
            self.peers.clear();
            self.holders.clear();
        }
        for peer in &change.peers {
            let known = self.peers.contains_key(&peer.key);
            if peer.remove {
                self.peers.remove(&peer.key);
            } else if Some(peer.key) != own && (known || !peer.update_only) {
                self.change_peer(peer);
            }
            self.forget_the_gone();
        }
        self.peers.retain(|key, _| Some(*key) != own);
        self.forget_the_gone();
    }

    fn change_peer(&mut self, change: &PeerChange) {
        let (preshared_key, keepalive) = self.peers.entry(change.key).or_default();
        if let Some(said) = &change.preshared_key {
            preshared_key.clone_from(said);
        }
        *keepalive = change.keepalive.unwrap_or(*keepalive);
        if change.replace_allowed_ips {
            self.holders.retain(|_, holder| *holder != change.key);
        }
        for step in &change.allowed_ips {
            match step {
                AllowedIp::Add(net) => drop(self.holders.insert(*net, change.key)),
                AllowedIp::Remove(net) if self.holders.get(net) == Some(&change.key) => {
                    self.holders.remove(net);
                }
                AllowedIp::Remove(_) => {}
            }
        }
    }

    fn forget_the_gone(&mut self) {
        self.holders.retain(|_, holder| self.peers.contains_key(holder));
    }

    pub(crate) fn allowed_ips(&self) -> Holders {
        self.holders.clone()
    }

    pub(crate) fn report(&self) -> DeviceReport {
        let peers = self.peers.iter().map(|(key, (preshared_key, keepalive))| PeerReport {
            preshared_key: preshared_key.clone(),
            keepalive: *keepalive,
            allowed_ips: self.prefixes_of(key),
            ..PeerReport::new(*key)
        });
        DeviceReport {
            secret: self.secret.clone(),
            listen_port: self.listen_port,
            fwmark: self.fwmark,
            peers: peers.collect(),
        }
    }

    fn prefixes_of(&self, key: &TunnelKey) -> Vec<IpNet> {
        let held = self.holders.iter().filter(|(_, holder)| *holder == key);
        held.map(|(net, _)| *net).collect()
    }
}

/// The packet core's table after what it was told.
#[derive(Default)]
pub(crate) struct Core {
    peers: BTreeSet<TunnelKey>,
    holders: Holders,
}

impl Core {
    pub(crate) fn obey(&mut self, effects: Effects) {
        for update in effects.updates {
            match update {
                Update::SetPeer(key, plan) => {
                    self.peers.insert(key);
                    self.holders.retain(|_, holder| *holder != key);
                    self.holders.extend(plan.allowed_ips.into_iter().map(|net| (net, key)));
                }
                Update::RemovePeer(key) => {
                    assert!(self.peers.remove(&key), "removed, but never there");
                    self.holders.retain(|_, holder| *holder != key);
                }
                Update::MovePeer(key, _) => assert!(self.peers.contains(&key)),
                Update::RekeyPeer(..) | Update::RenewPeer(_) => {
                    unreachable!("peers of a plain device keep their keys and agree on none")
                }
            }
        }
    }

    pub(crate) fn allowed_ips(&self) -> Holders {
        self.holders.clone()
    }
}
