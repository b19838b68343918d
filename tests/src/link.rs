//! Interfaces, addresses and routes, by netlink.
//!
//! Names are looked up in the namespace given; functions ending in `_in_current` work on the calling
//! thread's.

mod bucket;

use std::net::IpAddr;
use std::os::fd::AsFd as _;

use futures_util::TryStreamExt as _;
use netlink_packet_route::address::AddressHeaderFlags;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;
use crate::raw::ethtool::{self, Offload};
pub use bucket::limit_rate;

/// An Ethernet hardware address.
pub type Mac = [u8; 6];

/// One end of a cable: an interface of a namespace.
pub struct End<'a> {
    /// Where the interface is.
    pub netns: &'a Netns,
    /// What it is called there.
    pub name: &'a str,
    /// Its hardware address; chosen by the kernel when `None`.
    pub mac: Option<Mac>,
}

/// Lays a cable between two namespaces and switches both ends on.
pub fn veth(a: &End<'_>, b: &End<'_>) -> Result<()> {
    let what = format!(
        "lay a cable from {}:{} to {}:{}",
        a.netns.label(),
        a.name,
        b.netns.label(),
        b.name
    );
    a.netns.run(|| {
        with_netlink(async |netlink| {
            let mut peer = LinkUnspec::new_with_name(b.name).setns_by_fd(b.netns.raw_fd());
            if let Some(mac) = b.mac {
                peer = peer.address(mac.to_vec());
            }
            let mut cable = LinkVeth::new(a.name, b.name)
                .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
            if let Some(mac) = a.mac {
                cable = cable.address(mac.to_vec());
            }
            netlink.link().add(cable.build()).execute().await.context(what)
        })
    })??;
    up(a.netns, a.name)?;
    up(b.netns, b.name)
}

/// Adds a kernel bridge, switched on.
pub fn bridge(netns: &Netns, name: &str) -> Result<()> {
    netns.run(|| {
        with_netlink(async |netlink| {
            let request = netlink.link().add(LinkBridge::new(name).up().build());
            request.execute().await.context(format!("add bridge {name}"))
        })
    })?
}

/// Makes `port` a port of `bridge`.
pub fn enslave(netns: &Netns, port: &str, bridge: &str) -> Result<()> {
    netns.run(|| {
        let (port_index, bridge_index) = (index(port)?, index(bridge)?);
        with_netlink(async |netlink| {
            let message = LinkUnspec::new_with_index(port_index).controller(bridge_index);
            let request = netlink.link().set(message.build());
            request.execute().await.context(format!("make {port} a port of {bridge}"))
        })
    })?
}

/// Switches an interface on.
pub fn up(netns: &Netns, name: &str) -> Result<()> {
    netns.run(|| up_in_current(name))?
}

/// Switches an interface of the calling thread's namespace on.
pub(crate) fn up_in_current(name: &str) -> Result<()> {
    let index = index(name)?;
    with_netlink(async |netlink| {
        let message = LinkUnspec::new_with_index(index).up().build();
        let request = netlink.link().set(message);
        request.execute().await.context(format!("switch {name} on"))
    })
}

/// Switches an interface off.
pub fn down(netns: &Netns, name: &str) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let message = LinkUnspec::new_with_index(index).down().build();
            let request = netlink.link().set(message);
            request.execute().await.context(format!("switch {name} off"))
        })
    })?
}

/// Gives an interface an address; its prefix becomes reachable through it.
pub fn add_address(netns: &Netns, name: &str, address: IpAddr, prefix: u8) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let mut request = netlink.address().add(index, address, prefix);
            // Without a look for duplicates, during which nobody could use it.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request.execute().await.context(format!("give {name} the address {address}/{prefix}"))
        })
    })?
}

/// Takes an address from an interface.
pub fn remove_address(netns: &Netns, name: &str, address: IpAddr) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let filter = netlink.address().get().set_link_index_filter(index);
            let mut held = std::pin::pin!(filter.set_address_filter(address).execute());
            let what = format!("take {address} from {name}");
            let held = held.try_next().await.context(&*what)?.ok_or_else(|| {
                Error::Failed(format!("{name} does not have the address {address}"))
            })?;
            netlink.address().del(held).execute().await.context(what)
        })
    })?
}

/// Chooses the longest packet an interface takes, in bytes.
pub fn set_mtu(netns: &Netns, name: &str, mtu: u32) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let message = LinkUnspec::new_with_index(index).mtu(mtu).build();
            let request = netlink.link().set(message);
            request.execute().await.context(format!("set the MTU of {name} to {mtu}"))
        })
    })?
}

/// Removes an interface.
pub fn remove(netns: &Netns, name: &str) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            netlink.link().del(index).execute().await.context(format!("remove {name}"))
        })
    })?
}

/// Sends everything not reachable otherwise to `gateway` through `name`.
pub fn add_default_route(netns: &Netns, name: &str, gateway: IpAddr) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        let route = match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                .output_interface(index)
                .gateway(gateway)
                .build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<std::net::Ipv6Addr>::new()
                .output_interface(index)
                .gateway(gateway)
                .build(),
        };
        with_netlink(async |netlink| {
            let request = netlink.route().add(route);
            request.execute().await.context(format!("add a default route to {gateway}"))
        })
    })?
}

/// Moves an interface to another namespace. Its addresses do not go along.
pub fn move_to(netns: &Netns, name: &str, other: &Netns) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let message = LinkUnspec::new_with_index(index).setns_by_fd(other.raw_fd()).build();
            let request = netlink.link().set(message);
            request.execute().await.context(format!("move {name} to {}", other.label()))
        })
    })?
}

/// Whether the namespace has an interface `name`.
pub fn exists(netns: &Netns, name: &str) -> Result<bool> {
    netns.run(|| index(name).is_ok())
}

/// Whether packets can pass an interface: it is switched on and so is whatever is behind it.
pub fn is_running(netns: &Netns, name: &str) -> Result<bool> {
    netns.run(|| {
        let mut interfaces = getifaddrs().context("list interfaces")?;
        let running = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        Ok(interfaces.any(|entry| entry.interface_name == name && entry.flags.contains(running)))
    })?
}

/// Makes an interface send plain frames with full checksums and none longer than its MTU, so that a
/// wire in user space sees what a cable would carry.
pub fn plain_frames(netns: &Netns, name: &str) -> Result<()> {
    netns.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
        for offload in [Offload::TcpSegmentation, Offload::Segmentation, Offload::TxChecksum] {
            ethtool::switch_off(socket.as_fd(), name, offload)
                .context(format!("switch {offload:?} of {name} off"))?;
        }
        Ok(())
    })?
}

/// Switches a feature of an interface, called as `ethtool -k` calls it or as the kernel does, on or off.
pub fn set_feature(netns: &Netns, name: &str, feature: &str, on: bool) -> Result<()> {
    netns.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
        let switch = if on { "on" } else { "off" };
        ethtool::set_feature(socket.as_fd(), name, feature, on)
            .context(format!("switch {feature} of {name} {switch}"))
    })?
}

/// Whether a feature of an interface, called in the same ways, is on.
pub fn has_feature(netns: &Netns, name: &str, feature: &str) -> Result<bool> {
    netns.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
        ethtool::has_feature(socket.as_fd(), name, feature)
            .context(format!("ask for {feature} of {name}"))
    })?
}

/// Chooses how many packets wait at an interface for whoever takes them on, at most.
pub fn set_queue_length(netns: &Netns, name: &str, packets: u32) -> Result<()> {
    netns.run(|| {
        let index = index(name)?;
        with_netlink(async |netlink| {
            let length = LinkAttribute::TxQueueLen(packets);
            let message = LinkUnspec::new_with_index(index).append_extra_attribute(length).build();
            let request = netlink.link().set(message);
            request.execute().await.context(format!("let {packets} packets wait at {name}"))
        })
    })?
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index(name: &str) -> Result<u32> {
    if_nametoindex(name).context(format!("look up interface {name}"))
}

/// Runs `work` with a netlink connection to the calling thread's namespace.
pub(crate) fn with_netlink<T>(work: impl AsyncFnOnce(Handle) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("start a runtime for netlink")?;
    runtime.block_on(async {
        let (connection, netlink, _) =
            rtnetlink::new_connection().context("open a netlink socket")?;
        let pump = tokio::spawn(connection);
        let result = work(netlink).await;
        pump.abort();
        result
    })
}
