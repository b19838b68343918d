//! What befalls the bytes of a message on its way from one that means no good.

use proptest::prelude::*;

/// What the decoder takes for a number of eight bytes, whatever was there before.
const EIGHT_BYTES: u8 = 253;

/// Bytes of somebody who means no good.
#[derive(Debug, Clone)]
pub(in crate::raft) enum Damage {
    /// A genuine message, counted round and round, and what was done to it.
    Of(usize, Vec<Wound>),
    /// Made up, but for the version.
    Noise(Vec<u8>),
}

/// What is done to a message, at a place that is counted round and round.
#[derive(Debug, Clone)]
pub(in crate::raft) enum Wound {
    /// One bit is another.
    Bit(usize, u8),
    /// A byte becomes this number: an index, a term, a length.
    Number(usize, u64),
    /// It ends there.
    Cut(usize),
    /// It goes on as another message does from the second place on.
    Splice(usize, usize, usize),
    /// More follows.
    Tail(Vec<u8>),
}

impl Damage {
    /// The bytes that come of it, where these messages are genuine.
    pub(in crate::raft) fn of(&self, messages: &[Vec<u8>]) -> Vec<u8> {
        match self {
            Self::Of(which, wounds) => {
                let mut bytes = messages[which % messages.len()].clone();
                for wound in wounds {
                    wound.inflict(&mut bytes, messages);
                }
                bytes
            }
            Self::Noise(bytes) => [&[1], &bytes[..]].concat(),
        }
    }
}

impl Wound {
    /// Does it to `bytes`, where these messages are genuine.
    pub(in crate::raft) fn inflict(&self, bytes: &mut Vec<u8>, messages: &[Vec<u8>]) {
        if bytes.is_empty() {
            // It was cut at its beginning.
            return;
        }
        let at = |place: &usize| place % bytes.len();
        match self {
            Self::Bit(place, bit) => {
                let at = at(place);
                bytes[at] ^= 1 << bit;
            }
            Self::Number(place, number) => {
                let at = at(place);
                let wide = [&[EIGHT_BYTES], &number.to_le_bytes()[..]].concat();
                bytes.splice(at..=at, wide);
            }
            Self::Cut(place) => bytes.truncate(at(place)),
            Self::Splice(place, which, from) => {
                let other = &messages[which % messages.len()];
                bytes.truncate(at(place));
                bytes.extend(&other[from % other.len()..]);
            }
            Self::Tail(tail) => bytes.extend(tail),
        }
    }
}

/// As often as not where a message begins: what is said there decides how the rest is read, and most of a long one is signed.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..16_usize, 0..64_usize, any::<usize>()]
}

fn wound() -> impl Strategy<Value = Wound> {
    let number = prop_oneof![Just(0), Just(u64::MAX), 0..300_u64, any::<u64>()];
    prop_oneof![
        3 => (place(), 0..8_u8).prop_map(|(at, bit)| Wound::Bit(at, bit)),
        3 => (place(), number).prop_map(|(at, number)| Wound::Number(at, number)),
        1 => place().prop_map(Wound::Cut),
        1 => (place(), any::<usize>(), place()).prop_map(|(at, of, from)| Wound::Splice(at, of, from)),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Wound::Tail),
    ]
}

/// Damage of any kind.
pub(in crate::raft) fn damage() -> impl Strategy<Value = Damage> {
    let wounds = prop::collection::vec(wound(), 0..4);
    prop_oneof![
        9 => (any::<usize>(), wounds).prop_map(|(which, wounds)| Damage::Of(which, wounds)),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Damage::Noise),
    ]
}
