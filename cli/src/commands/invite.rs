//! `mesh invite`: make a token. It alone goes to standard output; what there is to know about it
//! goes to standard error, so that `mesh invite | ssh host mesh join` works and still explains.

use std::time::Duration;

use mesh_model::api::v1::{InviteReply, InviteRequest, route};

use super::Session;
use crate::args::InviteArgs;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::render::unit;

pub(super) fn run(args: InviteArgs, session: &Session) -> Result<Exit, Failure> {
    let lifetime_s = args.lifetime.as_secs();
    let request = InviteRequest {
        uses: Some(args.uses),
        lifetime_s: Some(lifetime_s),
        endpoints: args.endpoints,
        range: args.range,
        voter: args.voter,
        tags: args.tags.into_iter().collect(),
    };
    let answer = session.client()?.post(route::INVITES, &request, AGREEMENT_PATIENCE)?;
    let exit = session.show(&answer, |reply: &InviteReply, _| {
        format!("{}\n", crate::render::safe(&reply.token))
    })?;
    if !session.output.is_json() {
        let lifetime = unit::duration(Duration::from_secs(lifetime_s));
        session.output.note(&explanation(&answer.body, &lifetime));
    }
    Ok(exit)
}

fn explanation(reply: &InviteReply, lifetime: &str) -> String {
    let hosts = match reply.uses {
        1 => "one host".to_owned(),
        uses => format!("{uses} hosts"),
    };
    format!(
        "This token admits {hosts} and is valid for {lifetime}. It is a secret.\n\
         On the other host, run `mesh join` and paste it.\n"
    )
}
