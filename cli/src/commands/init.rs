//! `mesh init`: start a mesh here.

use std::time::Duration;

use mesh_model::api::v1::{InitRequest, JoinedReply, route};

use super::{Session, join};
use crate::args::InitArgs;
use crate::exit::{Exit, Failure};

/// How long the daemon may take: keys, a first log on a slow disk, a first election of one.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: InitArgs, session: &Session) -> Result<Exit, Failure> {
    let request =
        InitRequest { mesh_name: args.mesh_name, name: args.name, ipv4_prefix: args.ipv4_prefix };
    let answer = session.client()?.post(route::INIT, &request, PATIENCE)?;
    session.show(&answer, |reply: &JoinedReply, _| {
        join::page(reply, "started", "mesh invite   makes a token for the next host")
    })
}
