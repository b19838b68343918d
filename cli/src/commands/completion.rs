//! `mesh completion`: a script for a shell.

use clap::CommandFactory as _;

use super::Session;
use crate::args::{Cli, CompletionArgs};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &CompletionArgs, session: &Session) -> Result<Exit, Failure> {
    if session.output.is_json() {
        return Err(Failure::usage("a completion script cannot be JSON"));
    }
    // The generator panics on a failed write (`mesh completion bash | head`); memory takes all.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mesh", &mut script);
    session.output.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
