//! What a peer's handshakes are mixed with, besides the keys of both: the pre-shared key.
//!
//! An operator's key is mixed in, or there is no session. A key that the two hosts agreed on by themselves may be lost
//! by either when it starts anew, and no initiation says whether its sender has it still. So whoever answers goes
//! first with the key, and without it when nobody could read that; whoever began tries both on the answer:
//!
//! ```text
//! initiation ──────────────────────────────>
//!            <───────── answer with the key    nothing follows: it cannot be read, or was lost
//! initiation ──────────────────────────────>
//!            <───────── answer with the key    once more, so that one lost datagram costs no key
//! initiation ──────────────────────────────>
//!            <────── answer without the key    a session, if a lesser one
//! ```
//!
//! And so on in turns. Once a session came of an answer without the key, whoever gave the key up goes without until there is
//! another; whoever has no session yet tries what it has.

use mesh_model::PresharedKey;
use mesh_model::plan::Preshared;

use crate::drops::Drop;
use crate::tunnel::Transport;

/// Answers with an agreed key, of which none leads to a session, before some go without it. On a path that loses one
/// datagram in a hundred, two are lost in a row once in ten thousand handshakes; one that has lost the key is let in
/// 0.9 s after its first initiation.
const ANSWERS_WITH_KEY: u8 = 2;

/// After those one answer in so many has the key: by then it is the less likely to be read, and the pauses are long.
const THEN_ONE_IN: u8 = 3;

/// What the handshakes of one peer are mixed with.
#[derive(Default)]
pub(crate) struct Mixing {
    planned: Preshared,
    /// Answers since there was a session last, with the agreed key or without.
    answers: u8,
    /// An answer of ours went without the agreed key. Those from before there was one do not count.
    gave_up: bool,
    /// That answer led to a session.
    is_lost: bool,
}

impl Mixing {
    /// Takes over what is planned.
    pub(crate) fn set(&mut self, planned: &Preshared) {
        if self.agreed() != agreed_in(planned) {
            *self = Self::default();
        }
        self.planned.clone_from(planned);
    }

    /// Whether nothing but control may pass in a session without the key.
    #[inline]
    pub(crate) fn is_required(&self) -> bool {
        matches!(self.planned, Preshared::Agreed { is_required: true, .. })
    }

    /// What the answer to an initiation is mixed with.
    pub(crate) fn answer(&mut self) -> Option<&PresharedKey> {
        match &self.planned {
            Preshared::None => None,
            Preshared::Fixed(key) => Some(key),
            Preshared::Agreed { .. } if self.is_lost => None,
            Preshared::Agreed { key, .. } => {
                let nth = self.answers;
                self.answers = nth.checked_add(1).unwrap_or(ANSWERS_WITH_KEY);
                let is_with = nth < ANSWERS_WITH_KEY || nth % THEN_ONE_IN == 1;
                self.gave_up |= !is_with && key.is_some();
                key.as_ref().filter(|_| is_with)
            }
        }
    }

    /// The session that an answer to our initiation makes: `read` is tried with all that it may be mixed with.
    pub(crate) fn read(
        &self,
        read: impl Fn(Option<&PresharedKey>) -> Result<Transport, Drop>,
    ) -> Result<Transport, Drop> {
        match &self.planned {
            Preshared::None => read(None),
            Preshared::Fixed(key) => read(Some(key)),
            Preshared::Agreed { key, .. } => match key {
                Some(key) => read(Some(key)).or_else(|_| read(None)),
                None => read(None),
            },
        }
    }

    /// There is a session, made with a pre-shared key or not.
    pub(crate) fn confirmed(&mut self, is_paired: bool) {
        self.is_lost = !is_paired && (self.is_lost || self.gave_up);
        (self.answers, self.gave_up) = (0, false);
    }

    fn agreed(&self) -> Option<&PresharedKey> {
        agreed_in(&self.planned)
    }
}

fn agreed_in(planned: &Preshared) -> Option<&PresharedKey> {
    match planned {
        Preshared::Agreed { key, .. } => key.as_ref(),
        Preshared::None | Preshared::Fixed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn key(n: u8) -> PresharedKey {
        PresharedKey::from_bytes([n; 32])
    }

    fn agreed(n: Option<u8>) -> Preshared {
        Preshared::Agreed { key: n.map(key), is_required: false }
    }

    fn mixing(planned: &Preshared) -> Mixing {
        let mut mixing = Mixing::default();
        mixing.set(planned);
        mixing
    }

    fn answers(mixing: &mut Mixing, count: usize) -> Vec<bool> {
        (0..count).map(|_| mixing.answer().is_some()).collect()
    }

    /// What an answer may be mixed with, in the order in which it is tried.
    fn tried(mixing: &Mixing) -> Vec<Option<PresharedKey>> {
        let tried = RefCell::new(Vec::new());
        let note = |psk: Option<&PresharedKey>| {
            tried.borrow_mut().push(psk.cloned());
            Err(Drop::HandshakeInvalid)
        };
        assert!(mixing.read(note).is_err());
        tried.into_inner()
    }

    #[test]
    fn an_operators_key_is_mixed_into_everything() {
        let mut mixing = mixing(&Preshared::Fixed(key(1)));
        assert_eq!(answers(&mut mixing, 6), [true; 6]);
        mixing.confirmed(true);
        assert_eq!(answers(&mut mixing, 6), [true; 6]);
        assert_eq!(tried(&mixing), [Some(key(1))]);
    }

    #[test]
    fn one_that_lost_the_agreed_key_is_let_in_by_the_third_answer() {
        let mut mixing = mixing(&agreed(Some(1)));
        assert_eq!(answers(&mut mixing, 7), [true, true, false, false, true, false, false]);
        assert_eq!(tried(&mixing), [Some(key(1)), None]);
    }

    #[test]
    fn each_session_with_the_key_begins_the_count_anew() {
        let mut mixing = mixing(&agreed(Some(1)));
        for _ in 0..3 {
            assert_eq!(answers(&mut mixing, 2), [true; 2]);
            mixing.confirmed(true);
        }
    }

    #[test]
    fn a_lost_key_is_not_tried_until_there_is_another() {
        let mut mixing = mixing(&agreed(Some(1)));
        answers(&mut mixing, 3);
        mixing.confirmed(false);
        mixing.set(&agreed(Some(1)));
        assert_eq!(answers(&mut mixing, 4), [false; 4]);
        mixing.set(&agreed(Some(2)));
        assert_eq!(answers(&mut mixing, 2), [true; 2]);
        mixing.set(&agreed(None));
        assert_eq!(answers(&mut mixing, 4), [false; 4]);
        assert_eq!(tried(&mixing), [None]);
    }

    #[test]
    fn a_session_made_before_there_was_a_key_loses_none() {
        let mut mixing = mixing(&agreed(None));
        assert_eq!(answers(&mut mixing, 1), [false]);
        mixing.set(&agreed(Some(1)));
        mixing.confirmed(false);
        assert_eq!(answers(&mut mixing, 2), [true; 2]);
    }
}
