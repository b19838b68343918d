//! One peer, as it was configured.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use mesh_model::plan::PeerPlan;
use mesh_model::{MemberId, PresharedKey};

/// A peer. Where it is, the packet core alone knows: the operator's word counts until the peer is heard from elsewhere.
#[derive(Debug)]
pub(super) struct Peer {
    member: MemberId,
    pub(super) preshared_key: Option<PresharedKey>,
    pub(super) keepalive: Option<Duration>,
    pub(super) allowed_ips: BTreeSet<IpNet>,
}

impl Peer {
    /// A peer that nothing was said about yet.
    pub(super) fn new(member: MemberId) -> Self {
        Self { member, preshared_key: None, keepalive: None, allowed_ips: BTreeSet::new() }
    }

    /// The same for the packet core.
    pub(super) fn plan(&self) -> PeerPlan {
        PeerPlan {
            member: self.member,
            before: None,
            allowed_ips: self.allowed_ips.iter().copied().collect(),
            endpoints: Vec::new(),
            keepalive: self.keepalive,
            preshared: self.preshared_key.clone().into(),
            inbound: Default::default(),
        }
    }
}
