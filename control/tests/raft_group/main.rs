//! Agreement among a few members in virtual time: elections, crashes, departures, snapshots.
#![allow(clippy::disallowed_methods, reason = "a test supplies time, threads and the runtime")]
#![allow(clippy::disallowed_types, reason = "a test supplies time, threads and the runtime")]

mod bans;
mod comparing;
mod crash;
mod deposed;
#[cfg(feature = "next")]
mod editions;
mod epochs;
mod exclusions;
mod failed_disk;
#[path = "../fixture/mod.rs"]
mod fixture;
mod following;
mod history;
mod leaving;
mod liar;
mod lost;
mod lying;
mod members;
mod notices;
mod old_copy;
mod policy;
mod reads;
mod regions;
mod repeat;
mod succession;
mod transfer;
mod upstream;
mod versions;
mod withdrawal;
mod world;
