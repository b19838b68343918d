//! A watched value that wakes those who wait in the order they came.
//!
//! tokio's own spreads its waiters over several lists, picked by a random number of the runtime's that
//! nobody outside can seed. Two tasks that wait for the same change would run in an order that differs
//! from run to run, and with it everything that follows. Here tokio keeps the value and one
//! [`Notify`], which is first come, first served, does the waking.

use std::sync::Arc;

use openraft::async_runtime::watch::{RecvError, SendError};
use openraft::{OptionalSend, OptionalSync};
use tokio::sync::{Notify, watch};

/// The kind of channel, for [`AsyncRuntime::Watch`](openraft::AsyncRuntime::Watch).
#[derive(Debug)]
pub(crate) struct OrderedWatch;

/// Changes the value. Clones change the same one; when the last is gone, waiting ends.
pub(crate) struct Sender<T>(Arc<Source<T>>);

struct Source<T> {
    value: watch::Sender<T>,
    // Dropped after the value, so that those it wakes find the channel closed.
    wake: WakeOnDrop,
}

struct WakeOnDrop(Arc<Notify>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// Sees the value and waits for it to change.
pub(crate) struct Receiver<T> {
    value: watch::Receiver<T>,
    wake: Arc<Notify>,
}

pub(crate) fn channel<T>(first: T) -> (Sender<T>, Receiver<T>) {
    let (value, receiver) = watch::channel(first);
    let wake = Arc::new(Notify::new());
    let source = Source { value, wake: WakeOnDrop(Arc::clone(&wake)) };
    (Sender(Arc::new(source)), Receiver { value: receiver, wake })
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl openraft::async_runtime::watch::Watch for OrderedWatch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = watch::Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        channel(init)
    }
}

impl<T> openraft::async_runtime::watch::WatchSender<OrderedWatch, T> for Sender<T>
where
    T: OptionalSend + OptionalSync,
{
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        let sent = self.0.value.send(value).map_err(|error| SendError(error.0));
        self.0.wake.0.notify_waiters();
        sent
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let modified = self.0.value.send_if_modified(modify);
        if modified {
            self.0.wake.0.notify_waiters();
        }
        modified
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.0.value.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        Receiver { value: self.0.value.subscribe(), wake: Arc::clone(&self.0.wake.0) }
    }
}

impl<T> openraft::async_runtime::watch::WatchReceiver<OrderedWatch, T> for Receiver<T>
where
    T: OptionalSend + OptionalSync,
{
    async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            let woken = self.wake.notified();
            let mut woken = std::pin::pin!(woken);
            // In line before looking, or a change between the look and the wait would be missed.
            woken.as_mut().enable();
            if self.value.borrow().has_changed() {
                self.value.mark_unchanged();
                return Ok(());
            }
            if self.value.has_changed().is_err() {
                return Err(RecvError(()));
            }
            woken.await;
        }
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.value.borrow()
    }

    fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
        self.value.borrow_and_update()
    }
}
