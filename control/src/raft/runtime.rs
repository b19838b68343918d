//! The asynchronous runtime agreement runs on: tokio, with randomness that is ours.
//!
//! openraft draws random numbers for one purpose, election timeouts, and asks its runtime for them.
//! [`Runtime`] is openraft's tokio binding inside its deterministic wrapper: each task carries a
//! 64-bit state, derived from its parent's when it is spawned, so numbers depend on the seed and on
//! the tree of tasks, never on the operating system.
//!
//! # Equal seeds, equal runs
//! The simulator gets identical traces when
//! - tokio is `new_current_thread().enable_time().start_paused(true)` with everything on it, so that
//!   there is one order of events and time jumps from timer to timer;
//! - each seed runs in a thread of its own with a runtime of its own: tokio keeps counters per thread
//!   (budgets, the start index of unbiased `select!`), and a fresh thread starts them at zero. Nothing
//!   in this crate uses an unbiased `select!`; the transport of the simulator must not either;
//! - each group's [`Seeds`](crate::ports::Seeds) is derived from the one seed and its member id;
//! - the log disk does its work inline (see [`LogDisk`](crate::ports::LogDisk)). Nothing here or in
//!   openraft calls `spawn_blocking`.

use openraft::rt::deterministic_rng::DeterministicRng;

/// See the [module](self).
pub(crate) type Runtime = DeterministicRng<openraft_rt_tokio::TokioRuntime>;

/// The state that seeds the first task of a group.
///
/// 64 bits are what the wrapper keeps. They decide when elections begin and nothing secret.
pub(crate) fn fold(seed: [u8; 32]) -> u64 {
    seed.chunks_exact(8)
        .map(|part| u64::from_le_bytes(part.try_into().expect("chunks of 8 have 8 bytes")))
        .fold(0, |state, part| state.rotate_left(17) ^ part)
}
