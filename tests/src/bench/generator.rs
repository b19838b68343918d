//! Small datagrams at a chosen rate, counted at the other end. Both ends cost far less than a tunnel, so
//! that on a small machine the tunnel is what is measured.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;
use nix::sys::socket::{setsockopt, sockopt};

use super::ground::Ground;
use super::search::Trial;
use crate::error::{Context as _, Error, Result};
use crate::raw::batch::{BATCH, count_arrived, send_copies};

/// Bytes of payload of each datagram.
pub const PAYLOAD: usize = 100;

/// How long the sender rests when nothing is due: ten datagrams at 100,000 a second, no burst to speak
/// of.
const TICK: Duration = Duration::from_micros(100);

/// How late the kernel may end a rest, in nanoseconds; 50,000 unless asked.
const TIMER_SLACK: u64 = 1_000;

/// Receive and send buffers, in bytes: 50 ms at 300,000 datagrams a second in the kernel's accounting,
/// so that no loss is the receiver's own.
const BUFFER: usize = 16 << 20;

/// How long the receiver waits after the sender has ended: several times the longest queue seen (a
/// hundredth of that without load, 80 ms with).
const SILENCE: Duration = Duration::from_millis(250);

/// A load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Datagrams a second; as many as go when `None`.
    pub rate: Option<f64>,
    /// How long.
    pub span: Duration,
}

/// What one end saw.
#[derive(Debug, Clone, Copy)]
struct Count {
    datagrams: u64,
    span: Duration,
}

/// What became of a load.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    sent: Count,
    received: Count,
}

impl Delivery {
    /// Datagrams that arrived.
    pub fn received(&self) -> u64 {
        self.received.datagrams
    }

    /// As rates and a share.
    pub fn trial(&self) -> Trial {
        let span = self.sent.span.max(self.received.span).as_secs_f64();
        let (sent, received) = (self.sent.datagrams as f64, self.received.datagrams as f64);
        Trial {
            sent: sent / self.sent.span.as_secs_f64(),
            received: received / span,
            loss: if sent > 0.0 { 1.0 - received / sent } else { 1.0 },
        }
    }
}

impl Load {
    /// Sends it from the near end to `far`, an address of the far end.
    pub fn run(self, ground: &Ground, far: Ipv4Addr) -> Result<Delivery> {
        let receiver = ground.far().run(|| bind(SocketAddr::from((far, 0))))??;
        let target = receiver.local_addr().context("ask for the port")?;
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let received = scope.spawn(|| receive(&receiver, &ended));
            let sent = ground.near().run(|| self.send(target));
            ended.store(true, Ordering::Release);
            let received = received.join();
            let received = received.map_err(|_| Error::Failed("the receiver panicked".into()))?;
            Ok(Delivery { sent: sent??, received: received? })
        })
    }

    fn send(self, target: SocketAddr) -> Result<Count> {
        set_timerslack(TIMER_SLACK).context("ask for precise rests")?;
        let socket = bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
        socket.connect(target).context(format!("find a route to {target}"))?;
        let payload = [0; PAYLOAD];
        let started = Instant::now();
        let mut datagrams = 0;
        loop {
            let elapsed = started.elapsed();
            if elapsed >= self.span {
                return Ok(Count { datagrams, span: elapsed });
            }
            let due = match self.rate {
                Some(rate) => (elapsed.as_secs_f64() * rate) as u64 - datagrams,
                None => BATCH as u64,
            };
            if due == 0 {
                std::thread::sleep(TICK);
                continue;
            }
            match send_copies(socket.as_fd(), &payload, due.min(BATCH as u64) as usize) {
                Ok(sent) => datagrams += sent as u64,
                // A full queue, or word of a refusal on the way: sent again when due.
                Err(error) if is_passing(error.kind()) => {}
                Err(error) => return Err(error).context(format!("send to {target}")),
            }
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::OutOfMemory
            | ErrorKind::HostUnreachable
    )
}

fn bind(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address).context(format!("bind to {address}"))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("enlarge a receive buffer")?;
    setsockopt(&socket, sockopt::SndBufForce, &BUFFER).context("enlarge a send buffer")?;
    Ok(socket)
}

/// Counts what arrives until the sender has ended and it is silent.
fn receive(socket: &UdpSocket, ended: &AtomicBool) -> Result<Count> {
    socket.set_read_timeout(Some(SILENCE)).context("set a timeout")?;
    let mut scratch = [0; 2 * PAYLOAD];
    let mut datagrams = 0;
    let mut times: Option<(Instant, Instant)> = None;
    loop {
        let may_end = ended.load(Ordering::Acquire);
        match count_arrived(socket.as_fd(), &mut scratch) {
            Ok(count) => {
                datagrams += count as u64;
                let now = Instant::now();
                times = Some((times.map_or(now, |(first, _)| first), now));
            }
            Err(error) if is_passing(error.kind()) => {
                if may_end {
                    let span = times.map_or(Duration::ZERO, |(first, last)| last - first);
                    return Ok(Count { datagrams, span });
                }
            }
            Err(error) => return Err(error).context("receive datagrams"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ground::{Side, Underlay};

    #[test]
    fn rates_are_taken_over_the_longer_of_both_spans() {
        let second = Duration::from_secs(1);
        let sent = Count { datagrams: 1000, span: second };
        let late = Delivery { sent, received: Count { datagrams: 500, span: second * 2 } };
        assert_eq!(late.trial(), Trial { sent: 1000.0, received: 250.0, loss: 0.5 });
        let none = Delivery { sent, received: Count { datagrams: 0, span: Duration::ZERO } };
        assert_eq!(none.trial(), Trial { sent: 1000.0, received: 0.0, loss: 1.0 });
    }

    #[test]
    fn a_slow_load_arrives_whole_and_is_no_larger_than_asked() {
        crate::needs_namespaces!();
        let ground = Ground::lay(Underlay::AsCreated).unwrap();
        let load = Load { rate: Some(2000.0), span: Duration::from_millis(300) };
        let delivery = load.run(&ground, Side::Far.underlay()).unwrap();
        assert_eq!(delivery.received(), delivery.sent.datagrams);
        assert!((1..=600).contains(&delivery.received()), "{delivery:?}");
    }
}
