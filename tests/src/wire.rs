//! A wire of our own, for kernels without netem: an Ethernet switch in user space whose every pair of
//! hosts has a latency, a loss and a cut that can be changed while traffic runs.
//!
//! Each host's cable ends in a hub namespace. One thread reads whole frames from all ends through
//! packet sockets, looks up the port by destination address (all ports for a multicast), asks the
//! [`Rule`] of the pair what becomes of the frame, and writes it out now or when its time has come.
//! Losses are drawn from a seed. Frames of one pair stay in order unless its latency is changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::{Context as _, Error, Result};
use crate::link::{self, End, Mac};
use crate::netns::Netns;
use crate::raw;

/// The longest frame: an Ethernet header before an MTU of 1500, and room for a tag.
const MAX_FRAME: usize = 1522;

/// The most frames under way: 100 Mbit/s over 500 ms of latency are 4,200 of them. More are lost and
/// counted.
const MAX_UNDER_WAY: usize = 16_384;

/// Frames read from one port before the others get their turn.
const BURST: usize = 64;

/// Bytes the kernel may hold for one port while the thread is busy elsewhere: 10,000 full frames.
const RECEIVE_BUFFER: usize = 16 << 20;

/// The longest the thread sleeps, so that it sees new ports and the end: nobody waits for either.
const NAP: Duration = Duration::from_millis(20);

/// What becomes of frames from one host to another.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rule {
    /// How long a frame takes.
    pub latency: Duration,
    /// The share of frames lost, 0 to 1.
    pub loss: f64,
}

/// How many frames ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Written out, or under way.
    pub forwarded: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Stopped by a cut.
    pub cut: u64,
    /// Lost because too many were under way or the port would not take more.
    pub overflowed: u64,
}

/// One direction between two hosts, by their numbers.
type Pair = (usize, usize);

#[derive(Debug, Default)]
struct Rules {
    all: Rule,
    pairs: BTreeMap<Pair, Rule>,
    cut: BTreeSet<Pair>,
    counts: BTreeMap<Pair, Count>,
}

#[derive(Debug)]
struct Port {
    host: usize,
    mac: Mac,
    socket: OwnedFd,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Rules>,
    ports: Mutex<Vec<Arc<Port>>>,
    ended: AtomicBool,
}

/// The switch. Its ports are numbered by the hosts at the other ends.
#[derive(Debug)]
pub struct Wire {
    hub: Netns,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Result<()>>>>,
}

/// The hardware address of the end in host `host`.
pub fn mac_of(host: usize) -> Mac {
    // Locally administered (bit 1 of the first octet), the rest is "mesh" and the number.
    [0x02, b'm', b'e', b's', b'h', host as u8]
}

impl Wire {
    /// A switch without ports; `seed` decides which frames are lost.
    pub fn new(seed: u64) -> Result<Self> {
        let hub = Netns::anonymous("wire")?;
        // The hub's own kernel must not speak on the cables.
        hub.run(|| crate::netns::write_sysctl("ipv6/conf/default/disable_ipv6", "1"))??;
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = hub.spawn(move || forward(&of_thread, seed))?;
        Ok(Self { hub, shared, thread: Some(thread) })
    }

    /// Cables host `host` to the switch; its end becomes `eth0` of `netns`.
    pub fn attach(&self, host: usize, netns: &Netns) -> Result<()> {
        let hub_end = format!("h{host}");
        let mac = mac_of(host);
        link::veth(
            &End { netns, name: "eth0", mac: Some(mac) },
            &End { netns: &self.hub, name: &hub_end, mac: None },
        )?;
        link::plain_frames(netns, "eth0")?;
        let socket = self.hub.run(|| {
            let socket =
                raw::frame_socket(link::index(&hub_end)?).context("open a packet socket")?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
                .context("enlarge a receive buffer")?;
            Ok::<_, Error>(socket)
        })??;
        let port = Arc::new(Port { host, mac, socket });
        lock(&self.shared.ports).push(port);
        Ok(())
    }

    /// What holds for pairs that have no rule of their own.
    pub fn rule_for_all(&self, rule: Rule) {
        lock(&self.shared.rules).all = rule;
    }

    /// What holds for frames from `from` to `to`, that direction only.
    pub fn rule(&self, from: usize, to: usize, rule: Rule) {
        lock(&self.shared.rules).pairs.insert((from, to), rule);
    }

    /// Stops frames from `from` to `to`, that direction only.
    pub fn cut(&self, from: usize, to: usize) {
        lock(&self.shared.rules).cut.insert((from, to));
    }

    /// Stops all frames to and from `host`.
    pub fn isolate(&self, host: usize) {
        let others: Vec<usize> = lock(&self.shared.ports).iter().map(|p| p.host).collect();
        for other in others {
            self.cut(host, other);
            self.cut(other, host);
        }
    }

    /// Takes all cuts back.
    pub fn heal(&self) {
        lock(&self.shared.rules).cut.clear();
    }

    /// What became of the frames from `from` to `to` so far.
    pub fn count(&self, from: usize, to: usize) -> Count {
        let rules = lock(&self.shared.rules);
        rules.counts.get(&(from, to)).copied().unwrap_or_default()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Ok(Ok(Err(error)) | Err(error))) = ended
            && !std::thread::panicking()
        {
            panic!("the wire failed while it was in use: {error}");
        }
    }
}

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

fn forward(shared: &Shared, seed: u64) -> Result<()> {
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
        let to_many = destination[0] & 1 == 1;
        for port in ports {
            if port.host != from && (to_many || port.mac == *destination) {
                self.handle_pair(from, port, frame);
            }
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

/// A panic of another thread fails the test by itself; the data stays plain numbers.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
