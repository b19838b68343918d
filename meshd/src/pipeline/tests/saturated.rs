//! What is urgent on a path that bulk has filled: two senders keep one receiver's socket overflowing,
//! and a third host talks to that receiver, as Raft and gossip do. One of the two sends long runs, which
//! keep the receiver busy, the other single short packets, which fill what gaps the runs leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::flooder::Flooder;
use super::*;

/// Questions asked, each after the answer to the one before.
const QUESTIONS: u32 = 300;

/// More packets than the queues of a path hold together: what is missing beyond them was dropped.
const QUEUED: u64 = 20_000;

/// Long after the answer to a question that was not lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host that sends as much as it can.
struct Flood {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    /// Starts member `id`'s flood to `target`: runs of `run` packets with `payload` bytes each.
    async fn start(id: u8, target: &Host, run: u64, payload: usize) -> Self {
        target.knows(id, Vec::new()).await;
        let mut flooder = Flooder::new(id);
        flooder.knows(target.id, target.at);
        let packet = flooder.packet(target.id, payload);
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
