//! Our interface after it was moved to another network namespace, where names and indices are others'.

use futures_util::{StreamExt as _, TryStreamExt as _};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};

use super::Netlink;

/// Namespaces that are looked through, at most: more than a host of containers has, and a tenth of a second.
const MAX_NAMESPACES: usize = 1024;

impl Netlink {
    /// Whether TUN interface `index` is in this namespace.
    pub(crate) async fn is_here(&self, index: u32) -> bool {
        self.tun(index, None).await.is_some()
    }

    /// The MTU of TUN interface `index`, called `name`, which has been moved to another namespace; `None`
    /// where it is not found, or something that looks the same is.
    pub(crate) async fn mtu_elsewhere(&self, index: u32, name: &str) -> Option<u16> {
        let mut found = Vec::new();
        for namespace in self.namespaces().await {
            found.extend(self.tun(index, Some(namespace)).await);
        }
        found.retain(|link| named(link) == Some(name));
        match &found[..] {
            [link] => link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Mtu(mtu) => u16::try_from(*mtu).ok(),
                _ => None,
            }),
            _ => None,
        }
    }

    /// TUN interface `index` of another namespace, or of this one.
    async fn tun(&self, index: u32, namespace: Option<i32>) -> Option<LinkMessage> {
        let mut question = self.handle.link().get().match_index(index);
        let attributes = &mut question.message_mut().attributes;
        attributes.extend(namespace.map(LinkAttribute::IfNetnsId));
        let mut answer = std::pin::pin!(question.execute());
        answer.try_next().await.ok()?.filter(is_tun)
    }

    /// The namespaces that this one has a number for: those to which interfaces of its were moved, too.
    async fn namespaces(&self) -> Vec<i32> {
        let question = RouteNetlinkMessage::GetNsId(NsidMessage::default());
        let mut question = NetlinkMessage::from(question);
        question.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let Ok(answer) = self.handle.clone().request(question) else { return Vec::new() };
        let numbers = answer.map(|message| match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(it)) => number(&it),
            _ => None,
        });
        let numbers: Vec<_> = numbers.take(MAX_NAMESPACES).collect().await;
        numbers.into_iter().flatten().collect()
    }
}

fn number(namespace: &NsidMessage) -> Option<i32> {
    namespace.attributes.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(number) => Some(*number).filter(|number| *number >= 0),
        _ => None,
    })
}

fn named(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn is_tun(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::Tun)),
        _ => false,
    })
}
