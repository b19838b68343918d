//! The kernel's network settings, by netlink: our interface's addresses and routes, the host's own
//! addresses, where its packets go, and word of changes.
//!
//! The interface gets its two addresses as host addresses (/32 and /128) and one route per mesh
//! prefix. That way removing a member's address from the mesh needs no change here, and an address
//! never drags a prefix route of the kernel's choosing along. Everything goes with the interface
//! when the daemon ends, however it ends. A route that another interface already has is never taken
//! over: nothing would give it back.

mod elsewhere;
mod error;
mod links;
mod routes;
#[cfg(test)]
mod tests;
mod watch;
mod ways;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use mesh_model::facts::MAX_ENDPOINTS;
use mesh_model::{OverlayAddrs, Prefixes};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tokio::task::AbortHandle;

use error::Context as _;
pub(crate) use error::NetlinkError;
pub(crate) use links::LinkWatch;
pub(crate) use routes::RouteWatch;
pub(crate) use watch::AddressWatch;

/// A netlink connection. Its task ends with it.
pub(crate) struct Netlink {
    handle: Handle,
    task: AbortHandle,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Which of the host's addresses are not for others to reach it by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exclude {
    /// Our own mesh interface, by index.
    pub(crate) interface: Option<u32>,
    /// Our own mesh's prefixes.
    pub(crate) prefixes: Option<Prefixes>,
}

impl Netlink {
    /// Opens a connection, served on the current runtime.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let task = tokio::spawn(connection).abort_handle();
        Ok(Self { handle, task })
    }

    /// Gives interface `index` its addresses, brings it up, and sends the mesh's prefixes through it.
    /// On a host without IPv6 the IPv6 half is left out.
    pub(crate) async fn configure(
        &self,
        index: u32,
        addrs: OverlayAddrs,
        prefixes: Prefixes,
    ) -> Result<(), NetlinkError> {
        self.address(index, addrs.v4.into()).await?;
        let has_ipv6 = match self.address(index, addrs.v6.into()).await {
            Err(error) if error.is_ipv6_off() => {
                tracing::warn!(%error, "this host has IPv6 off: programs reach the mesh by IPv4 only");
                false
            }
            result => result.map(|()| true)?,
        };
        if has_ipv6 {
            self.silence(index).await?;
        }
        self.bring_up(index).await?;
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(prefixes.v4.network(), prefixes.v4.prefix_len())
            .pref_source(addrs.v4)
            .output_interface(index)
            .build();
        self.route(v4, prefixes.v4.into()).await?;
        if !has_ipv6 {
            return Ok(());
        }
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(prefixes.v6.network(), prefixes.v6.prefix_len())
            .pref_source(addrs.v6)
            .output_interface(index)
            .build();
        self.route(v6, prefixes.v6.into()).await
    }

    /// Adds a host address, again if need be. It is ours by agreement: the kernel need not look for
    /// duplicates, and may use it at once.
    async fn address(&self, index: u32, address: IpAddr) -> Result<(), NetlinkError> {
        let host = IpNet::from(address);
        let mut request = self.handle.address().add(index, address, host.prefix_len()).replace();
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await.context(|| format!("add the address {host}"))
    }

    /// Keeps the kernel from giving the interface a link-local address and asking for routers there.
    async fn silence(&self, index: u32) -> Result<(), NetlinkError> {
        let none = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        let link = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![none]))
            .build();
        let request = self.handle.link().change(link).execute();
        request.await.context(|| "turn automatic addresses off".to_owned())
    }

    /// Brings interface `index` up. Its MTU was set when it was made.
    pub(crate) async fn bring_up(&self, index: u32) -> Result<(), NetlinkError> {
        let link = LinkUnspec::new_with_index(index).up().build();
        let request = self.handle.link().change(link).execute();
        request.await.context(|| "bring the interface up".to_owned())
    }

    /// Deletes interface `index`, as an administrator would.
    #[cfg(test)]
    pub(crate) async fn delete(&self, index: u32) -> Result<(), NetlinkError> {
        self.handle.link().del(index).execute().await.context(|| "delete the interface".to_owned())
    }

    /// Adds the route to `prefix`, which must be the only one of its kind.
    async fn route(&self, route: RouteMessage, prefix: IpNet) -> Result<(), NetlinkError> {
        let added = self.handle.route().add(route).execute().await;
        added.context(|| format!("route {prefix} into the mesh")).map_err(|error| {
            if error.already_there() { NetlinkError::RouteTaken(prefix) } else { error }
        })
    }

    /// Where others may reach a daemon bound to `bound`, best first, at most [`MAX_ENDPOINTS`]: the
    /// bound address itself, or when that is "all", the host's addresses on interfaces that are up,
    /// those with a default route first. Loopback only when there is nothing else, so that daemons
    /// on one unconnected host still find each other.
    pub(crate) async fn endpoints(
        &self,
        bound: SocketAddr,
        exclude: Exclude,
    ) -> Result<Vec<SocketAddr>, NetlinkError> {
        if !bound.ip().is_unspecified() {
            return Ok(vec![bound]);
        }
        let links = self.links().await?;
        let with_default = self.default_route_links().await?;
        let addresses: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .context(|| "list the host's addresses".to_owned())?;
        let mut candidates: Vec<Candidate> = addresses
            .iter()
            .filter_map(|message| Candidate::of(message, &links, &with_default))
            .filter(|candidate| bound.is_ipv6() || candidate.address.is_ipv4())
            .filter(|candidate| exclude.interface != Some(candidate.link))
            .filter(|candidate| {
                exclude.prefixes.is_none_or(|prefixes| !prefixes.contains(candidate.address))
            })
            .collect();
        candidates.sort();
        let reachable = candidates.iter().any(|candidate| !candidate.loopback);
        candidates.retain(|candidate| candidate.loopback != reachable);
        candidates.truncate(MAX_ENDPOINTS);
        Ok(candidates
            .iter()
            .map(|candidate| SocketAddr::new(candidate.address, bound.port()))
            .collect())
    }

    async fn links(&self) -> Result<Vec<LinkMessage>, NetlinkError> {
        self.handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .context(|| "list the host's interfaces".to_owned())
    }

    /// The interfaces of all default routes.
    async fn default_route_links(&self) -> Result<BTreeSet<u32>, NetlinkError> {
        let mut found = BTreeSet::new();
        let questions = [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ];
        for question in questions {
            let routes: Vec<RouteMessage> = self
                .handle
                .route()
                .get(question)
                .execute()
                .try_collect()
                .await
                .context(|| "list the host's routes".to_owned())?;
            let defaults =
                routes.iter().filter(|route| route.header.destination_prefix_length == 0);
            found.extend(defaults.flat_map(|route| &route.attributes).filter_map(|attribute| {
                match attribute {
                    RouteAttribute::Oif(link) => Some(*link),
                    _ => None,
                }
            }));
        }
        Ok(found)
    }
}

/// One of the host's addresses. The order of the fields is the order of preference.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    loopback: bool,
    without_default_route: bool,
    link: u32,
    address: IpAddr,
}

impl Candidate {
    /// The address in `message`, if others could use it at all.
    fn of(
        message: &AddressMessage,
        links: &[LinkMessage],
        with_default: &BTreeSet<u32>,
    ) -> Option<Self> {
        let link = message.header.index;
        let flags = links
            .iter()
            .find(|known| known.header.index == link)
            .map(|known| known.header.flags)
            .filter(|flags| flags.contains(LinkFlags::Up))?;
        // On a point-to-point link `Address` is the other end; `Local` is always ours.
        let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
            message.attributes.iter().find_map(wanted)
        };
        let address = find(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        })
        .or_else(|| {
            find(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            })
        })?;
        (is_usable(address) && !is_fleeting(message)).then(|| Self {
            loopback: flags.contains(LinkFlags::Loopback) || address.is_loopback(),
            without_default_route: !with_default.contains(&link),
            link,
            address,
        })
    }
}

/// Link-local addresses mean something else on every link.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// Not yet usable, no longer to be used, or a privacy address that changes daily.
fn is_fleeting(message: &AddressMessage) -> bool {
    let avoid = AddressFlags::Tentative
        | AddressFlags::Deprecated
        | AddressFlags::Dadfailed
        | AddressFlags::Secondary;
    let is_v6 = |attribute: &AddressAttribute| {
        matches!(attribute, AddressAttribute::Address(IpAddr::V6(_)))
    };
    // For IPv4 "secondary" means a second address of one subnet, which is as good as the first.
    message.attributes.iter().any(is_v6)
        && message.attributes.iter().any(|attribute| {
            matches!(attribute, AddressAttribute::Flags(flags) if flags.intersects(avoid))
        })
}
