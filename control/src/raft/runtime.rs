//! The asynchronous runtime agreement runs on: tokio, with randomness and order that are ours.
//!
//! openraft draws random numbers for one purpose, election timeouts, and asks its runtime for them.
//! [`Runtime`] gives each task a 64-bit state, derived from its parent's when it is spawned, so numbers
//! depend on the seed and on the tree of tasks, never on the operating system. It also wakes tasks that
//! wait for the same change in the order they came (see [`watch`](super::watch)).
//!
//! # Equal seeds, equal runs
//! The simulator gets identical traces when
//! - tokio is `new_current_thread().enable_time().start_paused(true)` with everything on it, so that
//!   there is one order of events and time jumps from timer to timer;
//! - each seed runs in a thread and runtime of its own, so that nothing is left over from the last;
//! - each group's [`Seeds`](crate::ports::Seeds) is derived from the one seed, its member id and how
//!   often it was started;
//! - the transport and the driver use nothing of tokio's that is random inside: no `select!` without
//!   `biased`, and at most one task that waits on each `tokio::sync::watch` channel. That goes for
//!   [`Group::views`](super::Group::views) and [`Group::leadership`](super::Group::leadership) too:
//!   agreement itself waits on channels of its own;
//! - the log disk does its work inline (see [`LogDisk`](crate::ports::LogDisk)). Nothing here or in
//!   openraft calls `spawn_blocking`.
//!
//! `control/tests/raft_group/repeat.rs` holds this.

use std::future::Future;
use std::time::Duration;

use openraft::rt::deterministic_rng::DeterministicRng;
use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::TokioRuntime;

use super::watch::OrderedWatch;

/// See the [module](self).
pub(crate) type Runtime = DeterministicRng<Ordered>;

/// The state that seeds the first task of a group.
///
/// 64 bits are what the wrapper keeps. They decide when elections begin and nothing secret.
pub(crate) fn fold(seed: [u8; 32]) -> u64 {
    seed.chunks_exact(8)
        .map(|part| u64::from_le_bytes(part.try_into().expect("chunks of 8 have 8 bytes")))
        .fold(0, |state, part| state.rotate_left(17) ^ part)
}

/// openraft's tokio binding with another kind of watch channel.
#[derive(Debug)]
pub(crate) struct Ordered(TokioRuntime);

impl AsyncRuntime for Ordered {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = OrderedWatch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    /// Never asked: the wrapper around this one answers for itself.
    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openraft_accepts_the_runtime() {
        openraft::rt::testing::Suite::<Ordered>::test_all();
    }

    #[test]
    fn those_who_wait_for_the_same_change_run_in_the_order_they_came() {
        use std::sync::{Arc, Mutex};

        use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};

        let order = Arc::new(Mutex::new(Vec::new()));
        let mut runtime = Runtime::new(1);
        runtime.block_on(async {
            let (sender, receiver) = super::super::watch::channel(0);
            let waiting: Vec<_> = (0..32)
                .map(|number| {
                    let (mut receiver, order) = (receiver.clone(), Arc::clone(&order));
                    Runtime::spawn(async move {
                        while receiver.changed().await.is_ok() {
                            order.lock().expect("no panic").push(number);
                        }
                    })
                })
                .collect();
            Runtime::sleep(Duration::from_millis(20)).await;
            sender.send(1).expect("they wait");
            Runtime::sleep(Duration::from_millis(20)).await;
            drop(sender);
            for task in waiting {
                task.await.expect("ends");
            }
        });
        assert_eq!(*order.lock().expect("no panic"), (0..32).collect::<Vec<_>>());
    }
}
