//! What a peer does with data.

use super::Peer;
use super::sessions::Place;
use crate::drops::Drop;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::sink::Sink;
use crate::turn::Turn;

/// What was in a data message.
pub(crate) struct Opened {
    /// The length of the packet, padding included; zero for a keepalive.
    pub(crate) len: usize,
    /// It came in a session that is for daemons only.
    pub(crate) is_barred: bool,
}

impl Peer {
    /// Opens a data message of session `index` where it lies.
    #[inline]
    pub(crate) fn handle_data<S: Sink>(
        &mut self,
        from: Endpoint,
        index: u32,
        datagram: &mut [u8],
        turn: &mut Turn<'_, S>,
    ) -> Result<Opened, Drop> {
        let (session, place) = self.sessions.opening(index, turn.now).ok_or(Drop::NoSession)?;
        let len = session.open(datagram)?;
        let is_barred = self.mixing.is_required() && !session.is_paired();
        let is_ending = place == Place::Current && session.is_ending(turn.now);
        self.heard(from, datagram.len(), turn);
        if len > 0 {
            self.clocks.heard_data(turn.now);
        }
        if place == Place::Offer {
            self.sessions.confirm_offer(index, turn.indices);
            self.session_confirmed(turn);
            self.flush(turn);
        } else if is_ending {
            self.start_handshake(turn);
        }
        Ok(Opened { len, is_barred })
    }

    /// An authentic datagram arrived: the peer is where it came from.
    #[inline]
    pub(super) fn heard<S: Sink>(&mut self, from: Endpoint, len: usize, turn: &mut Turn<'_, S>) {
        self.rx_bytes += len as u64;
        self.last_received = Some(turn.now);
        self.clocks.heard();
        if self.endpoints.heard_from(from) {
            turn.event(Event::EndpointChanged { member: self.member, endpoint: from.remote });
            self.begin_keepalives(turn.now);
        }
    }
}
