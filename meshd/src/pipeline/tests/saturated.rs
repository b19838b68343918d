//! What is urgent on a path that bulk has filled: two senders keep one receiver's socket overflowing,
//! and a third host talks to that receiver, as Raft and gossip do. One of the two sends long runs, which
//! keep the receiver busy, the other single short packets, which fill what gaps the runs leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Engine, Lane};

use super::*;
use crate::io::offloads::Offloads;
use crate::io::overlay::Ingress;
use crate::io::udp::{ReceiveBatch, Udp};
use crate::pipeline::handover::Outgoing;
use crate::pipeline::outlet::Outlet;

/// Questions asked, each after the answer to the one before.
const QUESTIONS: u32 = 300;

/// More packets than the queues of a path hold together: what is missing beyond them was dropped.
const QUEUED: u64 = 20_000;

/// Long after the answer to a question that was not lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host that does nothing but send what a kernel with too much to send would give it.
struct Flood {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    /// Starts member `id`'s flood to `target`: runs of `run` packets with `payload` bytes each.
    async fn start(id: u8, target: &Host, run: u64, payload: usize) -> Self {
        target.knows(id, Vec::new()).await;
        let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let udp = Udp::serve_sliced(port, 1, Offloads::ALL).expect("served").remove(0);
        let outlet = Outlet::new(udp, None, Ingress::new().0, Outgoing::default());
        let mut flooder =
            Flooder { engine: Engine::new(config(id), [id; 32], clock::now()), outlet };
        flooder.knows(target);
        let source = SocketAddr::from((addrs(id).v6, 9));
        let packet = udp::encode(source, target.to(9), &vec![0; payload]).expect("it fits");
        let (sent, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, stopped) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                counted.fetch_add(flooder.send(&packet, run), Ordering::Relaxed);
            }
        });
        Self { sent, stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only sends");
    }
}

struct Flooder {
    engine: Engine,
    outlet: Outlet,
}

impl Flooder {
    fn knows(&mut self, target: &Host) {
        let plan = plan(target.id, vec![target.at]);
        let update = Update::SetPeer(tunnel(target.id).public(), plan);
        self.engine.handle_update(update, clock::now(), &mut self.outlet);
    }

    /// Sends `packet` `run` more times, as bulk, and hears what there is to hear; how often it left.
    fn send(&mut self, packet: &[u8], run: u64) -> u64 {
        let packet = Segments::one(packet).expect("a packet");
        let established = self.engine.peers().all(|peer| peer.established);
        for _ in 0..run {
            self.engine.handle_kernel(&packet, clock::now(), &mut self.outlet);
        }
        self.outlet.flush();
        let mut heard = ReceiveBatch::new();
        for lane in [Lane::Control, Lane::Bulk] {
            if self.outlet.udp.receive(lane, &mut heard).is_err() {
                continue;
            }
            for n in 0..heard.len() {
                let answers = heard.run(n);
                let from = answers.from;
                for at in answers.datagrams() {
                    let datagram = &mut heard.arena()[at];
                    let inner =
                        self.engine.handle_datagram(from, datagram, clock::now(), &mut self.outlet);
                    assert!(inner.is_none(), "nobody sends it packets");
                }
            }
        }
        if established { run } else { 0 }
    }
}

#[tokio::test]
async fn control_loses_nothing_where_bulk_does() {
    for workers in [1, 2] {
        ask_through_a_flood(workers).await;
    }
}

/// With so many packet threads at the host that is asked, and at the one that asks.
async fn ask_through_a_flood(workers: usize) {
    let mut one = host_with(1, None, workers).await;
    let mut two = host_with(2, None, workers).await;
    one.knows(2, vec![two.at]).await;
    two.knows(1, Vec::new()).await;
    let floods = [Flood::start(3, &two, 32, 1200).await, Flood::start(4, &two, 1, 16).await];

    let mut asked = 0;
    let mut lost = 0;
    // Until bulk has evidently been lost, however long that takes the machine.
    while asked < QUESTIONS || lost < QUEUED {
        let question = asked.to_be_bytes();
        assert!(one.overlay.send(port::GOSSIP, two.to(port::GOSSIP), &question));
        let heard = tokio::time::timeout(PATIENCE, two.outputs.control.gossip.recv()).await;
        let heard = heard.unwrap_or_else(|_| panic!("question {asked} was lost")).expect("a frame");
        assert_eq!(heard.payload, question);
        assert!(two.overlay.send(port::ECHO, one.to(port::ECHO), &question));
        let answer = tokio::time::timeout(PATIENCE, one.outputs.control.echo.recv()).await;
        let answer = answer.unwrap_or_else(|_| panic!("answer {asked} was lost")).expect("a frame");
        assert_eq!(answer.payload, question);
        asked += 1;
        let sent: u64 = floods.iter().map(|flood| flood.sent.load(Ordering::Relaxed)).sum();
        lost = sent.saturating_sub(arrived(&two).await);
    }
    floods.into_iter().for_each(Flood::end);
}

/// How many packets of bulk have come out of `host`'s tunnels: it has no device to give them to.
async fn arrived(host: &Host) -> u64 {
    let stats = host.path.stats().await.expect("running");
    let absent = stats.drops.iter().find(|(name, _)| *name == "tun_absent");
    absent.expect("it is listed").1
}
