//! The supervisor is killed while the others talk to each other.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_model::api::v1::{Family, PingRequest, route};
use mesh_model::id::MemberId;
use mesh_tests::traffic::{PingReport, PingStream};
use mesh_tests::{Error, Lab, Result, http};

use crate::narrator::Narrator;

/// How often each surviving pair pings.
const PING_EVERY: Duration = Duration::from_millis(20);

/// The longest silence the product allows a surviving pair.
const GAP_LIMIT: Duration = Duration::from_secs(3);

/// How long the pings go on before the kill, so that the pairs are known to talk.
const BEFORE: Duration = Duration::from_millis(300);

/// How long they go on under the new supervisor: enough for some tens of answers on every pair, so
/// that one which stays silent from the kill on is told from one that is slow.
const AFTER: Duration = Duration::from_secs(1);

/// How long one echo through the daemons is waited for before the next is sent: a lost one is a lost one.
const ECHO_LIMIT: Duration = Duration::from_millis(300);

/// Kills the supervisor's daemon and holds the survivors to their promise.
pub(crate) fn run(lab: &mut Lab, narrator: &Narrator) -> Result<()> {
    let (leader, before) = lab.leader_seen_by(1, None)?;
    let survivors: Vec<usize> = (1..=lab.hosts().len()).filter(|&n| n != leader).collect();
    let streams = start_streams(lab, &survivors)?;
    std::thread::sleep(BEFORE);
    narrator.say(&format!(
        "kill -9 n{leader}, the supervisor of term {}, while n{} and n{} ping each other every {} ms",
        before.term,
        survivors[0],
        survivors[1],
        PING_EVERY.as_millis()
    ));
    let killed = Instant::now();
    lab.host_mut(leader).kill()?;
    let (next, after) = lab.leader_seen_by(survivors[0], before.leader)?;
    narrator.say(&format!(
        "n{next} is the supervisor now, of term {}: {:.1} s after the kill",
        after.term,
        killed.elapsed().as_secs_f64()
    ));
    // Streams of their own, so that no answer from before can pass for one from after.
    let under_next = start_streams(lab, &survivors)?;
    std::thread::sleep(AFTER);
    require_answers(&stop(under_next)?)?;
    judge(&stop(streams)?, narrator)
}

fn stop(streams: Vec<Stream>) -> Result<Vec<PingReport>> {
    streams.into_iter().map(Stream::stop).collect()
}

fn require_answers(reports: &[PingReport]) -> Result<()> {
    match reports.iter().find(|report| report.received == 0) {
        Some(silent) => Err(Error::Failed(format!(
            "none of {} pings to {} was answered after the takeover",
            silent.sent, silent.target
        ))),
        None => Ok(()),
    }
}

fn judge(reports: &[PingReport], narrator: &Narrator) -> Result<()> {
    let longest = reports.iter().map(|report| report.longest_gap).max();
    let longest = longest.ok_or("no pair was watched")?;
    let sent: u64 = reports.iter().map(|report| report.sent).sum();
    let received: u64 = reports.iter().map(|report| report.received).sum();
    narrator.say(&format!(
        "longest gap on the surviving pairs: {} ms ({received} of {sent} pings answered)",
        longest.as_millis()
    ));
    if longest > GAP_LIMIT {
        return Err(Error::Failed(format!(
            "a surviving pair was silent for {longest:?}; the limit is {GAP_LIMIT:?}"
        )));
    }
    Ok(())
}

/// Pings between two survivors: real ICMP, or through the daemon where there is no TUN device.
enum Stream {
    Icmp(PingStream),
    Overlay { ended: Arc<AtomicBool>, thread: JoinHandle<PingReport> },
}

fn start_streams(lab: &Lab, survivors: &[usize]) -> Result<Vec<Stream>> {
    let mut streams = Vec::new();
    for &from in survivors {
        for &to in survivors.iter().filter(|&&to| to != from) {
            let (member, addrs) = lab.host(to).membership()?;
            for target in [IpAddr::V4(addrs.v4), IpAddr::V6(addrs.v6)] {
                streams.push(if lab.has_namespaces() {
                    let inside = lab.host(from).netns();
                    Stream::Icmp(PingStream::start(inside, target, PING_EVERY)?)
                } else {
                    start_overlay(lab, from, member, target)
                });
            }
        }
    }
    Ok(streams)
}

/// One ping after the other through the local API, as `mesh ping` makes them.
fn start_overlay(lab: &Lab, from: usize, member: MemberId, target: IpAddr) -> Stream {
    let socket = lab.host(from).socket();
    let ended = Arc::new(AtomicBool::new(false));
    let seen = ended.clone();
    let request = PingRequest {
        target: member.to_string(),
        family: if target.is_ipv4() { Family::V4 } else { Family::V6 },
        timeout_ms: ECHO_LIMIT.as_millis() as u64,
    };
    let body = serde_json::to_vec(&request).expect("plain data has a JSON form");
    let thread = std::thread::spawn(move || {
        let mut report = PingReport { target, sent: 0, received: 0, longest_gap: Duration::ZERO };
        let mut last_answer = Instant::now();
        while !seen.load(Ordering::Relaxed) {
            report.sent += 1;
            let reply = http::request(&socket, "POST", route::PING, &body);
            if reply.is_ok_and(|reply| reply.status == 200) {
                report.received += 1;
                report.longest_gap = report.longest_gap.max(last_answer.elapsed());
                last_answer = Instant::now();
            }
            std::thread::sleep(PING_EVERY);
        }
        report.longest_gap = report.longest_gap.max(last_answer.elapsed());
        report
    });
    Stream::Overlay { ended, thread }
}

impl Stream {
    fn stop(self) -> Result<PingReport> {
        match self {
            Self::Icmp(stream) => stream.stop(),
            Self::Overlay { ended, thread } => {
                ended.store(true, Ordering::Relaxed);
                thread.join().map_err(|_| Error::Failed("a ping thread panicked".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_is_silent_after_the_takeover_fails_the_demonstration() {
        let report = |received| PingReport {
            target: IpAddr::from([192, 0, 2, 1]),
            sent: 50,
            received,
            longest_gap: Duration::ZERO,
        };
        assert!(require_answers(&[report(50), report(1)]).is_ok());
        assert!(require_answers(&[report(50), report(0)]).is_err());
    }
}
