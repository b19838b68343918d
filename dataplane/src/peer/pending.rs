//! Initiations of ours that wait for a response.

use std::time::Instant;

use crate::indices::Indices;
use crate::tunnel::{Initiator, REKEY_TIMEOUT};

/// Initiations under way at a time: with early repetitions, those of the last seconds on a path of
/// up to two seconds.
const MAX: usize = 4;

/// The initiations, oldest first.
#[derive(Default)]
pub(crate) struct Pending {
    sent: Vec<(u32, Initiator)>,
    /// The attempt has ended; until then a late response is still taken.
    until: Option<Instant>,
}

impl Pending {
    /// Remembers an initiation sent under `index`.
    pub(crate) fn push(&mut self, index: u32, initiator: Initiator, indices: &mut Indices) {
        if self.sent.len() == MAX {
            indices.release(self.sent.remove(0).0);
        }
        self.sent.push((index, initiator));
        self.until = None;
    }

    /// The initiation sent under `index`.
    pub(crate) fn get(&self, index: u32) -> Option<&Initiator> {
        self.sent.iter().find(|(own, _)| *own == index).map(|(_, initiator)| initiator)
    }

    /// The initiation sent under `index` was answered and the index is now its session's: older
    /// ones are overtaken. A younger one may still be answered, and will be by a responder that
    /// knows only the newest.
    pub(crate) fn answered(&mut self, index: u32, indices: &mut Indices) {
        if let Some(at) = self.sent.iter().position(|(own, _)| *own == index) {
            for (older, _) in self.sent.drain(..=at).take(at) {
                indices.release(older);
            }
        }
    }

    /// The attempt has ended: there is a session.
    pub(crate) fn close(&mut self, now: Instant) {
        self.until = (!self.sent.is_empty()).then_some(now + REKEY_TIMEOUT);
    }

    /// When the last late response is taken.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Wipes all.
    pub(crate) fn clear(&mut self, indices: &mut Indices) {
        self.sent.drain(..).for_each(|(index, _)| indices.release(index));
        self.until = None;
    }
}
