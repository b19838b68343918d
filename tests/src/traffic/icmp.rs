//! ICMP echoes, one at a time or as a stream that measures gaps.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::echo::Echo;
use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;

/// Bytes of an echo header; what follows is ours.
const HEADER: usize = 8;

/// Bytes of payload, as customary `ping` sends.
const PAYLOAD: usize = 56;

/// The longest an echo waits for room in a queue: an interface nobody serves would keep it for ever.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// The shortest wait the kernel can be told: what is less becomes zero microseconds, which means for ever.
const SHORTEST: Duration = Duration::from_micros(1);

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

/// An open echo socket to one target.
struct Echo {
    socket: Socket,
    target: IpAddr,
    ident: u16,
}

impl Echo {
    fn open(target: IpAddr) -> Result<Self> {
        /// Tells the echoes of parallel streams apart.
        static NEXT_IDENT: AtomicU16 = AtomicU16::new(1);
        let (domain, protocol) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket =
            Socket::new(domain, Type::RAW, Some(protocol)).context("open an echo socket")?;
        socket
            .connect(&SocketAddr::new(target, 0).into())
            .context(format!("find a route to {target}"))?;
        socket.set_write_timeout(Some(SEND_LIMIT)).context("set a timeout")?;
        let ident = NEXT_IDENT.fetch_add(1, Ordering::Relaxed) ^ std::process::id() as u16;
        Ok(Self { socket, target, ident })
    }

    fn send(&mut self, sequence: u16) -> io::Result<()> {
        let kind = if self.target.is_ipv4() { 8 } else { 128 };
        let mut packet = [0; HEADER + PAYLOAD];
        packet[0] = kind;
        packet[4..6].copy_from_slice(&self.ident.to_be_bytes());
        packet[6..8].copy_from_slice(&sequence.to_be_bytes());
        if self.target.is_ipv4() {
            // The kernel fills in the checksum of ICMPv6 only.
            let sum = internet_checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        self.socket.write_all(&packet)
    }

    /// The sequence number of an answer to us, should one come within `limit`.
    fn receive(&mut self, limit: Duration) -> Result<Option<u16>> {
        // Without patience it is still a read: whoever is behind hears what has come in meanwhile.
        self.socket.set_nonblocking(limit.is_zero()).context("choose how to read")?;
        self.socket
            .set_read_timeout(Some(limit.max(SHORTEST)).filter(|_| !limit.is_zero()))
            .context("set a timeout")?;
        let mut buffer = [0; 2048];
        let len = match self.socket.read(&mut buffer) {
            Ok(len) => len,
            // Nothing came, or the kernel reports the target unreachable: no answer either way.
            Err(_) => return Ok(None),
        };
        Ok(self.answered(&buffer[..len]))
    }

    fn answered(&self, packet: &[u8]) -> Option<u16> {
        let (echo, answer_kind) = match self.target {
            // Raw IPv4 sockets see the IP header, whose length is in 32-bit words.
            IpAddr::V4(_) => (packet.get(usize::from(packet.first()? & 0x0f) * 4..)?, 0),
            IpAddr::V6(_) => (packet, 129),
        };
        let header = echo.first_chunk::<HEADER>()?;
        let ident = u16::from_be_bytes([header[4], header[5]]);
        let sequence = u16::from_be_bytes([header[6], header[7]]);
        (header[0] == answer_kind && ident == self.ident).then_some(sequence)
    }
}

/// RFC 1071 over a packet of even length.
fn internet_checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 =
        packet.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
