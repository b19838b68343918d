//! What happened that someone outside the packet path should know.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mesh_model::MemberId;

/// Something that happened to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A new session is confirmed: the peer has proven that it holds the keys.
    HandshakeDone {
        /// The peer.
        member: MemberId,
        /// A pre-shared key was mixed into it.
        is_paired: bool,
    },
    /// The peer's last authenticated packet came from another address than before.
    EndpointChanged {
        /// The peer.
        member: MemberId,
        /// Where it is now.
        endpoint: SocketAddr,
    },
}

/// Events wait here until they are polled. One call makes at most two, and the law is to drain
/// after each call, so a full queue means that nobody does.
const MAX_EVENTS: usize = 1024;

/// The queue behind [`Engine::poll_event`](crate::Engine::poll_event).
#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    /// Queues `event`; `false` when the queue is full.
    #[must_use]
    pub(crate) fn push(&mut self, event: Event) -> bool {
        let room = self.0.len() < MAX_EVENTS;
        if room {
            self.0.push_back(event);
        }
        room
    }

    /// The oldest event.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
