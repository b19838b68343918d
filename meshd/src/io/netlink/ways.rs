//! Where packets go now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt as _;
use mesh_dataplane::Way;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::RouteMessageBuilder;

use super::Netlink;

impl Netlink {
    /// The interface by which a datagram with `mark` goes along `way` now; `None` when it cannot.
    pub(crate) async fn leaves_by(&self, way: Way, mark: u32) -> Option<u32> {
        let answer = self.handle.route().get(question(way, mark)?).execute().try_next().await;
        let route = answer.ok()??;
        route.attributes.into_iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(interface) => Some(interface),
            _ => None,
        })
    }
}

/// `None` for ends of different families.
fn question(way: Way, mark: u32) -> Option<RouteMessage> {
    let mut question = match (way.remote, way.local) {
        (IpAddr::V4(remote), IpAddr::V4(local)) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(remote, 32)
            .source_prefix(local, 32)
            .build(),
        (IpAddr::V6(remote), IpAddr::V6(local)) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(remote, 128)
            .source_prefix(local, 128)
            .build(),
        _ => return None,
    };
    if mark != 0 {
        question.attributes.push(RouteAttribute::Mark(mark));
    }
    Some(question)
}
