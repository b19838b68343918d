//! Whom a person means: a member by name, id or overlay address.

use std::net::IpAddr;

use mesh_model::MemberId;
use mesh_model::api::v1::{ErrorCode, Family};
use mesh_model::view::{ClusterView, MemberView};

use super::refusal::{Answer, refusal};

/// The member `text` means, among those present or, if it is one of them, those banned.
pub(super) fn resolve_any<'a>(view: &'a ClusterView, text: &str) -> Answer<&'a MemberView> {
    let banned = || view.banned.values().map(|banned| &banned.member);
    let addr = text.parse::<IpAddr>().ok();
    let means = |member: &&MemberView| {
        member.name.as_str() == text || addr.is_some_and(|addr| member.addrs.contains(addr))
    };
    if let Some(member) = banned().find(means) {
        return Ok(member);
    }
    let by_id = || text.parse::<MemberId>().ok().and_then(|id| view.banned.get(&id));
    // A present member that is called so comes before a banned one that has the id.
    resolve(view, text, Family::V6)
        .map(|(member, _)| member)
        .or_else(|unknown| by_id().map(|banned| &banned.member).ok_or(unknown))
}

/// The member `text` means, and its address: the one named, or the one of `family`.
pub(super) fn resolve<'a>(
    view: &'a ClusterView,
    text: &str,
    family: Family,
) -> Answer<(&'a MemberView, IpAddr)> {
    if let Ok(addr) = text.parse::<IpAddr>()
        && let Some(member) = view.members.values().find(|member| member.addrs.contains(addr))
    {
        return Ok((member, addr));
    }
    // A member may be called m7; whoever is called so is meant rather than whoever has the id.
    let by_id = || text.parse::<MemberId>().ok().and_then(|id| view.members.get(&id));
    let member = view.by_name(text).or_else(by_id).ok_or_else(|| {
        refusal(
            ErrorCode::UnknownMember,
            format!("there is no member `{text}`"),
            "`mesh peers` lists names, ids and addresses",
        )
    })?;
    let addr = match family {
        Family::V6 => IpAddr::V6(member.addrs.v6),
        Family::V4 => IpAddr::V4(member.addrs.v4),
    };
    Ok((member, addr))
}
