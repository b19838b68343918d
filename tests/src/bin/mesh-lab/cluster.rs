//! A cluster that stays: up, status, exec, kill, start, down.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use mesh_tests::binaries::Binaries;
use mesh_tests::error::Context as _;
use mesh_tests::fabric::Fabric;
use mesh_tests::host::{Host, name_of};
use mesh_tests::lab::{SETTLE_LIMIT, wait_equal_state, wait_voters};
use mesh_tests::loopback::Claim;
use mesh_tests::process::Found;
use mesh_tests::{Error, Netns, Result, eventually};
use nix::sys::signal::{Signal, kill as send_signal};

use crate::narrator::Narrator;
use crate::registry::{Registry, lab_dir};

/// How long daemons may take to end before they are killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Brings `nodes` hosts up and leaves them running.
pub(crate) fn up(nodes: usize, rootless: bool) -> Result<()> {
    if let Some(running) = Registry::load()? {
        return Err(Error::Failed(format!(
            "a cluster of {} hosts is up already; `scripts/cluster status` shows it, \
             `scripts/cluster down` removes it",
            running.nodes
        )));
    }
    // Held until daemons listen there. What one leaves when it is killed may be another's when it is started again.
    let on_loopback = if rootless { nodes } else { 0 };
    let claims: Vec<_> =
        (0..on_loopback).map(|_| Claim::next(Ipv4Addr::LOCALHOST)).collect::<Result<_>>()?;
    let registry = Registry {
        ports: claims.iter().map(|claim| claim.at().port()).collect(),
        nodes,
        first_names: !rootless && !Netns::names_dir_exists(),
        dir: lab_dir()?,
    };
    refuse_foreign(&registry)?;
    registry.save()?;
    let narrator = Narrator::new();
    if let Err(error) = build(&registry, &narrator) {
        narrator.say("that failed; taking it down again");
        down()?;
        return Err(error);
    }
    explain(&registry, &narrator)
}

/// Names that somebody else has taken are neither used nor removed.
fn refuse_foreign(registry: &Registry) -> Result<()> {
    for name in registry.netns_names() {
        if Netns::exists(&name) {
            return Err(Error::Failed(format!(
                "the network namespace {name} exists and is not ours to use"
            )));
        }
    }
    if registry.dir.exists() {
        return Err(Error::Failed(format!(
            "{} exists and holds no cluster; move it away first",
            registry.dir.display()
        )));
    }
    Ok(())
}

fn build(registry: &Registry, narrator: &Narrator) -> Result<()> {
    if registry.has_namespaces() {
        narrator.say(&format!("{} hosts, each a network namespace", registry.nodes));
        let fabric = Fabric::bridge(Netns::named(&registry.hub_netns())?)?;
        for number in 1..=registry.nodes {
            fabric.attach(number, &Netns::named(&registry.netns_of(number))?)?;
        }
    } else {
        narrator.say(&format!("{} hosts, each a port on loopback", registry.nodes));
    }
    let mut hosts = Vec::new();
    for number in 1..=registry.nodes {
        let mut host = registry.host(number)?;
        host.outlive_us();
        host.start()?;
        hosts.push(host);
    }
    form(&hosts, narrator)?;
    for host in &mut hosts {
        host.detach();
    }
    Ok(())
}

fn form(hosts: &[Host], narrator: &Narrator) -> Result<()> {
    let founded = hosts[0].init()?;
    narrator.say(&format!("n1 began the mesh {}", founded.mesh));
    if hosts.len() > 1 {
        let token = hosts[0].invite(hosts.len() as u32 - 1)?.token;
        for host in &hosts[1..] {
            let joined = host.join(&token)?;
            let (v4, v6) = (joined.addrs.v4, joined.addrs.v6);
            narrator.say(&format!("{} joined by token: {v4}, {v6}", host.name()));
        }
    }
    for host in hosts {
        host.wait_for("ready", SETTLE_LIMIT)?;
    }
    // Only with all the voters there will be does the mesh outlive the loss of its supervisor.
    wait_voters(hosts)?;
    wait_equal_state(&hosts.iter().collect::<Vec<_>>(), hosts.len())
}

fn explain(registry: &Registry, narrator: &Narrator) -> Result<()> {
    narrator.say("ready");
    println!();
    for number in 1..=registry.nodes {
        let host = registry.host(number)?;
        println!("{}  mesh --socket {}", host.name(), host.socket().display());
    }
    println!();
    println!("try  scripts/cluster exec n1 -- mesh status");
    println!("     scripts/cluster kill n1");
    println!("     scripts/cluster down");
    Ok(())
}

/// Shows the hosts, and the mesh as the first running one sees it.
pub(crate) fn status() -> Result<()> {
    let registry = Registry::require()?;
    let mut witness = None;
    for number in 1..=registry.nodes {
        let host = registry.host(number)?;
        let state = match registry.daemon_of(&host)? {
            Some(daemon) => {
                witness.get_or_insert(number);
                format!("running, process {}", daemon.pid)
            }
            None => "down".to_owned(),
        };
        println!("{}  {state}  {}", host.name(), host.socket().display());
    }
    let Some(witness) = witness else {
        println!("no daemon runs; `scripts/cluster start n1` starts one");
        return Ok(());
    };
    println!("\nmesh status on {}:", name_of(witness));
    let answer = registry.host(witness)?.mesh().run_plain(&["status"], "")?;
    print!("{}", answer.text()?);
    Ok(())
}

/// Becomes a command on a host.
pub(crate) fn exec(node: &str, command: &[String]) -> Result<()> {
    let registry = Registry::require()?;
    let host = registry.host(registry.number(node)?)?;
    let (program, args) = command.split_first().ok_or("no command")?;
    if registry.has_namespaces() {
        host.netns().enter()?;
    }
    let binaries = Binaries::find()?;
    let own = binaries.mesh.parent().into_iter().map(ToOwned::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(own.chain(std::env::split_paths(&path)))
        .map_err(|error| error.to_string())?;
    let error =
        Command::new(program).args(args).env("MESH_SOCKET", host.socket()).env("PATH", path).exec();
    Err(error).context(format!("run {program}"))
}

/// Ends a host's daemon with SIGKILL.
pub(crate) fn kill(node: &str) -> Result<()> {
    let registry = Registry::require()?;
    let host = registry.host(registry.number(node)?)?;
    let daemon = registry
        .daemon_of(&host)?
        .ok_or_else(|| Error::Failed(format!("the daemon of {node} is down already")))?;
    signal(&daemon, Signal::SIGKILL)?;
    eventually(STOP_LIMIT, "the daemon is gone", || {
        registry.daemon_of(&host).ok()?.is_none().then_some(())
    })?;
    println!("killed the daemon of {node} (process {})", daemon.pid);
    Ok(())
}

/// Starts a host's daemon again.
pub(crate) fn start(node: &str) -> Result<()> {
    let registry = Registry::require()?;
    let mut host = registry.host(registry.number(node)?)?;
    if let Some(daemon) = registry.daemon_of(&host)? {
        return Err(Error::Failed(format!("the daemon of {node} runs as process {}", daemon.pid)));
    }
    host.outlive_us();
    host.start()?;
    if let Some(pid) = host.detach() {
        println!("started the daemon of {node} (process {pid})");
    }
    Ok(())
}

/// Removes what `up` made, and only that. Nothing there is no error.
pub(crate) fn down() -> Result<()> {
    let Some(registry) = Registry::load()? else {
        println!("no cluster is up");
        return Ok(());
    };
    stop_all(&registry)?;
    for name in registry.netns_names() {
        Netns::remove(&name)?;
    }
    if registry.first_names && Netns::names_dir_exists() {
        Netns::remove_names_dir()?;
    }
    let dir = &registry.dir;
    fs::remove_dir_all(dir).context(format!("remove {}", dir.display()))?;
    println!("removed the cluster of {} hosts", registry.nodes);
    Ok(())
}

fn stop_all(registry: &Registry) -> Result<()> {
    for harshness in [Signal::SIGTERM, Signal::SIGKILL] {
        for daemon in registry.daemons()? {
            signal(&daemon, harshness)?;
        }
        let gone = eventually(STOP_LIMIT, "the daemons end", || {
            registry.daemons().ok()?.is_empty().then_some(())
        });
        if gone.is_ok() {
            return Ok(());
        }
    }
    Err("some daemons do not end even when killed".into())
}

fn signal(daemon: &Found, signal: Signal) -> Result<()> {
    match send_signal(daemon.pid, signal) {
        // It ended between being found and being told.
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(error) => Err(error).context(format!("send {signal} to {}", daemon.pid)),
    }
}
