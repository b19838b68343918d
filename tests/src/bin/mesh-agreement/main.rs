//! mesh-agreement: agreement beside etcd. `scripts/bench failover` and `scripts/bench commits` build and run it.

// This program talks to a person; standard output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod commits;
mod contenders;
mod failover;
mod results;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mesh_tests::bench::interrupt;
use mesh_tests::bench::machine::Machine;
use mesh_tests::{Error, Result, rights};

/// Agreement beside etcd, on one machine, in network namespaces. Needs root and nft.
#[derive(Parser)]
#[command(name = "scripts/bench", version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// How long nobody can write after a fault: a voter killed, links cut one way or both
    Failover(failover::Args),
    /// How many small commands a second are agreed on, and how long one takes
    Commits(commits::Args),
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) if interrupt::requested() => ExitCode::from(130),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(reason) = rights::missing_for_namespaces() {
        return Err(Error::Failed(format!("{reason}; the figures need them")));
    }
    Machine::this().flushes_to_disk()?;
    interrupt::heed()?;
    match &args.verb {
        Verb::Failover(args) => failover::run(args),
        Verb::Commits(args) => commits::run(args),
    }
}
