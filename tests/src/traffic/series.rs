//! A number of echoes at a steady pace, and the round trip of each.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use super::echo::Echo;
use crate::error::{Error, Result};

/// How long the last answers are waited for: many times what any queue on the way may hold.
const LINGER: Duration = Duration::from_secs(1);

/// The most echoes of one series: their numbers have 16 bits.
const MAX_COUNT: u16 = u16::MAX;

/// What to send.
#[derive(Debug, Clone, Copy)]
pub struct PingSeries {
    /// How many echoes.
    pub count: u16,
    /// The time from one to the next.
    pub every: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrips {
    /// Echoes sent.
    pub sent: u16,
    /// The round trip of each that was answered, in the order of the answers: from before the call that
    /// sent it to when the kernel took the answer in.
    pub times: Vec<Duration>,
}

impl PingSeries {
    /// As many echoes every `every` as fit into `span`, and can be numbered.
    pub fn filling(span: Duration, every: Duration) -> Self {
        let count = span.as_secs_f64() / every.as_secs_f64();
        Self { count: count.clamp(1.0, f64::from(MAX_COUNT)) as u16, every }
    }

    /// Sends the series to `target` from the calling thread's namespace.
    pub fn run(self, target: IpAddr) -> Result<RoundTrips> {
        let mut echo = Echo::open(target)?;
        let mut sent_at: Vec<SystemTime> = Vec::with_capacity(usize::from(self.count));
        let mut answered = vec![false; usize::from(self.count)];
        let mut times = Vec::with_capacity(usize::from(self.count));
        let started = Instant::now();
        let end = self.due(self.count - 1) + LINGER;
        while started.elapsed() < end && times.len() < usize::from(self.count) {
            let next = sent_at.len() as u16;
            let pause = if next < self.count { self.due(next) } else { end };
            let pause = pause.saturating_sub(started.elapsed());
            if next < self.count && pause.is_zero() {
                sent_at.push(SystemTime::now());
                // A queue that is full or a route that is gone: a lost echo like any other.
                let _ = echo.send(next);
                continue;
            }
            let Some(answer) = echo.receive(pause)? else { continue };
            let at = usize::from(answer.sequence);
            // An answer that came twice, or with a clock set back in between, tells nothing.
            if let Some(sent) = sent_at.get(at)
                && !std::mem::replace(&mut answered[at], true)
                && let Ok(time) = answer.at.duration_since(*sent)
            {
                times.push(time);
            }
        }
        if times.is_empty() {
            return Err(Error::Failed(format!(
                "none of {} pings to {target} came back",
                self.count
            )));
        }
        Ok(RoundTrips { sent: self.count, times })
    }

    fn due(self, echo: u16) -> Duration {
        self.every * u32::from(echo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Netns;

    #[test]
    fn a_series_fills_its_span() {
        let every = Duration::from_millis(10);
        assert_eq!(PingSeries::filling(Duration::from_secs(2), every).count, 200);
        assert_eq!(PingSeries::filling(Duration::ZERO, every).count, 1);
        assert_eq!(PingSeries::filling(Duration::from_secs(10_000), every).count, MAX_COUNT);
    }

    #[test]
    fn every_echo_over_loopback_comes_back_once() {
        crate::needs_namespaces!();
        let netns = Netns::anonymous("series").unwrap();
        let series = PingSeries { count: 50, every: Duration::from_millis(1) };
        let trips = netns.run(|| series.run("127.0.0.1".parse().unwrap())).unwrap().unwrap();
        assert_eq!((trips.sent, trips.times.len()), (50, 50));
        let trips = netns.run(|| series.run("::1".parse().unwrap())).unwrap().unwrap();
        assert_eq!(trips.times.len(), 50);
    }
}
