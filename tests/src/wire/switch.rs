//! The thread of the wire: reads, decides, writes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Port, Shared, lock};
use crate::error::{Context as _, Result};

/// The longest frame: an Ethernet header before an MTU of 1500, and room for a tag.
const MAX_FRAME: usize = 1522;

/// The most frames under way: 100 Mbit/s over 500 ms of latency are 4,200 of them. More are lost and
/// counted.
const MAX_UNDER_WAY: usize = 16_384;

/// Frames read from one port before the others get their turn.
const BURST: usize = 64;

/// The longest the thread sleeps, so that it sees new ports and the end: nobody waits for either.
const NAP: Duration = Duration::from_millis(20);

/// A frame under way, ordered by when it arrives, then by when it left.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    due: Instant,
    number: u64,
    to: usize,
    frame: Vec<u8>,
}

/// The thread's state.
struct Switch<'a> {
    shared: &'a Shared,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    number: u64,
    chance: ChaCha8Rng,
}

/// Forwards frames until the wire ends.
pub(super) fn forward(shared: &Shared, seed: u64) -> Result<()> {
    let mut switch = Switch {
        shared,
        under_way: BinaryHeap::new(),
        number: 0,
        chance: ChaCha8Rng::seed_from_u64(seed),
    };
    while !shared.ended.load(Ordering::Relaxed) {
        let ports = lock(&shared.ports).clone();
        let readable = wait_readable(&ports, switch.next_due())?;
        for port in readable {
            switch.read_burst(port, &ports);
        }
        switch.write_due(&ports);
    }
    Ok(())
}

/// The ports that have frames, after a wait no longer than to `due`.
fn wait_readable(ports: &[Arc<Port>], due: Option<Instant>) -> Result<Vec<&Port>> {
    let nap = due.map_or(NAP, |due| NAP.min(due.saturating_duration_since(Instant::now())));
    if ports.is_empty() {
        std::thread::sleep(nap);
        return Ok(Vec::new());
    }
    let mut polled: Vec<PollFd<'_>> =
        ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN)).collect();
    // Rounded up: a frame a millisecond late is nothing, a busy loop until it is due is a core.
    let timeout =
        PollTimeout::try_from(nap + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
    match poll(&mut polled, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(error) => return Err(error).context("wait for frames"),
    }
    Ok(ports
        .iter()
        .zip(&polled)
        .filter(|(_, polled)| polled.any().unwrap_or(false))
        .map(|(port, _)| &**port)
        .collect())
}

impl Switch<'_> {
    fn next_due(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| first.due)
    }

    fn read_burst(&mut self, from: &Port, ports: &[Arc<Port>]) {
        let mut buffer = [0; MAX_FRAME];
        for _ in 0..BURST {
            // An error means that the host's end is gone or that nothing is left: no frame either way.
            let Ok(len) = nix::unistd::read(&from.socket, &mut buffer) else {
                return;
            };
            self.handle_frame(from.host, &buffer[..len], ports);
        }
    }

    fn handle_frame(&mut self, from: usize, frame: &[u8], ports: &[Arc<Port>]) {
        let Some(destination) = frame.first_chunk::<6>() else {
            return;
        };
        self.look_for_marker(frame);
        let to_many = destination[0] & 1 == 1;
        for port in ports {
            if port.host != from && (to_many || port.mac == *destination) {
                self.handle_pair(from, port, frame);
            }
        }
    }

    fn look_for_marker(&self, frame: &[u8]) {
        let mut rules = lock(&self.shared.rules);
        let len = rules.marker.len();
        if len > 0 && frame.windows(len).any(|window| window == rules.marker) {
            rules.marked += 1;
        }
    }

    fn handle_pair(&mut self, from: usize, port: &Port, frame: &[u8]) {
        let pair = (from, port.host);
        let mut rules = lock(&self.shared.rules);
        let rule = rules.pairs.get(&pair).copied().unwrap_or(rules.all);
        let cut = rules.cut.contains(&pair);
        let count = rules.counts.entry(pair).or_default();
        if cut {
            count.cut += 1;
        } else if rule.loss > 0.0 && self.chance.random::<f64>() < rule.loss {
            count.lost += 1;
        } else if rule.latency.is_zero() {
            match nix::unistd::write(&port.socket, frame) {
                Ok(_) => count.forwarded += 1,
                Err(_) => count.overflowed += 1,
            }
        } else if self.under_way.len() >= MAX_UNDER_WAY {
            count.overflowed += 1;
        } else {
            count.forwarded += 1;
            self.number += 1;
            self.under_way.push(Reverse(UnderWay {
                due: Instant::now() + rule.latency,
                number: self.number,
                to: port.host,
                frame: frame.to_vec(),
            }));
        }
    }

    fn write_due(&mut self, ports: &[Arc<Port>]) {
        let now = Instant::now();
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse(arrived)) = self.under_way.pop() else {
                return;
            };
            if let Some(port) = ports.iter().find(|port| port.host == arrived.to) {
                // A host whose end is gone or full loses the frame, as on a cable.
                let _ = nix::unistd::write(&port.socket, &arrived.frame);
            }
        }
    }
}
