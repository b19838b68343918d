//! mesh-chaos: what a mesh of real daemons goes through, for as long as one likes. `scripts/chaos` builds and runs it.

// This program talks to a person; standard output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use mesh_tests::chaos::{JoinRace, Outlive, Storm};
use mesh_tests::{Error, Result, rights};

/// Real daemons, killed and cut off until something gives, or nothing does.
///
/// Everything happens in network namespaces or on loopback, and nothing stays behind. Ends with 1 and the reason as
/// soon as anything is not as promised.
#[derive(Parser)]
#[command(name = "scripts/chaos", version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Many hosts join with a token for one while the supervisor is killed: exactly one gets in
    Joins {
        /// How many hosts
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
        joiners: u16,
        /// How many times
        #[arg(long, default_value_t = 50)]
        rounds: u32,
        /// Decides when the supervisor is killed
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// All voters are killed, for good: the others lose no packet, and one of them is started anew. Needs root
    Packets {
        /// For how long, in seconds: no longer than echoes can be numbered
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=Outlive::LONGEST.as_secs()))]
        seconds: u64,
    },
    /// Daemons are killed, stopped, cut off and mended, while somebody writes. Needs root
    Storm {
        /// How many hosts
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(3..=50))]
        hosts: u8,
        /// For how long, in seconds, each
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Decides what happens when
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many storms, each with the next seed
        #[arg(long, default_value_t = 1)]
        rounds: u64,
    },
}

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
        Verb::Joins { joiners, rounds, seed } => joins(joiners.into(), rounds, seed),
        Verb::Packets { seconds } => packets(Duration::from_secs(seconds)),
        Verb::Storm { hosts, seconds, seed, rounds } => {
            need_namespaces()?;
            (seed..seed + rounds).try_for_each(|seed| storm(hosts.into(), seed, seconds))
        }
    }
}

fn joins(joiners: usize, rounds: u32, seed: u64) -> Result<()> {
    println!("three members, {joiners} hosts that want in, seed {seed}");
    let started = Instant::now();
    let mut race = JoinRace::prepare(joiners, seed)?;
    let mut void = 0;
    for round in 1..=rounds {
        let seen = race.run().map_err(|error| Error::Failed(format!("round {round}: {error}")))?;
        println!(
            "round {round}: n{} got in; n{} was killed after {} ms, when {} had their answer; \
             asked {} times in {:.1} s{}",
            seen.winner,
            seen.killed,
            seen.killed_after.as_millis(),
            seen.told_before,
            seen.asked,
            seen.took.as_secs_f64(),
            if seen.void > 0 {
                format!("; {} races before it were over too soon", seen.void)
            } else {
                String::new()
            }
        );
        void += seen.void;
    }
    println!(
        "{rounds} rounds, and {void} that were over before the supervisor was killed, in {} s: one member each",
        started.elapsed().as_secs()
    );
    Ok(())
}

fn packets(span: Duration) -> Result<()> {
    need_namespaces()?;
    let seen = Outlive::prepare()?.run(span)?;
    println!(
        "{} s without voters: {} echoes sent, none lost, the slowest took {} ms; a host started anew had its tunnels \
         after {} ms; the oldest session at the end was {} s old",
        span.as_secs(),
        seen.echoes,
        seen.slowest.as_millis(),
        seen.back_after.as_millis(),
        seen.oldest_session.as_secs()
    );
    Ok(())
}

fn storm(hosts: usize, seed: u64, seconds: u64) -> Result<()> {
    let storm = Storm::prepare(hosts, seed)?;
    let seen = storm
        .run(Duration::from_secs(seconds))
        .map_err(|error| Error::Failed(format!("seed {seed}: {error}")))?;
    println!(
        "seed {seed}: {hosts} hosts, {seconds} s, {} killed, {} stopped, {} cuts, {} bad links; {} invites \
         acknowledged and kept, {} without an answer; whole again after {:.1} s",
        seen.kills,
        seen.stops,
        seen.cuts,
        seen.losses,
        seen.acknowledged,
        seen.unanswered,
        seen.mended_after.as_secs_f64()
    );
    Ok(())
}

fn need_namespaces() -> Result<()> {
    rights::missing_for_namespaces().map_or(Ok(()), |missing| Err(Error::Failed(missing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_promised_for_no_longer_than_echoes_are_sent() {
        let packets = |seconds: &str| Args::try_parse_from(["", "packets", "--seconds", seconds]);
        assert!(packets("6553").is_ok());
        assert!(packets("7200").is_err_and(|error| error.to_string().contains("1..=6553")));
        assert!(packets("0").is_err());
    }
}
