//! Engines against each other over an in-memory wire that loses, doubles and reorders, with a clock
//! that jumps.

mod attacker;
mod inner;
mod sliced;
mod wire;

mod access;
mod chaos;
mod clock;
mod conformance;
mod flood;
mod handshake;
mod hostile;
mod interop;
mod link;
mod nested;
mod pairing;
mod roaming;
mod rotation;
mod slices;
mod sources;
mod traffic;
