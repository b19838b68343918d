//! Datagrams with known content: one at a time there and back, a few at a time, or as fast as they can be sent.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;

/// The longest a datagram may be away.
const ECHO_LIMIT: Duration = Duration::from_secs(10);

/// How often the far end looks whether it is still needed; after the last datagram of a burst, how long
/// nothing must come before it counts as over.
const LULL: Duration = Duration::from_millis(300);

/// The longest datagram there is.
pub(super) const MAX: usize = 65_535;

/// Bytes at the start of a datagram of a burst that number it.
pub(super) const NUMBER: usize = 8;

/// Sends a datagram of each of `lengths` from inside `from` to `address`, an address of `to`, one after the
/// other; each must come back as it was sent.
pub fn echo_datagrams(from: &Netns, to: &Netns, address: IpAddr, lengths: &[usize]) -> Result<()> {
    let far = to.run(|| UdpSocket::bind(SocketAddr::new(address, 0)).context("bind"))??;
    let target = far.local_addr().context("ask for the port")?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| send_back(&far, &done));
        let outcome = from.run(|| {
            let near = near(target)?;
            lengths.iter().try_for_each(|&len| echo(&near, len))
        });
        done.store(true, Ordering::Relaxed);
        outcome?
    })
}

pub(super) fn near(target: SocketAddr) -> Result<UdpSocket> {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).context("bind")?;
    socket.connect(target).context(format!("find a route to {target}"))?;
    socket.set_read_timeout(Some(ECHO_LIMIT)).context("set a timeout")?;
    socket.set_write_timeout(Some(ECHO_LIMIT)).context("set a timeout")?;
    Ok(socket)
}

/// The content of datagram `number`.
pub(super) fn content(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
    if let Some(start) = bytes.first_chunk_mut::<NUMBER>() {
        *start = number.to_be_bytes();
    }
    bytes
}

fn echo(near: &UdpSocket, len: usize) -> Result<()> {
    let sent = content(len as u64, len);
    near.send(&sent).context(format!("send {len} bytes"))?;
    let mut buffer = [0; MAX];
    let got = near.recv(&mut buffer).context(format!("hear {len} bytes again"))?;
    if buffer[..got] != sent {
        return Err(Error::Failed(format!("{len} bytes came back as {got} bytes, or altered")));
    }
    Ok(())
}

fn send_back(far: &UdpSocket, done: &AtomicBool) {
    let mut buffer = [0; MAX];
    // Without a timeout it would never see the end.
    let _ = far.set_read_timeout(Some(LULL));
    while !done.load(Ordering::Relaxed) {
        if let Ok((len, back)) = far.recv_from(&mut buffer) {
            // Lost on its way back, it is missed at the near end.
            let _ = far.send_to(&buffer[..len], back);
        }
    }
}

/// Datagrams of a paced burst that are underway at once. The smallest queue on their way is a socket's: the kernel's
/// usual 208 KiB, with which a device may be content too, hold some ninety of 1,000 bytes. Eight bursts at once through
/// one device fit.
const WINDOW: u64 = 8;

/// Datagrams one way.
#[derive(Debug, Clone, Copy)]
pub struct Burst {
    /// How many.
    pub count: u64,
    /// How long each is.
    pub len: usize,
    /// Whether a few wait for the arrival of the few before them, so that no queue is ever full and none may be lost.
    /// The others are sent without waiting for anything.
    pub paced: bool,
}

/// What became of a burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BurstReport {
    /// Arrived as sent.
    pub whole: u64,
    /// Arrived otherwise.
    pub altered: u64,
    /// Arrived after a later one, or twice.
    pub out_of_order: u64,
}

impl Burst {
    /// Sends from inside `from` to `address`, an address of `to`.
    pub fn run(&self, from: &Netns, to: &Netns, address: IpAddr) -> Result<BurstReport> {
        let far = to.run(|| UdpSocket::bind(SocketAddr::new(address, 0)).context("bind"))??;
        far.set_read_timeout(Some(LULL)).context("set a timeout")?;
        let target = far.local_addr().context("ask for the port")?;
        let sent_all = AtomicBool::new(false);
        let (arrival, arrivals) = mpsc::channel();
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| self.receive(&far, arrival, &sent_all));
            let outcome = from.run(move || {
                self.send(&near(target)?, &arrivals);
                Ok::<_, Error>(())
            });
            sent_all.store(true, Ordering::Relaxed);
            let report = match receiver.join() {
                Ok(report) => report,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            outcome??;
            Ok(report)
        })
    }

    /// Sends them all, or until one of a paced burst is lost: waiting for each of the others would take hours.
    fn send(&self, near: &UdpSocket, arrivals: &Receiver<()>) {
        for start in (1..=self.count).step_by(WINDOW as usize) {
            let window = start..(start + WINDOW).min(self.count + 1);
            for number in window.clone() {
                // A full queue on the way out is a loss like any other.
                let _ = near.send(&content(number, self.len));
            }
            let arrive = |_| arrivals.recv_timeout(ECHO_LIMIT).is_ok();
            if self.paced && !window.into_iter().all(arrive) {
                return;
            }
        }
    }

    fn receive(&self, far: &UdpSocket, arrival: Sender<()>, sent_all: &AtomicBool) -> BurstReport {
        let mut tally = Tally::default();
        let mut buffer = [0; MAX];
        loop {
            let over = sent_all.load(Ordering::Relaxed);
            let Ok(len) = far.recv(&mut buffer) else {
                if over {
                    return tally.report;
                }
                continue;
            };
            tally.take(&buffer[..len], self.len);
            // Who no longer waits has given up.
            let _ = arrival.send(());
        }
    }
}

/// What has come of numbered datagrams so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) report: BurstReport,
    /// The highest number that came.
    last: u64,
}

impl Tally {
    /// Counts `datagram`, which was `len` bytes when it was sent.
    pub(super) fn take(&mut self, datagram: &[u8], len: usize) {
        let number = datagram.first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
        if datagram != content(number, len) {
            self.report.altered += 1;
        } else if number <= self.last {
            self.report.out_of_order += 1;
        } else {
            self.report.whole += 1;
            self.last = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_burst_over_loopback_arrives_whole() {
        crate::needs_namespaces!();
        let netns = Netns::anonymous("burst").unwrap();
        // Neither a multiple of the window nor less than one.
        for count in [1, 2 * WINDOW, 500] {
            let burst = Burst { count, len: 1_000, paced: true };
            let report = burst.run(&netns, &netns, "127.0.0.1".parse().unwrap()).unwrap();
            assert_eq!(report, BurstReport { whole: count, ..BurstReport::default() });
        }
    }
}
