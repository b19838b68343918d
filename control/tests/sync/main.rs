//! Following by sync through its public surface: whom to ask, whom to serve, what is proven; and a thousand members at it.
#![allow(clippy::disallowed_methods, reason = "a test supplies time")]

mod asking;
mod crowd;
#[path = "../fixture/mod.rs"]
mod fixture;
mod serving;
mod words;
