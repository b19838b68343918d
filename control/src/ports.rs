//! What agreement needs from the shell: a disk, a way to ask another member, entropy, and the
//! time of day.
//!
//! The sans-IO cores need none of this. Agreement runs on openraft, which is asynchronous and keeps
//! a log, so it gets exactly four ports; the daemon implements them with a file, QUIC over the
//! overlay and the operating system, the simulator with memory, a virtual network, one seed and a
//! clock of its own.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use mesh_model::{Fault, MemberId};

pub use redb::{BackendError, StorageBackend};

/// Where the log lives: a flat, growable run of bytes with an explicit barrier.
///
/// Whatever is a [`StorageBackend`] is a log disk. What agreement relies on:
/// - after `sync_data` returned `Ok`, everything written before it survives a crash;
/// - before that, any part of it may be lost, in any order;
/// - a failed `sync_data` says nothing about what was kept. Agreement stops for good after one: a
///   second `fsync` that succeeds proves nothing about the pages the first one lost
///   (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
///
/// `sync_data` is called on the task that runs agreement and may block it for the length of one
/// disk flush. On a multi-threaded runtime the implementation hands the worker thread back with
/// `tokio::task::block_in_place`; in the simulator it simply returns, which keeps every run in one
/// thread and reproducible.
pub trait LogDisk: StorageBackend {}

impl<D: StorageBackend> LogDisk for D {}

/// Asks other members. The link is authenticated: who answers for `to` is `to`.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Sends `request` to `to` and returns its reply, or an error once `limit` has passed.
    fn call(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send;
}

/// Why a call brought no reply. The request may have been carried out all the same, unless the
/// member was [unreachable](TransportError::Unreachable).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No way to the member: no tunnel, no route, connection refused. It never saw the request.
    #[error("{0} cannot be reached")]
    Unreachable(MemberId),
    /// No reply in time.
    #[error("{0} did not answer in time")]
    Timeout(MemberId),
    /// The connection broke off, or the member refused the request.
    #[error("{member} broke off: {reason}")]
    Broken {
        /// Who was asked.
        member: MemberId,
        /// What the link said.
        reason: String,
    },
}

impl TransportError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::World
    }
}

/// The time of day. A leader stamps with it what it has agreed on; every host notes by it when it saw
/// the lead change. Nothing is decided by it.
pub trait WallClock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64;
}

impl<F: Fn() -> u64 + Send + Sync + 'static> WallClock for F {
    fn wall_ms(&self) -> u64 {
        self()
    }
}

/// Entropy, 32 bytes at a time. The daemon asks the operating system, the simulator its one seed.
pub trait Seeds: Send + Sync + 'static {
    /// Fresh bytes.
    fn seed(&self) -> [u8; 32];
}
