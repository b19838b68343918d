//! Bulk over TCP, with a checksum at both ends.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;

/// Bytes made, sent and hashed at a time.
const CHUNK: usize = 64 * 1024;

/// The longest either end waits for the other: a stall longer than this is a failed transfer.
const STALL_LIMIT: Duration = Duration::from_secs(20);

/// A transfer of bytes drawn from a seed.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// How many bytes.
    pub bytes: u64,
    /// Which bytes.
    pub seed: u64,
    /// The most bytes per second; as fast as it goes when `None`.
    pub pace: Option<u64>,
}

/// What both ends saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferReport {
    /// Bytes that arrived.
    pub received: u64,
    /// The hash of what was sent.
    pub sent_hash: String,
    /// The hash of what arrived.
    pub received_hash: String,
    /// From the first byte to the receiver's hash.
    pub elapsed: Duration,
}

impl TransferReport {
    /// Whether exactly what was sent arrived.
    pub fn is_whole(&self, transfer: &Transfer) -> bool {
        self.received == transfer.bytes && self.sent_hash == self.received_hash
    }

    /// In megabits per second.
    pub fn rate(&self) -> f64 {
        self.received as f64 * 8.0 / 1e6 / self.elapsed.as_secs_f64()
    }
}

impl Transfer {
    /// `bytes` bytes as fast as it goes.
    pub fn of(bytes: u64, seed: u64) -> Self {
        Self { bytes, seed, pace: None }
    }

    /// Sends from inside `from` to a listener on `address`, an address of `to`.
    pub fn run(&self, from: &Netns, to: &Netns, address: IpAddr) -> Result<TransferReport> {
        let listener = to.run(|| {
            TcpListener::bind(SocketAddr::new(address, 0)).context(format!("listen on {address}"))
        })??;
        let target = listener.local_addr().context("ask for the port")?;
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| receive(&listener));
            let sent = from.run(|| self.send(target))?;
            let received = receiver.join();
            let (sent_hash, received_hash, elapsed) = sent?;
            match received {
                Ok(received) => {
                    Ok(TransferReport { received: received?, sent_hash, received_hash, elapsed })
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The hash of what was sent, the hash the receiver answered, and the time between.
    fn send(&self, target: SocketAddr) -> Result<(String, String, Duration)> {
        let mut stream = TcpStream::connect_timeout(&target, STALL_LIMIT)
            .context(format!("connect to {target}"))?;
        limit_stalls(&stream)?;
        let mut source = ChaCha8Rng::seed_from_u64(self.seed);
        let mut hash = blake3::Hasher::new();
        let mut chunk = [0; CHUNK];
        let mut left = self.bytes;
        let started = Instant::now();
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK as u64) as usize];
            source.fill_bytes(part);
            hash.update(part);
            stream
                .write_all(part)
                .context(format!("send to {target} with {left} bytes of {} left", self.bytes))?;
            left -= part.len() as u64;
            self.keep_pace(started, self.bytes - left);
        }
        stream.shutdown(std::net::Shutdown::Write).context("end the transfer")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("read the receiver's hash")?;
        Ok((hash.finalize().to_hex().to_string(), answer, started.elapsed()))
    }

    fn keep_pace(&self, started: Instant, sent: u64) {
        if let Some(pace) = self.pace {
            let due = Duration::from_secs_f64(sent as f64 / pace as f64);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
}

/// Reads one connection to its end and answers with the hash; the number of bytes.
fn receive(listener: &TcpListener) -> Result<u64> {
    let mut stream = accept(listener)?;
    limit_stalls(&stream)?;
    let mut hash = blake3::Hasher::new();
    let mut chunk = [0; CHUNK];
    let mut received = 0;
    loop {
        let len = stream.read(&mut chunk).context(format!("receive after {received} bytes"))?;
        if len == 0 {
            break;
        }
        hash.update(&chunk[..len]);
        received += len as u64;
    }
    stream.write_all(hash.finalize().to_hex().as_bytes()).context("answer with the hash")?;
    Ok(received)
}

/// Accepts, but does not wait forever for a sender that never gets through.
fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true).context("set up the listener")?;
    let (stream, _) =
        crate::wait::eventually(STALL_LIMIT, "a connection", || listener.accept().ok())?;
    stream.set_nonblocking(false).context("set up the connection")?;
    Ok(stream)
}

fn limit_stalls(stream: &TcpStream) -> Result<()> {
    stream
        .set_read_timeout(Some(STALL_LIMIT))
        .and_then(|()| stream.set_write_timeout(Some(STALL_LIMIT)))
        .context("set a timeout")
}

impl Transfer {
    /// An error unless `report` shows a whole transfer.
    pub fn check(&self, report: &TransferReport) -> Result<()> {
        if report.is_whole(self) {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "sent {} bytes with hash {}, received {} with hash {}",
            self.bytes, report.sent_hash, report.received, report.received_hash
        )))
    }
}
