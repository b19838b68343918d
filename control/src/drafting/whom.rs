//! Whom a person means: a member by name, id or overlay address.

use std::net::IpAddr;

use mesh_model::MemberId;
use mesh_model::view::{ClusterView, MemberView};

/// The present member that `text` means.
pub fn present<'a>(view: &'a ClusterView, text: &str) -> Option<&'a MemberView> {
    let addr = text.parse::<IpAddr>().ok();
    let by_addr = || {
        let addr = addr?;
        view.members.values().find(|member| member.addrs.contains(addr))
    };
    // A member may be called m7; whoever is called so is meant rather than whoever has the id.
    let by_id = || text.parse::<MemberId>().ok().and_then(|id| view.members.get(&id));
    by_addr().or_else(|| view.by_name(text)).or_else(by_id)
}

/// The member that `text` means, among those present or, if it is one of them, those banned.
pub fn placed<'a>(view: &'a ClusterView, text: &str) -> Option<&'a MemberView> {
    let banned = || view.banned.values().map(|banned| &banned.member);
    let addr = text.parse::<IpAddr>().ok();
    let is_meant = |member: &&MemberView| {
        member.name.as_str() == text || addr.is_some_and(|addr| member.addrs.contains(addr))
    };
    // A present member that is called so comes before a banned one that has the id.
    let by_id = || text.parse::<MemberId>().ok().and_then(|id| view.banned.get(&id));
    banned()
        .find(is_meant)
        .or_else(|| present(view, text))
        .or_else(|| by_id().map(|banned| &banned.member))
}
