//! `mesh join`: become a member.

use std::io::{self, BufRead, IsTerminal as _};
use std::time::Duration;

use mesh_model::api::v1::{JoinRequest, JoinedReply, route};
use mesh_model::trust::{MAX_TOKEN_LEN, Token};

use super::Session;
use crate::args::JoinArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// How long the daemon may take: it tries up to eight members, some of which may not answer, and
/// then waits for agreement.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of standard input that are looked at: the longest token, and as much again for
/// blank lines around it.
const MAX_INPUT: u64 = 2 * MAX_TOKEN_LEN as u64;

/// What to do about a token that is no good.
const NEW_TOKEN: &str = "copy the whole line, or make a new token with `mesh invite`";

pub(super) fn run(args: JoinArgs, session: &Session) -> Result<Exit, Failure> {
    let token = match args.token {
        Some(token) if token != "-" => token.trim().to_owned(),
        _ => ask(&session.output)?,
    };
    // The daemon checks it again; here it is told without one.
    if let Err(error) = token.parse::<Token>() {
        let message = error.to_string();
        return Err(Failure::new(Exit::Failed, "refused", message, NEW_TOKEN));
    }
    let request = JoinRequest { token, name: args.name };
    let answer = session.client()?.post(route::JOIN, &request, PATIENCE)?;
    session.show(&answer, |reply: &JoinedReply, _| {
        page(reply, "joined", "mesh status   shows the other members")
    })
}

/// The token on standard input.
fn ask(output: &Output) -> Result<String, Failure> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        output.note("Paste the join token and press Enter: ");
    }
    let token = first_line(stdin).map_err(|error| {
        let message = format!("cannot read the join token from standard input: {error}");
        Failure::new(Exit::Failed, "input", message, "")
    })?;
    token.ok_or_else(|| Failure::usage("no join token on standard input"))
}

/// The first line that is not blank. The writer need not close its end after it.
fn first_line(input: impl BufRead) -> io::Result<Option<String>> {
    let mut input = input.take(MAX_INPUT);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // Text that is not UTF-8 is no token: the check that follows says so.
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            return Ok(Some(text.trim().to_owned()));
        }
        line.clear();
    }
    Ok(None)
}

/// Who we are now, and what comes next.
pub(super) fn page(reply: &JoinedReply, done: &str, next: &str) -> String {
    format!(
        "{done} mesh `{}` as {} ({})\n\
         addresses     {} {}\n\
         {next}\n",
        reply.mesh_name, reply.name, reply.member, reply.addrs.v4, reply.addrs.v6
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_something_on_it_is_the_token() {
        let read = |text: &[u8]| first_line(text).expect("memory reads");
        assert_eq!(read(b"\n  \r\n  mesh1-a \r\nmore"), Some("mesh1-a".into()));
        assert_eq!(read(b"mesh1-a"), Some("mesh1-a".into()));
        assert_eq!(read(b" \n"), None);
    }

    #[test]
    fn endless_input_is_cut_off() {
        let endless = io::BufReader::new(io::repeat(b'x'));
        let line = first_line(endless).expect("reads").expect("a line");
        assert_eq!(line.len() as u64, MAX_INPUT);
    }
}
