//! Two figures the product promises: how fast a host is in, and how little an idle daemon costs.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mesh_tests::process::{processor_time, resident_memory, stolen_time};
use mesh_tests::traffic::ping;
use mesh_tests::{Error, Lab, Result, eventually, rights};

use crate::narrator::Narrator;

/// How many hosts idle.
const IDLE_HOSTS: usize = 3;

/// How long one try of the first ping waits before the next is sent.
const TRY: Duration = Duration::from_millis(25);

/// How long to try at most.
const LIMIT: Duration = Duration::from_secs(20);

/// Prints the figures.
pub(crate) fn run(seconds: u64, joins: usize) -> Result<()> {
    if let Some(reason) = rights::missing_for_namespaces() {
        return Err(Error::Failed(format!("{reason}; the figures need TUN devices")));
    }
    let narrator = Narrator::new();
    let mut lab = Lab::switched(IDLE_HOSTS)?;
    let measured = measure(&mut lab, seconds, joins, &narrator).and_then(|()| lab.check_logs());
    if measured.is_err() {
        eprint!("{}", lab.show_logs());
    }
    measured
}

fn measure(lab: &mut Lab, seconds: u64, joins: usize, narrator: &Narrator) -> Result<()> {
    lab.form()?;
    narrator.say(&format!("{IDLE_HOSTS} hosts are one mesh; watching them idle for {seconds} s"));
    idle(lab, Duration::from_secs(seconds), narrator)?;
    narrator.say(&format!("{joins} hosts join one after the other"));
    join_times(lab, joins, narrator)
}

fn idle(lab: &Lab, span: Duration, narrator: &Narrator) -> Result<()> {
    let pids: Option<Vec<_>> = lab.hosts().iter().map(|host| host.pid()).collect();
    let pids = pids.ok_or("a daemon does not run")?;
    let used =
        || -> Result<Vec<Duration>> { pids.iter().map(|&pid| processor_time(pid)).collect() };
    let (before, stolen_before) = (used()?, stolen_time()?);
    let started = Instant::now();
    std::thread::sleep(span);
    let (after, stolen_after) = (used()?, stolen_time()?);
    let elapsed = started.elapsed().as_secs_f64();

    let mut shares = Vec::new();
    let mut sizes = Vec::new();
    for (at, host) in lab.hosts().iter().enumerate() {
        let share = (after[at] - before[at]).as_secs_f64() / elapsed * 100.0;
        let size = resident_memory(pids[at])? as f64 / (1 << 20) as f64;
        narrator.show(&format!("{}  {share:.2} % of a core, {size:.1} MiB resident", host.name()));
        shares.push(share);
        sizes.push(size);
    }
    let stolen = (stolen_after - stolen_before).as_secs_f64() / elapsed * 100.0;
    narrator.show(&format!("the hypervisor gave {stolen:.0} % of a core to others meanwhile"));
    narrator.say(&format!(
        "idle daemon, median: {:.2} % of a core (promised: under 0.5 %), {:.1} MiB resident (promised: under 40)",
        median(&mut shares),
        median(&mut sizes)
    ));
    Ok(())
}

fn join_times(lab: &mut Lab, joins: usize, narrator: &Narrator) -> Result<()> {
    let token = lab.host(1).invite(joins as u32)?.token;
    let (_, founder) = lab.host(1).membership()?;
    let mut times = Vec::new();
    for _ in 0..joins {
        let number = lab.add_namespace_host()?;
        lab.host_mut(number).start()?;
        let host = lab.host(number);
        let started = Instant::now();
        host.join(&token)?;
        let joined = started.elapsed();
        eventually(LIMIT, "the first ping is answered", || {
            ping(host.netns(), IpAddr::V6(founder.v6), TRY).ok()
        })?;
        let answered = started.elapsed();
        narrator.show(&format!(
            "{}  joined after {} ms, first ping answered after {} ms",
            host.name(),
            joined.as_millis(),
            answered.as_millis()
        ));
        times.push(answered.as_secs_f64());
    }
    narrator.say(&format!(
        "from `mesh join` to the first answered ping, median: {:.0} ms (promised: under 2000)",
        median(&mut times) * 1e3
    ));
    Ok(())
}

/// The middle value; 0 when there is none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
