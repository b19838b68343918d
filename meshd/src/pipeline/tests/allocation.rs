//! Packets cost no allocation: neither where they are sealed and sent nor where they arrive and are opened.
//!
//! What a session, an order or a timer allocates is not counted for a packet's: it does not grow with them.
//! Packets that wait for a slow uplink or for a session are kept, each in memory of its own.

use std::sync::Arc;
use std::thread;

use allocation_counter::measure;
use mesh_dataplane::{Backlog, Engine, Slice};

use super::flooder::{Flooder, loopback};
use super::*;
use crate::io::doorbell;
use crate::io::overlay::Ingress;
use crate::pipeline::handle::ORDER_QUEUE;
use crate::pipeline::handover::{Incoming, Outgoing};
use crate::pipeline::outlet::Outlet;
use crate::pipeline::team::Team;
use crate::pipeline::worker::{Ends, Worker};

/// The one that sends.
const SENDER: u8 = 1;

/// The one that receives.
const RECEIVER: u8 = 2;

/// Packets sent at once.
const RUN: u64 = 32;

/// Packets more that one receiver must have taken than another.
const MORE: u64 = 20_000;

/// What a receiver may allocate more than another for other reasons: events of sessions, room for them.
const OTHERWISE: u64 = 100;

/// What a packet thread did until its end.
struct Done {
    packets: u64,
    allocations: u64,
}

/// Runs a packet thread, and sends to it until more than `enough` packets have left.
async fn receive(enough: u64) -> Done {
    let (udp, at) = loopback();
    let outlet = Outlet::new(udp, None, Ingress::new().0, Outgoing::default());
    let engine = Engine::new(config(RECEIVER), [RECEIVER; 32], clock::now());
    let (orders, queue) = doorbell::channel(ORDER_QUEUE).expect("a doorbell");
    let (events, _events) = tokio::sync::mpsc::channel(1);
    let (joiners, _joiners) = tokio::sync::mpsc::channel(1);
    let (incoming, team) = (Incoming::default(), Team::new(Vec::new()));
    let ends = Ends { orders: queue, events, joiners, refused: Arc::default(), incoming, team };
    let worker = Worker::new(engine, Backlog::new(Slice::WHOLE, [RECEIVER; 32]), outlet, ends);
    let thread = thread::spawn(|| {
        let mut last = None;
        let allocations = measure(|| last = Some(worker.run().1)).count_total;
        (last.expect("it has run"), allocations)
    });

    let peer = Update::SetPeer(tunnel(SENDER).public(), plan(SENDER, Vec::new()));
    assert!(orders.send(Order::Update(vec![peer])).await.is_ok());
    let mut sender = Flooder::new(SENDER);
    sender.knows(RECEIVER, at);
    let packet = sender.packet(RECEIVER, 1200);
    let mut sent = 0;
    while sent <= enough {
        sent += sender.send(&packet, RUN);
    }
    assert!(orders.send(Order::Stop).await.is_ok());
    let (last, allocations) = thread.join().expect("it has ended");
    // There is no device to give them to.
    let taken = last.drops.iter().find(|(name, _)| *name == "tun_absent");
    Done { packets: taken.expect("it is listed").1, allocations }
}

#[tokio::test]
async fn packets_that_arrive_cost_none() {
    let few = receive(0).await;
    let mut enough = MORE;
    let many = loop {
        // What the kernel had no room for does not count.
        let done = receive(enough).await;
        if done.packets >= few.packets + MORE {
            break done;
        }
        enough *= 2;
    };
    let more = many.allocations.saturating_sub(few.allocations);
    assert!(more <= OTHERWISE, "{more} more for {} packets", many.packets);
}

#[tokio::test]
async fn packets_that_leave_cost_none() {
    let target = host(RECEIVER, None).await;
    target.knows(SENDER, Vec::new()).await;
    let mut sender = Flooder::new(SENDER);
    sender.knows(RECEIVER, target.at);
    for payload in [16, 1200] {
        let packet = sender.packet(RECEIVER, payload);
        while !sender.is_established {
            sender.send(&packet, 1);
        }
        // Room that the first of their kind make.
        sender.send(&packet, RUN);
        let sent = measure(|| {
            for _ in 0..100 {
                sender.send(&packet, RUN);
            }
        });
        assert_eq!(sent.count_total, 0, "{payload} bytes");
        assert_eq!(sender.dropped(), 0);
    }
}
