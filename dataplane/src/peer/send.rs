//! What leaves for a peer.

use std::net::SocketAddr;

use mesh_model::addr::OVERLAY_MTU;

use super::Peer;
use crate::drops::Drop;
use crate::sink::Sink;
use crate::tunnel::{MIN_OUT, OVERHEAD, Sealed};
use crate::turn::{Turn, room};

/// WireGuard pads packets to a multiple of this, to hide their exact length (paper, section 5.4.6).
const PADDING: usize = 16;

impl Peer {
    /// Sends an inner packet, now or after the handshake. There is a tunnel.
    pub(crate) fn send<S: Sink>(&mut self, packet: &[u8], turn: &mut Turn<'_, S>) {
        if self.is_confirmed(turn.now) {
            self.seal(packet, turn);
            return;
        }
        if !self.held.push(packet) {
            turn.drops.count(Drop::HoldFull);
        }
        self.start_handshake(turn);
    }

    pub(super) fn seal<S: Sink>(&mut self, packet: &[u8], turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        let plain = padded(packet, turn.scratch);
        let need = (plain.len() + OVERHEAD).max(MIN_OUT);
        let Some(out) = room(turn.sink, turn.drops, need) else {
            return;
        };
        match live.tunnel.seal(plain, out) {
            Sealed::Data(len) => self.transmit(self.endpoints.current(), len, turn),
            Sealed::Kept(initiation) => {
                // Its clock ran on while ours stood still: the host was suspended.
                live.sessions.lost();
                live.kept = live.kept.max(Some(plain.len()));
                match initiation {
                    Some(len) => self.send_initiation(len, turn),
                    None => self.start_handshake(turn),
                }
            }
        }
    }

    /// The last slot's first `len` bytes go to `to`.
    pub(super) fn transmit<S: Sink>(
        &mut self,
        to: Option<SocketAddr>,
        len: usize,
        turn: &mut Turn<'_, S>,
    ) {
        if let Some(to) = to {
            turn.sink.send(to, len);
            self.tx_bytes += len as u64;
            self.last_sent = Some(turn.now);
        }
    }

    /// Sends what waited for a session.
    pub(super) fn flush<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let kept = self.live.as_mut().and_then(|live| live.kept.take());
        while let Some(longest) = kept
            && let Some(live) = &mut self.live
            && let Some(out) = room(turn.sink, turn.drops, (longest + OVERHEAD).max(MIN_OUT))
            && let Some(len) = live.tunnel.next_kept(out)
        {
            self.transmit(self.endpoints.current(), len, turn);
        }
        while self.is_confirmed(turn.now)
            && let Some(packet) = self.held.pop()
        {
            self.seal(&packet, turn);
        }
    }
}

/// `packet` with zeros up to a multiple of 16 bytes, but not beyond the overlay's MTU, so that
/// padding never makes a datagram too long for its path.
fn padded<'a>(packet: &'a [u8], scratch: &'a mut [u8]) -> &'a [u8] {
    let len = packet.len();
    let most = len.max(usize::from(OVERLAY_MTU));
    let target = len.next_multiple_of(PADDING).min(most);
    if target == len {
        return packet;
    }
    let padded = &mut scratch[..target];
    padded[..len].copy_from_slice(packet);
    padded[len..].fill(0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_up_to_sixteen_but_not_past_the_mtu() {
        let mut scratch = [0xff; 2000];
        for (len, target) in [(0, 0), (1, 16), (16, 16), (1385, 1392), (1393, 1400), (1400, 1400)] {
            let packet = vec![7; len];
            let plain = padded(&packet, &mut scratch);
            assert_eq!(plain.len(), target);
            assert_eq!(&plain[..len], &packet[..]);
            assert!(plain[len..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(padded(&[7; 1500], &mut scratch).len(), 1500);
    }
}
