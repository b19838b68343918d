//! `mesh ping`: echoes over the overlay, answered by the daemon at the other end.
//!
//! A request carries a fresh nonce; the reply with the same nonce wakes whoever waits for it. Only
//! members can send either, since both arrive through a tunnel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mesh_model::MemberId;
use mesh_model::addr::port;
use mesh_model::wire::echo::Echo;
use tokio::sync::{mpsc, oneshot, watch};

use crate::io::clock;
use crate::io::overlay::{EchoFrame, Overlay};

/// The most pings under way at once: a hundred terminals pinging, at 64 bytes each.
const MAX_PENDING: usize = 128;

/// Too many pings are under way already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Pings that wait for their reply.
#[derive(Default)]
pub(crate) struct Echoes {
    pending: Mutex<BTreeMap<u64, Pending>>,
}

struct Pending {
    target: MemberId,
    answered: oneshot::Sender<Instant>,
}

/// One ping under way; dropping it forgets the ping.
pub(crate) struct Ping<'a> {
    echoes: &'a Echoes,
    nonce: u64,
    answer: oneshot::Receiver<Instant>,
}

impl Echoes {
    /// Registers a ping to `target` under `nonce`.
    pub(crate) fn expect(&self, target: MemberId, nonce: u64) -> Result<Ping<'_>, Busy> {
        let (answered, answer) = oneshot::channel();
        let mut pending = self.lock();
        if pending.len() >= MAX_PENDING {
            return Err(Busy);
        }
        pending.insert(nonce, Pending { target, answered });
        Ok(Ping { echoes: self, nonce, answer })
    }

    /// A reply with `nonce` came from `from`. A reply nobody waits for, or from the wrong member, is
    /// none.
    pub(crate) fn handle_reply(&self, from: MemberId, nonce: u64, now: Instant) {
        let mut pending = self.lock();
        if pending.get(&nonce).is_some_and(|ping| ping.target == from)
            && let Some(ping) = pending.remove(&nonce)
        {
            // The waiter may have given up in this very moment.
            let _ = ping.answered.send(now);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ping<'_> {
    /// When the reply arrived. Waits for ever: the caller brings the time limit.
    pub(crate) async fn answered(&mut self) -> Option<Instant> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Ping<'_> {
    fn drop(&mut self) {
        self.echoes.lock().remove(&self.nonce);
    }
}

/// Answers members' requests and hands their replies to whoever waits, until `stop` says so.
pub(super) async fn serve(
    mut frames: mpsc::Receiver<EchoFrame>,
    overlay: Overlay,
    echoes: Arc<Echoes>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let frame = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { return };
        match Echo::parse(&frame.payload) {
            Some(Echo::Request(nonce)) => {
                let reply = Echo::Reply(nonce).encode();
                // A full queue is counted there; the other end pings again.
                let _ = overlay.send(port::ECHO, frame.reply_to, &reply);
            }
            Some(Echo::Reply(nonce)) => echoes.handle_reply(frame.from, nonce, clock::now()),
            None => tracing::trace!(from = %frame.from, "not an echo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_pinged_member_answers_a_ping() {
        let echoes = Echoes::default();
        let mut ping = echoes.expect(MemberId(2), 7).expect("room");
        let now = Instant::now();
        echoes.handle_reply(MemberId(3), 7, now);
        echoes.handle_reply(MemberId(2), 8, now);
        assert!(ping.answer.try_recv().is_err());
        echoes.handle_reply(MemberId(2), 7, now);
        assert_eq!(ping.answered().await, Some(now));
    }

    #[test]
    fn pings_under_way_are_bounded_and_forgotten_when_dropped() {
        let echoes = Echoes::default();
        let pings: Vec<_> =
            (0..MAX_PENDING as u64).map(|nonce| echoes.expect(MemberId(2), nonce)).collect();
        assert!(echoes.expect(MemberId(2), 999).is_err());
        drop(pings);
        assert!(echoes.expect(MemberId(2), 999).is_ok());
    }
}
