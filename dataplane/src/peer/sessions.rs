//! The sessions of one peer: the one to send in, and those in which it may still send.
//!
//! The initiator of a handshake has a session as soon as the response is authentic. The responder
//! has merely offered one: the initiation may be a recording. Only data sealed in that very session
//! confirms it; until then nothing is sent in it, and the peer's endpoint stays where it was.
//!
//! ```text
//!   response to our initiation --------------------> current
//!   initiation answered ---> offered --- data -----> current
//!                            what was current, and offers overtaken: open until they die
//! ```
//!
//! When both ends begin at once each ends up sending in the session it initiated, and receives in
//! the other's: offers that were open when our own session came count as overtaken. Where one of
//! the two has a pre-shared key and the other has none, both shall go on in the first: data in it makes it the current one, whatever it
//! was.

use std::time::Instant;

use crate::indices::Indices;
use crate::tunnel::{REKEY_TIMEOUT, Session};

/// Sessions besides the current one: the one before it, in which late packets still arrive, and those of attempts that
/// both ends repeated on a slow path before they heard each other. With 4 the one before had to make room for these
/// (`rotation::two_that_begin_twice_at_once_on_a_slow_path_lose_no_packet`). Each takes 1.3 KB.
const OTHERS: usize = 6;

/// The sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    current: Option<Box<Session>>,
    /// Oldest first.
    others: Vec<Other>,
    /// When the first of them dies: looked at for every packet.
    first_end: Option<Instant>,
}

/// Which session a packet arrived in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one to send in.
    Current,
    /// One that data makes the current one.
    Offer,
    /// One that was overtaken.
    Past,
}

struct Other {
    session: Box<Session>,
    /// Data in it makes it the current one.
    is_offer: bool,
}

impl Sessions {
    /// The session to send in.
    #[inline]
    pub(crate) fn sealing(&mut self, now: Instant) -> Option<&mut Session> {
        self.current.as_deref_mut().filter(|session| session.is_usable(now))
    }

    /// The session that arrives under `index`, while it lives. One with a pre-shared key is as good as an offer where the current one
    /// has none and was begun at about the same time; a much older one may be all that is left of a peer that was started anew.
    #[inline]
    pub(crate) fn opening(&mut self, index: u32, now: Instant) -> Option<(&mut Session, Place)> {
        let rival = self.current.as_ref().filter(|it| !it.is_paired()).map(|it| it.born());
        let current = self.current.as_deref_mut().map(|session| (session, Place::Current));
        let others = self.others.iter_mut().map(|Other { session, is_offer }| {
            let outranks = |rival| session.is_paired() && session.born() + REKEY_TIMEOUT >= rival;
            let place =
                if *is_offer || rival.is_some_and(outranks) { Place::Offer } else { Place::Past };
            (&mut **session, place)
        });
        let mut all = current.into_iter().chain(others);
        all.find(|(session, _)| session.index() == index).filter(|(session, _)| now < session.end())
    }

    /// Whether there is a session to send in.
    pub(crate) fn is_confirmed(&self, now: Instant) -> bool {
        self.current.as_ref().is_some_and(|session| session.is_usable(now))
    }

    /// Whether there was a session to send in when time was last looked at.
    pub(crate) fn was_confirmed(&self) -> bool {
        self.current.is_some()
    }

    /// Whether a pre-shared key was mixed into the one to send in.
    pub(crate) fn is_paired(&self) -> bool {
        self.current.as_ref().is_some_and(|session| session.is_paired())
    }

    /// We answered an initiation.
    pub(crate) fn offer(&mut self, session: Session, indices: &mut Indices) {
        self.keep(Other { session: Box::new(session), is_offer: true }, indices);
    }

    /// Our initiation was answered.
    pub(crate) fn confirm_own(&mut self, session: Session, indices: &mut Indices) {
        for other in &mut self.others {
            other.is_offer = false;
        }
        self.make_current(Box::new(session), indices);
    }

    /// Data arrived in the offer with this index. Older offers are overtaken.
    pub(crate) fn confirm_offer(&mut self, index: u32, indices: &mut Indices) {
        let Some(at) = self.others.iter().position(|other| other.session.index() == index) else {
            return;
        };
        let confirmed = self.others.remove(at);
        for older in &mut self.others[..at] {
            older.is_offer = false;
        }
        self.make_current(confirmed.session, indices);
    }

    /// When the first of them dies.
    pub(crate) fn first_end(&self) -> Option<Instant> {
        self.first_end
    }

    /// Wipes what has died. WireGuard gives it three times as long.
    pub(crate) fn expire(&mut self, now: Instant, indices: &mut Indices) {
        if let Some(dead) = self.current.take_if(|session| session.end() <= now) {
            indices.release(dead.index());
        }
        let dead = self.others.extract_if(.., |other| other.session.end() <= now);
        dead.for_each(|other| indices.release(other.session.index()));
        self.note_first_end();
    }

    /// Wipes all.
    pub(crate) fn clear(&mut self, indices: &mut Indices) {
        let others = self.others.drain(..).map(|other| other.session);
        others.chain(self.current.take()).for_each(|session| indices.release(session.index()));
        self.first_end = None;
    }

    fn make_current(&mut self, session: Box<Session>, indices: &mut Indices) {
        if let Some(before) = self.current.replace(session) {
            self.keep(Other { session: before, is_offer: false }, indices);
        }
        self.note_first_end();
    }

    fn keep(&mut self, other: Other, indices: &mut Indices) {
        if self.others.len() == OTHERS {
            indices.release(self.others.remove(0).session.index());
        }
        self.others.push(other);
        self.note_first_end();
    }

    fn note_first_end(&mut self) {
        let others = self.others.iter().map(|other| &other.session);
        self.first_end = others.chain(&self.current).map(|session| session.end()).min();
    }
}
