//! `mesh invite`: permission to bring hosts in, as one line of text.
//!
//! The invite's secret is drawn where the token is made, and is nowhere else: here when this host's key signs it, in `mesh`
//! when another admin's does. Then the daemon tells the rest of the token once the invite is agreed.

use std::net::SocketAddr;

use mesh_control::command::{Command, Outcome};
use mesh_control::drafting::InviteTerms;
use mesh_control::state::InviteEntry;
use mesh_model::api::v1::{
    DEFAULT_INVITE_LIFETIME_S, ErrorCode, InviteReply, InviteRequest, TokenParts, TokenRequest,
};
use mesh_model::trust::{Bootstrap, MAX_BOOTSTRAPS, Request, Token};
use mesh_model::{Cosigned, IdentitySecret, Signed};

use super::refusal::{Answer, refusal};
use super::{Daemon, Mesh};
use crate::io::entropy::Entropy;

impl Daemon {
    /// Makes an invite and has it agreed.
    pub(crate) async fn invite(&self, request: InviteRequest) -> Answer<InviteReply> {
        let mesh = self.mesh()?;
        let secret = IdentitySecret::from_seed(Entropy.fresh());
        let terms = InviteTerms {
            key: secret.public(),
            uses: request.uses.unwrap_or(1),
            lifetime_s: request.lifetime_s.unwrap_or(DEFAULT_INVITE_LIFETIME_S),
            range: request.range,
            voter: request.voter,
            tags: request.tags,
        };
        let invite = mesh.drafted(|drafter| drafter.invite(terms))?;
        let admin_secret = self.admin_secret("sign invites").await?;
        let bootstraps = mesh.bootstraps(&request.endpoints).await?;
        let signed = Signed::seal(&invite, &admin_secret);
        let command = Command::Invite(signed.clone());
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::InviteAdded(_));
        let agreed = mesh.carry_out(command, "an invite", is_done, "");
        self.unless_stopping(agreed).await??;
        // With the invite agreed, this host has applied everything an admin was made by.
        let admins = mesh.group.read(|state, _| state.admins().head());
        let (root, admin) = (mesh.view().root, admin_secret.public());
        let token = Token { root, admin, admins, invite: signed, secret, bootstraps };
        Ok(InviteReply {
            invite: invite.id,
            token: token.to_text().to_string(),
            uses: invite.uses,
            expires_ms: invite.expires_ms,
        })
    }

    /// What a token for an agreed invite says, for who has its secret.
    pub(crate) async fn token_parts(&self, request: TokenRequest) -> Answer<TokenParts> {
        let mesh = self.mesh()?;
        let bootstraps = mesh.bootstraps(&request.endpoints).await?;
        let id = request.invite;
        mesh.group.read(|state, _| {
            let stated = state.invites().get(&id).map(InviteEntry::stated);
            let found = stated.and_then(|stated| Some((stated, state.admins().get(stated.by())?)));
            let (stated, admin) = found.ok_or_else(|| {
                refusal(
                    ErrorCode::Refused,
                    format!("the mesh has agreed on no invite {id}, or none that this host knows of"),
                    "an invite that was written with `--out` has to be signed and submitted first: `mesh admin sign`, `mesh admin submit`",
                )
            })?;
            Ok(TokenParts {
                root: state.founding().root.key,
                admin: admin.key,
                admins: state.admins().head(),
                invite: Request::Invite(Cosigned::of(stated.signed(), admin.key)).to_string(),
                bootstraps,
            })
        })
    }
}

impl Mesh {
    /// The members a token names: this host at `wanted` or where it knows itself to be, then others where
    /// they are seen, in case this host is down when the token is used.
    async fn bootstraps(&self, wanted: &[SocketAddr]) -> Answer<Vec<Bootstrap>> {
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
        match doors.is_empty() {
            false => Ok(doors),
            true => Err(refusal(
                ErrorCode::Refused,
                "this host knows no underlay address of its own to put into the token",
                "name one with `--endpoint ADDR:PORT`",
            )),
        }
    }
}
