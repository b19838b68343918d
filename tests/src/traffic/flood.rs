//! More datagrams than a path carries, for as long as something else is looked at.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::udp::{BurstReport, MAX, NUMBER, Tally, content, near};
use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;

/// How often some are sent.
const EVERY: Duration = Duration::from_millis(1);

/// What is made up for when the machine was busy elsewhere, in milliseconds' worth. More than that at once would be lost
/// in the first queue on the way.
const ARREARS: u64 = 250;

/// How long a last datagram may be on its way before another one is sent in its place: longer than any queue.
const LAST_EVERY: Duration = Duration::from_secs(5);

/// Last datagrams sent, at most.
const LASTS: usize = 4;

/// The longest the far end waits for the next datagram.
const STALL_LIMIT: Duration = Duration::from_secs(20);

/// Bytes that may wait at the far end for a machine that is busy elsewhere: seconds' worth of what comes through.
const FAR_BUFFER: usize = 64 << 20;

/// Datagrams one way that wait for nothing.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// How many each millisecond.
    pub each_ms: u64,
    /// How long each is.
    pub len: usize,
}

/// What became of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodReport {
    /// Sent, up to the last one that arrived.
    pub sent: u64,
    /// What arrived of those.
    pub arrived: BurstReport,
}

impl FloodReport {
    /// How many were lost on the way.
    pub fn lost(&self) -> u64 {
        let BurstReport { whole, altered, out_of_order } = self.arrived;
        self.sent.saturating_sub(whole + altered + out_of_order)
    }
}

impl Flood {
    /// Sends from inside `from` to `address`, an address of `to`, for as long as `happening` runs. What that found,
    /// and what became of the flood once all of it has arrived or is lost.
    pub fn during<T>(
        &self,
        from: &Netns,
        to: &Netns,
        address: IpAddr,
        happening: impl FnOnce() -> T,
    ) -> Result<(T, FloodReport)> {
        let far = to.run(|| far(address))??;
        let target = far.local_addr().context("ask for the port")?;
        // Nothing is sent on either: it says all it has to when it is dropped, by a panic too.
        let (goes_on, over) = mpsc::channel::<Infallible>();
        let (hears, heard) = mpsc::channel::<Infallible>();
        std::thread::scope(move |scope| {
            let receiver = scope.spawn(move || {
                let _hears = hears;
                self.receive(&far)
            });
            let sender =
                scope.spawn(move || from.run(move || self.send(&near(target)?, &over, &heard)));
            let found = happening();
            drop(goes_on);
            let sender = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let report = receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sender??;
            Ok((found, report?))
        })
    }

    /// Sends until it is `over`, and then the last one, until that is `heard`.
    fn send(
        &self,
        near: &UdpSocket,
        over: &Receiver<Infallible>,
        heard: &Receiver<Infallible>,
    ) -> Result<()> {
        let mut number = 0;
        let started = Instant::now();
        let mut done = 0;
        while lasts(over, EVERY) {
            let due = started.elapsed().as_millis() as u64;
            for _ in 0..(due - done).min(ARREARS) * self.each_ms {
                number += 1;
                near.send(&content(number, self.len)).context("send")?;
            }
            done = due;
        }
        for _ in 0..LASTS {
            number += 1;
            near.send(&content(number, NUMBER)).context("send the last")?;
            if !lasts(heard, LAST_EVERY) {
                return Ok(());
            }
        }
        Err(Error::Failed("the last datagram of a flood does not arrive".to_owned()))
    }

    /// Takes what comes up to the last one: it has passed every queue after all others.
    fn receive(&self, far: &UdpSocket) -> Result<FloodReport> {
        let mut tally = Tally::default();
        let mut buffer = [0; MAX];
        loop {
            let len = far.recv(&mut buffer).context("wait for the end of a flood")?;
            if len == NUMBER {
                let last = u64::from_be_bytes(*buffer.first_chunk().unwrap_or(&[0; NUMBER]));
                return Ok(FloodReport { sent: last - 1, arrived: tally.report });
            }
            tally.take(&buffer[..len], self.len);
        }
    }
}

/// Whether the other end of `word` is still there after `limit`.
fn lasts(word: &Receiver<Infallible>, limit: Duration) -> bool {
    matches!(word.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
}

fn far(address: IpAddr) -> Result<UdpSocket> {
    let far = UdpSocket::bind(SocketAddr::new(address, 0)).context("bind")?;
    far.set_read_timeout(Some(STALL_LIMIT)).context("set a timeout")?;
    setsockopt(&far, sockopt::RcvBufForce, &FAR_BUFFER).context("make room for what comes")?;
    Ok(far)
}

#[cfg(test)]
mod tests {
    use super::super::udp::Burst;
    use super::*;

    #[test]
    fn a_flood_over_loopback_arrives_and_ends() {
        crate::needs_namespaces!();
        let netns = Netns::anonymous("flood").unwrap();
        let flood = Flood { each_ms: 3, len: 100 };
        let loopback = "127.0.0.1".parse().unwrap();
        let burst = Burst { count: 100, len: 100, paced: true };
        let happening = || burst.run(&netns, &netns, loopback).unwrap().whole;
        let (found, report) = flood.during(&netns, &netns, loopback, happening).unwrap();
        assert_eq!(found, burst.count);
        let arrived = BurstReport { whole: report.sent, ..BurstReport::default() };
        assert!(report.sent > 0);
        assert_eq!((report.arrived, report.lost()), (arrived, 0));
    }
}
