//! Whom a person means, and where that is.

use std::net::IpAddr;

use mesh_control::drafting::{DraftError, whom};
use mesh_model::api::v1::{ErrorBody, Family};
use mesh_model::view::{ClusterView, MemberView};

use super::refusal::{Answer, refusal};

/// The member `text` means, among those present or, if it is one of them, those banned.
pub(super) fn resolve_any<'a>(view: &'a ClusterView, text: &str) -> Answer<&'a MemberView> {
    whom::placed(view, text).ok_or_else(|| unknown(text))
}

/// The member `text` means, and its address: the one named, or the one of `family`.
pub(super) fn resolve<'a>(
    view: &'a ClusterView,
    text: &str,
    family: Family,
) -> Answer<(&'a MemberView, IpAddr)> {
    let member = whom::present(view, text).ok_or_else(|| unknown(text))?;
    let named = text.parse().ok().filter(|addr| member.addrs.contains(*addr));
    let addr = named.unwrap_or(match family {
        Family::V6 => IpAddr::V6(member.addrs.v6),
        Family::V4 => IpAddr::V4(member.addrs.v4),
    });
    Ok((member, addr))
}

fn unknown(text: &str) -> ErrorBody {
    let error = DraftError::UnknownMember(text.to_owned());
    refusal(error.code(), &error, error.hint())
}
