//! `mesh sync`: where this host has what is agreed from.

use std::time::Duration;

use mesh_model::api::v1::{ResyncRequest, SyncFromRequest, SyncReply, SyncState, route};

use super::Session;
use crate::args::{SyncArgs, SyncVerb};
use crate::client::Answer;
use crate::exit::{Exit, Failure};
use crate::render::sync::{comparison, members, page};

/// How long the daemon may take: what it says at once, and the entries of a log, which it gives up on after 20 s.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: SyncArgs, session: &Session) -> Result<Exit, Failure> {
    let nothing = serde_json::Map::new();
    match args.verb {
        None | Some(SyncVerb::Status) => {
            let answer = session.client()?.get(route::SYNC)?;
            session.show(&answer, page)
        }
        Some(SyncVerb::Resync(args)) => {
            let request = ResyncRequest { from_index: args.from_index };
            let answer = session.client()?.post(route::SYNC_RESYNC, &request, PATIENCE)?;
            tell(&answer, "looks for a source anew", session)
        }
        Some(SyncVerb::Fast) => {
            let answer = session.client()?.post(route::SYNC_FAST, &nothing, PATIENCE)?;
            tell(&answer, "asks for the whole state", session)
        }
        Some(SyncVerb::From(args)) => {
            let request = SyncFromRequest { members: args.members };
            let answer: Answer<SyncReply> =
                session.client()?.post(route::SYNC_FROM, &request, PATIENCE)?;
            let done = match &answer.body.preferred[..] {
                [] => "asks whoever serves best".to_owned(),
                preferred => {
                    format!("asks {} first, until meshd is restarted", members(preferred))
                }
            };
            tell(&answer, &done, session)
        }
    }
}

/// Shows what was `done`; fails where a log was found to differ.
fn tell(answer: &Answer<SyncReply>, done: &str, session: &Session) -> Result<Exit, Failure> {
    session.show(answer, |reply, _| {
        let mut text = format!("this host {done}\n");
        if !reply.asks {
            text += waits(reply.state);
        }
        if let Some(compared) = &reply.comparison {
            text += &comparison(compared);
        }
        text
    })?;
    let compared = answer.body.comparison.as_ref();
    let differs = compared.is_some_and(|compared| compared.difference.is_some());
    Ok(if differs { Exit::Failed } else { Exit::Ok })
}

/// Why nothing happens now.
fn waits(state: SyncState) -> &'static str {
    match state {
        SyncState::Leads => "it leads, so that takes effect once it has to ask others\n",
        _ => {
            "the supervisor sends it what is agreed, so that takes effect once it has to ask others\n"
        }
    }
}
