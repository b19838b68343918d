//! A wire of our own, for kernels without netem: an Ethernet switch in user space whose every pair of
//! hosts has a latency, a loss and a cut that can be changed while traffic runs.
//!
//! Each host's cable ends in a hub namespace. One thread reads whole frames from all ends through
//! packet sockets, looks up the port by destination address (all ports for a multicast), asks the
//! [`Rule`] of the pair what becomes of the frame, and writes it out now or when its time has come.
//! Losses are drawn from a seed. Frames of one pair stay in order unless its latency is changed.

mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{Context as _, Error, Result};
use crate::link::{self, End, Mac};
use crate::netns::Netns;
use crate::raw;

/// Bytes the kernel may hold for one port while the thread is busy elsewhere: 10,000 full frames.
const RECEIVE_BUFFER: usize = 16 << 20;

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
    marker: Vec<u8>,
    marked: u64,
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
        let thread = hub.spawn(move || switch::forward(&of_thread, seed))?;
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

    /// Stops frames from the first host of each of `cuts` to the second, and no others.
    pub fn cut_exactly(&self, cuts: &BTreeSet<(usize, usize)>) {
        lock(&self.shared.rules).cut.clone_from(cuts);
    }

    /// Takes all cuts back.
    pub fn heal(&self) {
        lock(&self.shared.rules).cut.clear();
    }

    /// From now on, counts frames that hold `marker` in the clear.
    pub fn watch_for(&self, marker: &[u8]) {
        let mut rules = lock(&self.shared.rules);
        rules.marker = marker.to_vec();
        rules.marked = 0;
    }

    /// How many frames held the marker.
    pub fn marked(&self) -> u64 {
        lock(&self.shared.rules).marked
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

/// A panic of another thread fails the test by itself; the data stays plain numbers.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
