//! What a host needs before it can serve: its own record with the keys to it, and the device its packets come from.
//!
//! The ground is laid before a join is committed, so that a host which cannot serve does not become a member.

use mesh_control::raft::Store;
use mesh_control::rotation::KeyMissing;
use mesh_model::MemberId;
use mesh_model::view::{ClusterView, MemberView};

use super::rotating;
use crate::config::{Config, Tun as TunConfig};
use crate::exit::{Exit, Reason};
use crate::io::netlink::{Netlink, NetlinkError};
use crate::io::tun::Tun;
use crate::state_dir::Identity;

/// This host's own record, and its device.
pub(super) struct Ground {
    pub(super) own: MemberView,
    pub(super) device: Option<Tun>,
}

impl Ground {
    /// The ground for the member whose store this is.
    pub(super) async fn lay(
        config: &Config,
        store: &Store,
        identity: &Identity,
    ) -> Result<Self, Exit> {
        let view = store.view();
        let own = own_record(&view, store.me(), identity)?;
        let device = device(config, &own, &view).await?;
        Ok(Self { own, device })
    }
}

/// This host in its own replica, with its own keys.
///
/// It may be gone from it: an admin has removed it. One that is banned has its place and waits to be pardoned.
fn own_record(view: &ClusterView, me: MemberId, identity: &Identity) -> Result<MemberView, Exit> {
    let own = view.place_of(me).filter(|own| own.identity == identity.identity.public());
    let own = own.ok_or_else(|| {
        Exit::because(Reason::Mismatch, format_args!("{me} is no member of this mesh any more"))
            .meaning(
                "an admin has removed this host, or its identity is not the one it joined with",
            )
            .remedy("move the state directory away and join again with a fresh token")
    })?;
    rotating::cast(identity, own).map_err(key_missing)?;
    Ok(own.clone())
}

pub(super) fn key_missing(error: KeyMissing) -> Exit {
    Exit::because(Reason::TrustMissing, error)
        .meaning("identity.key, or the backup it came from, is older than the last `mesh keys rotate` here")
        .remedy("bring back a newer one; without it, remove the host from the mesh and join as a new one")
}

/// The TUN device with its addresses and routes, unless the operator wants none.
async fn device(
    config: &Config,
    own: &MemberView,
    view: &ClusterView,
) -> Result<Option<Tun>, Exit> {
    let TunConfig::Kernel(name) = &config.tun else {
        return Ok(None);
    };
    let tun = Tun::create_with(name, config.mtu, config.workers > 1, config.offloads)?;
    let configured =
        async { Netlink::open()?.configure(tun.index(), own.addrs, view.prefixes).await };
    configured.await.map_err(|error| {
        let exit = Exit::because(Reason::Environment, &error)
            .meaning("the interface cannot carry the mesh's traffic");
        match error {
            // Says itself whose the prefix is and what can be done.
            NetlinkError::RouteTaken(_) => exit,
            _ => exit.remedy("run meshd as root or with CAP_NET_ADMIN, or with `--tun none`"),
        }
    })?;
    Ok(Some(tun))
}

#[cfg(test)]
mod tests;
