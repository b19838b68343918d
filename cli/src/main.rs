//! `mesh`: the command line of a meshd network.
//!
//! One run is one verb: parse the arguments, ask the daemon on its unix socket, show what it said.
//! The program decides nothing about the mesh and keeps nothing; everything it knows is in the
//! documents of [`mesh_model::api::v1`].
//!
//! ```text
//! args ──> commands::VERB ──> client ──(HTTP/JSON, unix socket)──> meshd
//!                │       └──> offline ─(JSON, a pipe)─> a meshd of its own, where none may run
//!                │ answer or failure
//!                ├──> render::{table, json} ──> output ──> stdout
//!                └──> exit::Failure ──────────> stderr, exit code
//! ```

mod args;
mod client;
mod commands;
mod entropy;
mod exit;
mod failpoint;
mod file;
mod invite_secret;
mod key_file;
mod moment;
mod offline;
mod output;
mod passphrase;
mod policy_file;
mod render;
mod sealed;
mod socket;
mod splitting;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Format};
use commands::Session;
use exit::{Exit, Failure};
use output::Output;

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&argv) {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error, &argv),
    };
    let mut session =
        Session::new(cli.socket, cli.consistent, Output::new(cli.format, cli.no_color));
    match commands::run(cli.verb, &mut session) {
        Ok(exit) => exit.into(),
        Err(failure) => session.output.fail(&failure).into(),
    }
}

/// Help and `--version` arrive here as well: clap calls everything an error that is not a verb.
fn refuse_arguments(error: &clap::Error, argv: &[OsString]) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked_for && wants_json(argv) {
        let failure = Failure::usage(first_paragraph(&error.to_string()));
        return Output::new(Format::Json, true).fail(&failure).into();
    }
    // Nothing is left to do when even this cannot be printed.
    let _ = error.print();
    if asked_for { Exit::Ok } else { Exit::Usage }.into()
}

/// Whether the arguments ask for JSON, told without the parser, which has just refused them.
fn wants_json(argv: &[OsString]) -> bool {
    let mut before = argv.iter().take_while(|arg| *arg != "--").peekable();
    while let Some(arg) = before.next() {
        let next_is_json = before.peek().is_some_and(|next| *next == "json");
        if arg == "--format=json" || (arg == "--format" && next_is_json) {
            return true;
        }
    }
    false
}

/// What is wrong, without clap's usage and tips below it.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.is_empty());
    let joined = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    joined.strip_prefix("error: ").map(str::to_owned).unwrap_or(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_in_arguments_that_do_not_parse() {
        let argv = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&argv("mesh nonsense --format json")));
        assert!(wants_json(&argv("mesh --format=json nonsense")));
        assert!(!wants_json(&argv("mesh --format table json")));
        assert!(!wants_json(&argv("mesh -- --format json")));
    }
}
