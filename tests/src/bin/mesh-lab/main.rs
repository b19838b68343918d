//! mesh-lab: a cluster of hosts on one machine, to try things out. `scripts/cluster` builds and runs
//! it.

// This program talks to a person; standard output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cluster;
mod demo;
mod narrator;
mod registry;
mod takeover;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mesh_tests::{Result, rights};

/// A cluster of meshd hosts on this machine.
///
/// As root each host is a network namespace with a real TUN device. Otherwise, or with --rootless, the
/// daemons share loopback and run without TUN devices.
#[derive(Parser)]
#[command(name = "scripts/cluster", version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring a cluster up that stays until `down`
    Up {
        /// How many hosts
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=MAX_NODES))]
        nodes: u8,
        /// No namespaces and no TUN devices: loopback, needs no rights
        #[arg(long)]
        rootless: bool,
    },
    /// Ten seconds: three hosts, real traffic, the supervisor killed, the next one takes over
    Demo {
        /// No namespaces and no TUN devices: loopback, needs no rights
        #[arg(long)]
        rootless: bool,
    },
    /// Show the hosts and what one of them says of the mesh
    Status,
    /// Run a command on a host, in its network, with `mesh` pointed at its daemon
    Exec {
        /// The host, such as n1
        node: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Kill a host's daemon (SIGKILL)
    Kill {
        /// The host, such as n1
        node: String,
    },
    /// Start a killed host's daemon again
    Start {
        /// The host, such as n1
        node: String,
    },
    /// Remove everything `up` made; nothing else
    Down,
    /// Measure joining and idling (scripts/bench idle)
    Bench {
        /// How long to watch the idle daemons, in seconds
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// How many hosts join, one after the other
        #[arg(long, default_value_t = 5)]
        joins: usize,
    },
}

/// The most hosts of one cluster: underlay addresses are numbered in one octet, and more than this is
/// no longer trying things out.
const MAX_NODES: i64 = 50;

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Up { nodes, rootless } => cluster::up(usize::from(nodes), without_rights(rootless)),
        Verb::Demo { rootless } => demo::run(without_rights(rootless)),
        Verb::Status => cluster::status(),
        Verb::Exec { node, command } => cluster::exec(&node, &command),
        Verb::Kill { node } => cluster::kill(&node),
        Verb::Start { node } => cluster::start(&node),
        Verb::Down => cluster::down(),
        Verb::Bench { seconds, joins } => bench::run(seconds, joins),
    }
}

/// Whether to do without namespaces, because it was asked for or because there is no choice.
fn without_rights(asked: bool) -> bool {
    if asked {
        return true;
    }
    match rights::missing_for_namespaces() {
        Some(reason) => {
            println!("{reason}; going on over loopback with --tun none");
            true
        }
        None => false,
    }
}
