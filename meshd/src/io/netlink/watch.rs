//! Word of changes, so that nobody has to ask.

use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use rtnetlink::MulticastGroup;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::NetlinkError;

/// How long address changes are collected before they are reported: a network manager makes a dozen
/// within a fraction of a second.
const SETTLE: Duration = Duration::from_millis(500);

/// Word of changes to the host's addresses, by netlink multicast: no polling, no cost while nothing
/// happens.
pub(crate) struct AddressWatch {
    /// One item per message; what it says is read anew anyway.
    notices: BoxStream<'static, ()>,
    /// When to report the change that was noticed and not yet reported. Kept here, so that a caller
    /// who gives up waiting does not put it off.
    due: Option<Instant>,
    task: AbortHandle,
}

impl AddressWatch {
    /// Subscribes, served on the current runtime.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ])?;
        let task = tokio::spawn(connection).abort_handle();
        let notices = messages.map(|_| ()).boxed();
        Ok(Self { notices, due: None, task })
    }

    /// A watch that hears of a change whenever `notices` has an item.
    #[cfg(test)]
    pub(super) fn over(notices: BoxStream<'static, ()>) -> Self {
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        Self { notices, due: None, task }
    }

    /// Returns after addresses or links changed and the burst of changes is over. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        let due = match self.due {
            Some(due) => due,
            None => {
                if self.notices.next().await.is_none() {
                    // The kernel closed the subscription; nothing will ever come.
                    std::future::pending::<()>().await;
                }
                *self.due.insert(Instant::now() + SETTLE)
            }
        };
        tokio::time::sleep_until(due).await;
        while let Some(Some(())) = self.notices.next().now_or_never() {}
        self.due = None;
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
