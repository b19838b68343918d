//! The product in ten seconds.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_model::addr::OverlayAddrs;
use mesh_tests::error::Context as _;
use mesh_tests::process::daemons_inside;
use mesh_tests::traffic::{Transfer, ping};
use mesh_tests::{Error, Lab, Result};
use nix::sys::signal::{SigSet, Signal, kill};

use crate::narrator::Narrator;
use crate::takeover;

/// How many hosts.
const HOSTS: usize = 3;

/// How long one ping may take: tunnels are up by then, so this is plenty.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// How much TCP carries, in bytes: enough to see a rate, little enough for ten seconds.
const BULK: u64 = 16 << 20;

/// Runs the demonstration; an error says what was off.
pub(crate) fn run(rootless: bool) -> Result<()> {
    let narrator = Narrator::new();
    let mut lab = if rootless {
        narrator.say("three hosts, each a daemon on loopback without a TUN device");
        Lab::rootless(HOSTS)?
    } else {
        narrator.say("three hosts, each a network namespace, cabled to one switch");
        Lab::switched(HOSTS)?
    };
    clean_up_when_interrupted(lab.dir())?;
    let told = tell(&mut lab, &narrator).and_then(|()| lab.check_logs());
    if told.is_err() {
        eprint!("{}", lab.show_logs());
    }
    drop(lab);
    narrator.say("cleaned up: no process, namespace, interface or file is left");
    told
}

fn tell(lab: &mut Lab, narrator: &Narrator) -> Result<()> {
    form(lab, narrator)?;
    show_status(lab, narrator)?;
    if lab.has_namespaces() {
        kernel_pings(lab, narrator)?;
        bulk(lab, narrator)?;
    } else {
        overlay_pings(lab, narrator)?;
    }
    takeover::run(lab, narrator)
}

fn form(lab: &mut Lab, narrator: &Narrator) -> Result<()> {
    for number in 1..=HOSTS {
        lab.host_mut(number).start()?;
    }
    let founded = lab.host(1).init()?;
    narrator.say(&format!("n1 began a mesh: {}, {}", founded.addrs.v4, founded.addrs.v6));
    let token = lab.host(1).invite(HOSTS as u32 - 1)?.token;
    for host in &lab.hosts()[1..] {
        let joined = host.join(&token)?;
        let (v4, v6) = (joined.addrs.v4, joined.addrs.v6);
        narrator.say(&format!("{} joined by token: {v4}, {v6}", host.name()));
    }
    lab.wait_ready()?;
    lab.wait_voters()
}

fn show_status(lab: &Lab, narrator: &Narrator) -> Result<()> {
    narrator.say("mesh status, as n2 sees it:");
    let answer = lab.host(2).mesh().run_plain(&["status"], "")?;
    narrator.show(answer.text()?);
    for host in lab.hosts() {
        let members = host.status()?.members;
        if members != HOSTS {
            return Err(Error::Failed(format!(
                "{} sees {members} members, not {HOSTS}",
                host.name()
            )));
        }
    }
    Ok(())
}

/// Every ordered pair of hosts, by number, and the addresses of the second.
fn pairs(lab: &Lab) -> Result<Vec<(usize, usize, OverlayAddrs)>> {
    let mut pairs = Vec::new();
    for to in lab.hosts() {
        let (_, addrs) = to.membership()?;
        let others = lab.hosts().iter().filter(|from| from.number() != to.number());
        pairs.extend(others.map(|from| (from.number(), to.number(), addrs)));
    }
    pairs.sort_by_key(|&(from, to, _)| (from, to));
    Ok(pairs)
}

fn kernel_pings(lab: &Lab, narrator: &Narrator) -> Result<()> {
    narrator.say("ICMP through the kernel's interfaces, both families, every pair:");
    for (from, to, addrs) in pairs(lab)? {
        let inside = lab.host(from).netns();
        let mut line = format!("n{from} -> n{to}");
        for target in [IpAddr::V4(addrs.v4), IpAddr::V6(addrs.v6)] {
            let round_trip = ping(inside, target, PING_LIMIT)?;
            line += &format!("   {target} {:.2} ms", round_trip.as_secs_f64() * 1e3);
        }
        narrator.show(&line);
    }
    Ok(())
}

fn overlay_pings(lab: &Lab, narrator: &Narrator) -> Result<()> {
    narrator.say("mesh ping, both families, every pair:");
    for (from, to, addrs) in pairs(lab)? {
        let mut line = format!("n{from} -> n{to}");
        for target in [IpAddr::V4(addrs.v4), IpAddr::V6(addrs.v6)] {
            let text = target.to_string();
            let answer = lab.host(from).mesh().run_plain(&["ping", &text, "-c", "1"], "")?;
            answer.text()?;
            line += &format!("   {target} answers");
        }
        narrator.show(&line);
    }
    Ok(())
}

fn bulk(lab: &Lab, narrator: &Narrator) -> Result<()> {
    let (_, addrs) = lab.host(3).membership()?;
    for target in [IpAddr::V4(addrs.v4), IpAddr::V6(addrs.v6)] {
        let transfer = Transfer::of(BULK, 3);
        let report = transfer.run(lab.host(2).netns(), lab.host(3).netns(), target)?;
        transfer.check(&report)?;
        narrator.say(&format!(
            "TCP n2 -> n3 ({target}): {} MiB in {:.2} s, {:.0} Mbit/s, equal checksums",
            BULK >> 20,
            report.elapsed.as_secs_f64(),
            report.rate()
        ));
    }
    Ok(())
}

/// On an interrupt, ends the daemons and removes the directory; the namespaces go with the processes.
fn clean_up_when_interrupted(dir: &Path) -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // Threads inherit this; programs we start do not.
    signals.thread_block().context("block signals")?;
    let dir: PathBuf = dir.to_owned();
    std::thread::spawn(move || {
        // An error would mean an invalid set, and it is a valid one.
        let _ = signals.wait();
        for daemon in daemons_inside(&dir).unwrap_or_default() {
            let _ = kill(daemon.pid, Signal::SIGKILL);
        }
        let _ = std::fs::remove_dir_all(&dir);
        eprintln!("interrupted; cleaned up");
        std::process::exit(130);
    });
    Ok(())
}
