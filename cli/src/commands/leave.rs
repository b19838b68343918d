//! `mesh leave`: stop being a member, for good.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use mesh_model::api::v1::{LeaveReply, LeaveRequest, route};

use super::Session;
use crate::args::LeaveArgs;
use crate::exit::{Exit, Failure};

/// How long the daemon may take: one agreement, with an election in between at worst.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer to the question, in bytes: a yes, and room for typing errors.
const MAX_CONFIRMATION: u64 = 64;

pub(super) fn run(args: &LeaveArgs, session: &Session) -> Result<Exit, Failure> {
    if !args.yes && io::stdin().is_terminal() && !confirmed(session)? {
        return Err(Failure::new(
            Exit::Failed,
            "cancelled",
            "still a member: leaving was not confirmed",
            "",
        ));
    }
    let request = LeaveRequest { force: args.force };
    let answer = session.client()?.post(route::LEAVE, &request, PATIENCE)?;
    session.show(&answer, |reply: &LeaveReply, _| page(reply))
}

fn confirmed(session: &Session) -> Result<bool, Failure> {
    session.output.note(
        "This host gives up its id and addresses for good; to return it needs a new token.\n\
         Leave the mesh? [y/N] ",
    );
    let mut line = String::new();
    io::stdin().lock().take(MAX_CONFIRMATION).read_line(&mut line).map_err(|error| {
        let message = format!("cannot read the answer from standard input: {error}");
        Failure::new(Exit::Failed, "input", message, "use --yes in scripts")
    })?;
    Ok(is_yes(&line))
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn page(reply: &LeaveReply) -> String {
    let how = match reply.index {
        Some(index) => format!("agreed at index {index}"),
        None => "by force: the other members do not know yet".to_owned(),
    };
    format!("left mesh {}, was {}; {how}\n", reply.mesh, reply.member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", " yes \n"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yess\n", "ja\n"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
