//! A packet thread and its orders.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc::error::TryRecvError;

use super::{Flow, Worker, drain};
use crate::io::clock;
use crate::pipeline::drops::PathDrop;
use crate::pipeline::handle::Order;
use crate::pipeline::stats::PathStats;

impl Worker {
    /// Carries out `count` orders at most.
    pub(super) fn carry_out_up_to(&mut self, count: usize) -> Flow {
        for _ in 0..count {
            match self.ends.orders.try_recv() {
                Ok(order) => {
                    if self.carry_out(order) == Flow::Stop {
                        return Flow::Stop;
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Flow::Stop,
            }
        }
        Flow::On
    }

    fn carry_out(&mut self, order: Order) -> Flow {
        match order {
            Order::Update(updates) => {
                for update in updates {
                    self.engine.handle_update(update, clock::now(), &mut self.outlet);
                    drain(&mut self.engine, &self.ends.events, &mut self.outlet);
                }
            }
            Order::Send(packet) => {
                self.engine.handle_inner(&packet, clock::now(), &mut self.outlet);
                drain(&mut self.engine, &self.ends.events, &mut self.outlet);
            }
            Order::Report(reply) => {
                self.take_all_handed();
                self.held_back = !self.outlet.outgoing.dispatch();
                let _ = reply.send(());
            }
            Order::Secret(secret) => {
                self.engine.handle_secret(secret, clock::now(), &mut self.outlet);
                drain(&mut self.engine, &self.ends.events, &mut self.outlet);
            }
            Order::Keys(keys) => self.engine.handle_keys(&keys),
            Order::Mtu(mtu) => self.engine.handle_mtu(mtu),
            Order::LookAtLink => self.look_at_link(),
            // Whoever asked may have stopped waiting, here and below.
            Order::Rebind(udp, reply) => {
                self.outlet.rebind(udp);
                let _ = reply.send(());
            }
            Order::Mark(mark, reply) => drop(reply.send(self.outlet.udp.set_mark(mark))),
            Order::Ways(reply) => drop(reply.send((self.engine.ways(), self.outlet.udp.mark()))),
            Order::LeaveBy(ways) => self.engine.handle_ways(&ways),
            Order::Datagram { to, payload } => self.outlet.datagram(to, &payload),
            Order::Stats(reply) => drop(reply.send(self.stats())),
            Order::Stop => return Flow::Stop,
        }
        Flow::On
    }

    pub(super) fn stats(&mut self) -> PathStats {
        let refused = self.ends.refused.swap(0, Ordering::Relaxed);
        self.outlet.drops.add(PathDrop::OrderQueueFull, refused);
        let core = self.engine.drops().iter();
        let core = core.map(|(reason, count)| (reason.name(), count));
        PathStats {
            peers: self.engine.peers().collect(),
            drops: core.chain(self.outlet.drops.iter()).collect(),
            offloads: self.outlet.offloads(),
            newest_stamp: self.engine.newest_stamp(),
            workers: 1,
        }
    }
}
