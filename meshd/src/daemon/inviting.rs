//! `mesh invite`: permission to bring hosts in, as one line of text.

use std::net::SocketAddr;

use ipnet::Ipv4Net;
use mesh_control::command::{Command, Outcome};
use mesh_model::api::v1::{DEFAULT_INVITE_LIFETIME_S, ErrorCode, InviteReply, InviteRequest};
use mesh_model::trust::{
    Bootstrap, Invite, MAX_BOOTSTRAPS, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES, Token,
};
use mesh_model::{IdentitySecret, InviteId, Signed};

use super::refusal::{Answer, refusal};
use super::{Daemon, Mesh};
use crate::io::{clock, entropy::Entropy};

impl Daemon {
    /// Makes an invite and has it agreed.
    pub(crate) async fn invite(&self, request: InviteRequest) -> Answer<InviteReply> {
        let mesh = self.mesh()?;
        let (uses, lifetime_ms) = terms(&request)?;
        check_range(request.range, mesh.view().prefixes.v4)?;
        let admin_secret = self.admin_secret("sign invites").await?;
        let bootstraps = mesh.bootstraps(&request.endpoints).await;
        if bootstraps.is_empty() {
            return Err(refusal(
                ErrorCode::Refused,
                "this host knows no underlay address of its own to put into the token",
                "name one with `--endpoint ADDR:PORT`",
            ));
        }
        let secret = IdentitySecret::from_seed(Entropy.fresh());
        let now = clock::wall_ms();
        let view = mesh.view();
        let invite = Invite {
            mesh: view.mesh(),
            id: InviteId::of_key(&secret.public()),
            key: secret.public(),
            uses,
            created_ms: now,
            expires_ms: now.saturating_add(lifetime_ms),
            range: request.range,
            voter: request.voter,
            tags: request.tags,
        };
        let signed = Signed::seal(&invite, &admin_secret);
        let command = Command::Invite(signed.clone());
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::InviteAdded(_));
        mesh.carry_out(command, "an invite", is_done, "").await?;
        // With the invite agreed, this host has applied everything an admin was made by.
        let admins = mesh.group.read(|state, _| state.admins().head());
        let (root, admin) = (view.root, admin_secret.public());
        let token = Token { root, admin, admins, invite: signed, secret, bootstraps };
        Ok(InviteReply {
            invite: invite.id,
            token: token.to_text().to_string(),
            uses,
            expires_ms: invite.expires_ms,
        })
    }
}

/// Uses and lifetime in milliseconds, within their bounds.
fn terms(request: &InviteRequest) -> Answer<(u32, u64)> {
    let uses = request.uses.unwrap_or(1);
    if !(1..=MAX_INVITE_USES).contains(&uses) {
        return Err(refusal(
            ErrorCode::BadRequest,
            format!("`uses` is {uses}; an invite admits 1 to {MAX_INVITE_USES} hosts"),
            "make a second invite for more",
        ));
    }
    let lifetime_s = request.lifetime_s.unwrap_or(DEFAULT_INVITE_LIFETIME_S);
    let longest_s = MAX_INVITE_LIFETIME_MS / 1000;
    if !(1..=longest_s).contains(&lifetime_s) {
        return Err(refusal(
            ErrorCode::BadRequest,
            format!(
                "`lifetime_s` is {lifetime_s}; an invite is valid for 1 to {longest_s} seconds"
            ),
            "",
        ));
    }
    Ok((uses, lifetime_s * 1000))
}

/// Fails when `range` is no part of `prefix`.
fn check_range(range: Option<Ipv4Net>, prefix: Ipv4Net) -> Answer<()> {
    match range {
        Some(range) if !prefix.contains(&range) => Err(refusal(
            ErrorCode::Refused,
            format!("{range} is no part of the mesh's prefix {prefix}"),
            format!("name a part of it, such as {prefix} itself"),
        )),
        _ => Ok(()),
    }
}

impl Mesh {
    /// The members a token names: this host at `wanted` or where it knows itself to be, then others where
    /// they are seen, in case this host is down when the token is used.
    async fn bootstraps(&self, wanted: &[SocketAddr]) -> Vec<Bootstrap> {
        let gossip = self.gossip().await;
        let own = match wanted {
            [] => gossip.own_endpoints,
            wanted => wanted.to_vec(),
        };
        let identity = self.own.identity;
        let mut doors: Vec<Bootstrap> =
            own.into_iter().map(|endpoint| Bootstrap { endpoint, identity }).collect();
        let view = self.view();
        for sighting in gossip.others {
            let Some(member) = view.members.get(&sighting.member) else { continue };
            let endpoints = sighting.facts.map(|facts| facts.endpoints).unwrap_or_default();
            let door = |endpoint| Bootstrap { endpoint, identity: member.identity };
            doors.extend(endpoints.into_iter().take(1).map(door));
        }
        doors.truncate(MAX_BOOTSTRAPS);
        doors
    }
}
