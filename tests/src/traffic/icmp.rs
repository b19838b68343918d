//! ICMP echoes, one at a time or as a stream that measures gaps.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::echo::Echo;
use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;

/// Sends one echo from inside `from` to `target`; the round trip, or an error after `limit`.
pub fn ping(from: &Netns, target: IpAddr, limit: Duration) -> Result<Duration> {
    from.run(|| {
        let mut echo = Echo::open(target)?;
        let started = Instant::now();
        echo.send(1).context(format!("send an echo to {target}"))?;
        while started.elapsed() < limit {
            let answer = echo.receive(limit - started.elapsed())?;
            if answer.is_some_and(|answer| answer.sequence == 1) {
                return Ok(started.elapsed());
            }
        }
        Err(Error::Failed(format!("no answer from {target} within {limit:?}")))
    })?
}

/// Sends echoes from inside `from` to `target` every `every` until one is answered, whichever it is.
/// Whether one was within `limit`.
pub fn is_answered(from: &Netns, target: IpAddr, every: Duration, limit: Duration) -> Result<bool> {
    from.run(|| {
        let started = Instant::now();
        let mut sent = 0;
        let mut echo = None;
        while started.elapsed() < limit {
            sent += 1;
            if echo.is_none() {
                // Fails as long as there is no route.
                echo = Echo::open(target).ok();
            }
            let Some(echo) = &mut echo else {
                std::thread::sleep(every);
                continue;
            };
            // While nobody listens the kernel may say so: a lost echo like any other.
            let _ = echo.send(sent);
            let next = every * u32::from(sent);
            while let Some(pause) = next.checked_sub(started.elapsed()) {
                if echo.receive(pause)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    })?
}

/// What a stream of echoes saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingReport {
    /// Who was asked.
    pub target: IpAddr,
    /// Echoes sent.
    pub sent: u64,
    /// Answers received, each once.
    pub received: u64,
    /// The longest time without an answer, the time before the first and after the last included.
    pub longest_gap: Duration,
}

/// Echoes sent at a steady pace in the background.
#[derive(Debug)]
pub struct PingStream {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Result<Result<PingReport>>>,
}

impl PingStream {
    /// Starts asking `target` from inside `from` every `every`.
    pub fn start(from: &Netns, target: IpAddr, every: Duration) -> Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = ended.clone();
        let thread = from.spawn(move || stream(target, every, &seen))?;
        Ok(Self { ended, thread })
    }

    /// Ends the stream and tells what it saw.
    pub fn stop(self) -> Result<PingReport> {
        self.ended.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(report) => report?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn stream(target: IpAddr, every: Duration, ended: &AtomicBool) -> Result<PingReport> {
    let mut echo = Echo::open(target)?;
    let mut report = PingReport { target, sent: 0, received: 0, longest_gap: Duration::ZERO };
    let mut last_answer = Instant::now();
    let mut next_send = last_answer;
    while !ended.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next_send {
            report.sent += 1;
            next_send = (next_send + every).max(now);
            // While there is no route or no tunnel the kernel says so: a lost echo like any other.
            let _ = echo.send(report.sent as u16);
        }
        let pause = next_send.saturating_duration_since(Instant::now());
        if echo.receive(pause)?.is_some() {
            let now = Instant::now();
            report.received += 1;
            report.longest_gap = report.longest_gap.max(now - last_answer);
            last_answer = now;
        }
    }
    report.longest_gap = report.longest_gap.max(last_answer.elapsed());
    Ok(report)
}
