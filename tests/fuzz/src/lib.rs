//! What arbitrary bytes must not be able to do.
//!
//! Each target is a function of bytes that panics when something is wrong: not only when the code under
//! test panics itself, but when it disagrees with a plain reference, accepts what it would not write,
//! answers a stranger with more than was asked, or loses a packet. The same functions are called by
//! libFuzzer (`scripts/fuzz`, with a nightly compiler) and, for every file of the committed corpora, by
//! a test on the stable one.

pub mod coalesce;
mod cursor;
pub mod inner;
pub mod member;
pub mod messages;
mod model;
mod outbox;
mod reference;
pub mod split;
pub mod strangers;
pub mod uapi;
pub mod udp;

/// A target: what it is called, as a corpus and as a program, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("strangers", strangers::run),
    ("member", member::run),
    ("inner", inner::run),
    ("udp", udp::run),
    ("split", split::run),
    ("coalesce", coalesce::run),
    ("uapi", uapi::run),
    ("messages", messages::run),
];
