//! The question before something that cannot be taken back. Only a person is asked: a script says `--yes`,
//! or has no terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use super::Session;
use crate::client::Client;
use crate::exit::{Exit, Failure};

/// The longest answer to the question, in bytes: a yes, and room for typing errors.
const MAX_CONFIRMATION: u64 = 64;

/// Goes on when `yes` was said beforehand, nobody is there to ask, or the person says so. `question` says
/// what will happen; `otherwise` how things stay if not. Who has asked the daemon something before names the `client`,
/// which has taken over Ctrl-C.
pub(super) fn confirm(
    session: &Session,
    client: Option<&mut Client>,
    yes: bool,
    question: &str,
    otherwise: &str,
) -> Result<(), Failure> {
    if !asks(yes) {
        return Ok(());
    }
    session.output.note(&format!("{question} [y/N] "));
    let answer = match client {
        Some(client) => client.beside(read_answer)?,
        None => read_answer(),
    };
    settle(answer, otherwise)
}

/// Whether there is somebody to ask, who has not said `yes` beforehand.
pub(super) fn asks(yes: bool) -> bool {
    !yes && io::stdin().is_terminal()
}

fn read_answer() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(MAX_CONFIRMATION).read_line(&mut line).map(|_| line)
}

fn settle(answer: io::Result<String>, otherwise: &str) -> Result<(), Failure> {
    let line = answer.map_err(|error| {
        let message = format!("cannot read the answer from standard input: {error}");
        Failure::new(Exit::Failed, "input", message, "use --yes in scripts")
    })?;
    match is_yes(&line) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, "cancelled", otherwise, "")),
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
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
