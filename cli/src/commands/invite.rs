//! `mesh invite`: make a token. It alone goes to standard output; what there is to know about it
//! goes to standard error, so that `mesh invite | ssh host mesh join` works and still explains.
//!
//! Signed by the daemon's host, the daemon makes the token. Signed otherwise, the invite's secret is drawn here, and only
//! its public half goes anywhere before the token is made: a request that travels admits nobody by itself.

use std::path::Path;

use mesh_model::IdentitySecret;
use mesh_model::api::v1::{Draft, InviteReply, InviteRequest, Wanted, route};

use super::signing::{self, Signer};
use super::{Session, token};
use crate::args::InviteArgs;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::invite_secret::{InviteSecret, path_beside};
use crate::render::{safe, unit};
use crate::{entropy, file};

pub(super) fn run(args: InviteArgs, session: &Session) -> Result<Exit, Failure> {
    if !args.signing.is_plain() {
        return signed(args, session);
    }
    let request = InviteRequest {
        uses: Some(args.uses),
        lifetime_s: Some(args.lifetime.as_secs()),
        endpoints: args.endpoints,
        range: args.range,
        voter: args.voter,
        tags: args.tags.into_iter().collect(),
    };
    let answer = session.client()?.post(route::INVITES, &request, AGREEMENT_PATIENCE)?;
    let exit =
        session.show(&answer, |reply: &InviteReply, _| format!("{}\n", safe(&reply.token)))?;
    if !session.output.is_json() {
        let lifetime = unit::duration(args.lifetime);
        session.output.note(&token::explanation(&answer.body, &lifetime));
    }
    Ok(exit)
}

/// The same with another key than that of the daemon's host.
fn signed(args: InviteArgs, session: &Session) -> Result<Exit, Failure> {
    let signer = Signer::new(&args.signing)?;
    let secret = IdentitySecret::from_seed(*entropy::seed()?);
    let wanted = Wanted::Invite {
        key: secret.public(),
        uses: args.uses,
        lifetime_s: args.lifetime.as_secs(),
        range: args.range,
        voter: args.voter,
        tags: args.tags.into_iter().collect(),
    };
    if let Some(out) = &args.signing.out {
        return set_aside(&signer.draft(wanted, session)?, secret, out, session);
    }
    let (draft, _) = signer.agree(wanted, None, session)?;
    token::show(&token::made(draft.mesh, secret, args.endpoints, session)?, session)
}

/// Writes the invite to `out`, to be signed elsewhere, and its secret beside it, to stay here.
fn set_aside(
    draft: &Draft,
    secret: IdentitySecret,
    out: &Path,
    session: &Session,
) -> Result<Exit, Failure> {
    let beside = path_beside(out);
    file::check_free(out)?;
    // The secret first: without it the invite would admit nobody.
    InviteSecret { mesh: draft.mesh, secret }.write(&beside)?;
    let exit = signing::set_aside(draft, out, session).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })?;
    let name = safe(&beside.display().to_string());
    session.output.note(&format!(
        "Its secret is in {name} and stays here. Once it is agreed, `mesh invites token {name}` makes the token.\n"
    ));
    Ok(exit)
}
