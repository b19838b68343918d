//! A token: an invite that the mesh has agreed on, and the secret that is only here.
//!
//! The daemon tells all of a token but its secret. It is held against the secret and the mesh before it is handed out: a
//! token of something else would send joiners elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_model::api::v1::{InviteReply, TokenParts, TokenRequest, route};
use mesh_model::trust::{MeshRoot, Request, Token};
use mesh_model::{IdentitySecret, InviteId, MeshId};

use super::Session;
use crate::args::TokenArgs;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::invite_secret::InviteSecret;
use crate::moment::Moment;
use crate::render::{json, unit};

/// Makes the token of an invite whose secret is in a file.
pub(super) fn run(args: TokenArgs, session: &Session) -> Result<Exit, Failure> {
    let InviteSecret { mesh, secret } = InviteSecret::read(&args.secret)?;
    show(&made(mesh, secret, args.endpoints, session)?, session)
}

/// The token of the agreed invite that `secret` belongs to.
pub(super) fn made(
    mesh: MeshId,
    secret: IdentitySecret,
    endpoints: Vec<SocketAddr>,
    session: &Session,
) -> Result<InviteReply, Failure> {
    let invite = InviteId::of_key(&secret.public());
    let question = TokenRequest { invite, endpoints };
    let answer = session.client()?.post(route::INVITES_TOKEN, &question, AGREEMENT_PATIENCE)?;
    let token = assembled(answer.body, secret).filter(|token| token.root.mesh == mesh);
    // Read as a joiner reads it: what would be refused there is not handed out.
    let text = token.map(|token| token.to_text());
    let read = text.as_deref().and_then(|text| text.parse::<Token>().ok());
    let terms = read.and_then(|token| token.verified_invite().ok());
    let (Some(text), Some(terms)) = (text, terms) else {
        return Err(Failure::new(
            Exit::Failed,
            "bad_answer",
            "the daemon's answer is no token for this invite",
            "ask another member's daemon, and find out what is wrong with this one",
        ));
    };
    let (uses, expires_ms) = (terms.uses, terms.expires_ms);
    Ok(InviteReply { invite, token: text.to_string(), uses, expires_ms })
}

fn assembled(parts: TokenParts, secret: IdentitySecret) -> Option<Token> {
    let Ok(Request::Invite(cosigned)) = parts.invite.parse() else { return None };
    Some(Token {
        root: MeshRoot::of(parts.root),
        admin: parts.admin,
        admins: parts.admins,
        invite: cosigned.signed_by(&parts.admin)?,
        secret,
        bootstraps: parts.bootstraps,
    })
}

/// Shows a token that was made here.
pub(super) fn show(reply: &InviteReply, session: &Session) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.text(&json::document(reply.clone()))?;
        return Ok(Exit::Ok);
    }
    session.output.line(&reply.token)?;
    let left_ms = reply.expires_ms.saturating_sub(Moment::now().ms);
    let left = Duration::from_secs(left_ms.div_ceil(1000));
    session.output.note(&explanation(reply, &unit::duration(left)));
    Ok(Exit::Ok)
}

/// What there is to know about a token that is valid for `lifetime`.
pub(super) fn explanation(reply: &InviteReply, lifetime: &str) -> String {
    let hosts = match reply.uses {
        1 => "one host".to_owned(),
        uses => format!("{uses} hosts"),
    };
    format!(
        "This token admits {hosts} and is valid for {lifetime}. It is a secret.\n\
         On the other host, run `mesh join` and paste it.\n"
    )
}
