//! `mesh leave`: stop being a member, for good.

use mesh_model::api::v1::{LeaveReply, LeaveRequest, route};

use super::Session;
use super::confirm::confirm;
use crate::args::LeaveArgs;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &LeaveArgs, session: &Session) -> Result<Exit, Failure> {
    let question = "This host gives up its id and addresses for good; to return it needs a new token.\n\
                    Leave the mesh?";
    confirm(session, None, args.yes, question, "still a member: leaving was not confirmed")?;
    let request = LeaveRequest { force: args.force };
    let answer = session.client()?.post(route::LEAVE, &request, AGREEMENT_PATIENCE)?;
    session.show(&answer, |reply: &LeaveReply, _| page(reply))
}

fn page(reply: &LeaveReply) -> String {
    let how = match reply.index {
        Some(index) => format!("agreed at index {index}"),
        None => "by force: the other members do not know yet".to_owned(),
    };
    format!("left mesh {}, was {}; {how}\n", reply.mesh, reply.member)
}
