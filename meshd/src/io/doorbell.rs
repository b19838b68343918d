//! A bounded queue into a thread that sleeps in poll(2), not on a runtime.
//!
//! Whoever puts something in rings a bell, an eventfd the sleeper polls beside its sockets. Ringing is
//! a system call, so it is done only when the sleeper has said that it is about to sleep: [`Sleep`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mesh_ring::Sleep;
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

/// A queue of at most `capacity` items.
pub(crate) fn channel<T>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)> {
    let (queue, items) = mpsc::channel(capacity);
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let bell = Arc::new(Bell { fd, sleep: Sleep::new() });
    let sender = Sender { queue, bell: Some(Goodbye(Arc::clone(&bell))) };
    Ok((sender, Receiver { items, bell }))
}

struct Bell {
    fd: OwnedFd,
    sleep: Sleep,
}

impl Bell {
    fn ring(&self) {
        if self.sleep.must_wake() {
            // The only failure is a counter at its limit, and then the bell is ringing already.
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }
}

/// Rings when a sender goes, so that the sleeper hears of the last one.
#[derive(Clone)]
struct Goodbye(Arc<Bell>);

impl Drop for Goodbye {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// The way in.
///
/// A plain tokio queue can stand in for one with a bell where the reader is a task.
pub(crate) struct Sender<T> {
    queue: mpsc::Sender<T>,
    /// Dropped behind the queue.
    bell: Option<Goodbye>,
}

impl<T> Sender<T> {
    /// Puts `item` in if there is room.
    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.queue.try_send(item)?;
        self.ring();
        Ok(())
    }

    /// Puts in what `make` yields, if that is anything, if there is room; `make` is not called without.
    pub(crate) fn try_send_with(
        &self,
        make: impl FnOnce() -> Option<T>,
    ) -> Result<(), TrySendError<()>> {
        let room = self.queue.try_reserve()?;
        if let Some(item) = make() {
            room.send(item);
            self.ring();
        }
        Ok(())
    }

    /// Puts `item` in once there is room; an error once the reader is gone.
    pub(crate) async fn send(&self, item: T) -> Result<(), SendError<T>> {
        self.queue.send(item).await?;
        self.ring();
        Ok(())
    }

    /// Waits for room and keeps it; an error once the reader is gone.
    pub(crate) async fn reserve(&self) -> Result<Room<'_, T>, SendError<()>> {
        Ok(Room { room: self.queue.reserve().await?, sender: self })
    }

    /// A way to wake the reader without a word; `None` if it is a task.
    pub(crate) fn ringer(&self) -> Option<Ringer> {
        self.bell.as_ref().map(|Goodbye(bell)| Ringer(Arc::clone(bell)))
    }

    /// Waits for room; `false` once the reader is gone.
    pub(crate) async fn room(&self) -> bool {
        self.queue.reserve().await.is_ok()
    }

    fn ring(&self) {
        if let Some(Goodbye(bell)) = &self.bell {
            bell.ring();
        }
    }
}

/// Room for one item.
pub(crate) struct Room<'a, T> {
    room: mpsc::Permit<'a, T>,
    sender: &'a Sender<T>,
}

impl<T> Room<'_, T> {
    /// Puts `item` in.
    pub(crate) fn put(self, item: T) {
        self.room.send(item);
        self.sender.ring();
    }
}

/// Wakes the reader, which looks for itself what there is: in places that the queue knows nothing of.
#[derive(Clone)]
pub(crate) struct Ringer(Arc<Bell>);

impl Ringer {
    /// Wakes it if it sleeps. To be called behind whatever it is to see.
    pub(crate) fn ring(&self) {
        self.0.ring();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

impl<T> From<mpsc::Sender<T>> for Sender<T> {
    fn from(queue: mpsc::Sender<T>) -> Self {
        Self { queue, bell: None }
    }
}

/// The sleeper's end.
pub(crate) struct Receiver<T> {
    items: mpsc::Receiver<T>,
    bell: Arc<Bell>,
}

impl<T> Receiver<T> {
    /// The oldest item.
    pub(crate) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.items.try_recv()
    }

    /// Announces sleep. `true` when there is nothing to stay awake for: from here on
    /// [`bell`](Self::bell) becomes readable when there is.
    #[must_use]
    pub(crate) fn may_sleep(&self) -> bool {
        self.bell.sleep.announce();
        let idle = self.items.is_empty() && self.items.sender_strong_count() > 0;
        if !idle {
            self.bell.sleep.end();
        }
        idle
    }

    /// What to poll for reading while asleep.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.fd.as_fd()
    }

    /// Ends sleep, with the bell rung or not.
    pub(crate) fn wake(&self, rung: bool) {
        self.bell.sleep.end();
        if rung {
            // Nothing to read means that it was silenced before.
            let _ = rustix::io::read(&self.bell.fd, &mut [0; 8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    /// Waits as the packet thread does, and takes what there is.
    fn wait<T>(receiver: &mut Receiver<T>) -> Result<T, TryRecvError> {
        loop {
            match receiver.try_recv() {
                Err(TryRecvError::Empty) => {}
                other => return other,
            }
            if receiver.may_sleep() {
                let mut fds = [PollFd::from_borrowed_fd(receiver.bell(), PollFlags::IN)];
                poll(&mut fds, None).expect("polled");
                receiver.wake(true);
            }
        }
    }

    #[test]
    fn everything_put_in_is_heard_however_often_the_reader_sleeps() {
        let (sender, mut receiver) = channel(4).expect("an eventfd");
        let items = 20_000;
        let writer = thread::spawn(move || {
            for n in 0..items {
                while sender.try_send(n).is_err() {
                    thread::yield_now();
                }
            }
        });
        for n in 0..items {
            assert_eq!(wait(&mut receiver), Ok(n));
        }
        assert_eq!(wait(&mut receiver), Err(TryRecvError::Disconnected), "the last one left");
        writer.join().expect("no panic");
    }

    #[test]
    fn nobody_rings_for_a_reader_that_is_awake() {
        let (sender, mut receiver) = channel(4).expect("an eventfd");
        sender.try_send(1).expect("room");
        let mut fds = [PollFd::from_borrowed_fd(receiver.bell(), PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&now)), Ok(0));
        assert!(!receiver.may_sleep());
        assert_eq!(receiver.try_recv(), Ok(1));
        assert!(receiver.may_sleep());
        assert!(sender.try_send_with(|| None).is_ok());
        sender.try_send(2).expect("room");
        let mut fds = [PollFd::from_borrowed_fd(receiver.bell(), PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&now)), Ok(1));
    }
}
