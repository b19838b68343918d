//! Which sessions exist, as far as the engine must know.
//!
//! The initiator of a handshake has a session as soon as the response is authentic. The responder
//! has merely offered one: the initiation may be a recording. Only data sealed in that very session
//! confirms it. Until then nothing is sent in it, and the peer's endpoint stays where it was.

use std::time::Instant;

use crate::tunnel::REJECT_AFTER_TIME;

/// Sessions a tunnel keeps at most; their indices differ in the lowest three bits (boringtun).
const SESSIONS: usize = 8;

/// The sessions of one tunnel.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    confirmed_until: Option<Instant>,
    offered: [Option<Offer>; SESSIONS],
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    index: u32,
    until: Instant,
}

impl Sessions {
    /// A response to our initiation was authentic.
    pub(crate) fn confirm(&mut self, now: Instant) {
        self.confirmed_until = Some(now + REJECT_AFTER_TIME);
    }

    /// We answered an initiation; the peer will use `index`.
    pub(crate) fn offer(&mut self, index: u32, now: Instant) {
        self.offered[place(index)] = Some(Offer { index, until: now + REJECT_AFTER_TIME });
    }

    /// Authentic data named the session `index`; `true` when that confirms an offer.
    pub(crate) fn heard(&mut self, index: u32) -> bool {
        let offer = self.offered[place(index)].take_if(|offer| offer.index == index);
        if let Some(offer) = offer {
            self.confirmed_until = self.confirmed_until.max(Some(offer.until));
        }
        offer.is_some()
    }

    /// Whether packets can be sealed.
    pub(crate) fn is_confirmed(&self, now: Instant) -> bool {
        self.confirmed_until.is_some_and(|until| now < until)
    }

    /// Whether packets could be sealed when time was last looked at.
    pub(crate) fn was_confirmed(&self) -> bool {
        self.confirmed_until.is_some()
    }

    /// The tunnel says that it has no session to seal in.
    pub(crate) fn lost(&mut self) {
        self.confirmed_until = None;
    }

    /// Forgets what has expired; `true` when nothing is left.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.confirmed_until.take_if(|until| *until <= now);
        for offer in &mut self.offered {
            offer.take_if(|offer| offer.until <= now);
        }
        self.confirmed_until.is_none() && self.offered.iter().all(Option::is_none)
    }
}

fn place(index: u32) -> usize {
    index as usize % SESSIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_counts_once_its_own_index_is_heard() {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut sessions = Sessions::default();
        sessions.offer(0x101, now);
        sessions.offer(0x102, now);
        assert!(!sessions.is_confirmed(now));
        assert!(!sessions.heard(0x109), "the same place, another session");
        assert!(sessions.heard(0x101), "an older offer still counts");
        assert!(!sessions.heard(0x101), "once");
        assert!(sessions.is_confirmed(now));
        assert!(!sessions.expire(now));
        assert!(sessions.expire(now + REJECT_AFTER_TIME));
        assert!(!sessions.is_confirmed(now));
    }
}
