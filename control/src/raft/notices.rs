//! How far the log is agreed, told to those a leader feeds with the next entries instead of by itself.
//!
//! ```text
//! told at once   entries 7 ──> · <── flushed · agreed up to 7 ──> · <── heard · entries 8, agreed up to 7 ──> ...
//! held back      entries 7 ──> · <── flushed                                  · entries 8, agreed up to 7 ──> ...
//! ```
//!
//! openraft sends an append without entries as soon as more is agreed. Under load the next entries are right behind it and
//! say the same, and it costs a packet each way with all the hands that goes through. So such a notice waits for them, [`PAUSE`]
//! at most. Nobody's answer waits with it: a member that
//! somebody asked for what was agreed is [told at once](Notices::hurry).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt as _};
use mesh_model::MemberId;
use openraft::async_runtime::AsyncRuntime as _;
use openraft::base::BoxStream;
use openraft::raft::AppendEntriesRequest;
use openraft::rt::Select3;
use tokio::sync::Notify;

use super::runtime::Runtime;
use super::types::{LogId, Types};

/// The longest a notice waits. One that writes, waits for it and writes again is back after 1 to 2 ms where lines are short
/// (`scripts/bench commits`); what a voter shows is that much older at most.
const PAUSE: Duration = Duration::from_millis(5);

/// Whose notices are wanted at once, of all that this host feeds; those that are not fed any more are
/// [forgotten](Self::keep).
#[derive(Clone, Default)]
pub(super) struct Notices(Arc<Mutex<BTreeMap<MemberId, Arc<Notify>>>>);

impl Notices {
    /// Somebody at `member` waits for what was agreed by now.
    pub(super) fn hurry(&self, member: MemberId) {
        if let Some(wanted) = self.lock().get(&member) {
            // Kept if nothing is held back at this moment: the notice may just be on its way there.
            wanted.notify_one();
        }
    }

    /// Forgets all but `fed`, and those to whom appends are on their way.
    pub(super) fn keep(&self, fed: &BTreeSet<MemberId>) {
        self.lock().retain(|id, wanted| fed.contains(id) || Arc::strong_count(wanted) > 1);
    }

    /// `appends` for `to`, each to be sent when the one before it was taken, without the notices that what follows them makes
    /// superfluous.
    pub(super) fn merged(
        &self,
        to: MemberId,
        appends: impl Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
    ) -> BoxStream<'static, AppendEntriesRequest<Types>> {
        let wanted = Arc::clone(self.lock().entry(to).or_default());
        let merging = Merging { appends: appends.fuse(), wanted, sent: None };
        Box::pin(futures_util::stream::unfold(merging, |mut merging| async {
            let append = merging.next().await?;
            Some((append, merging))
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Merging<S> {
    appends: Fuse<S>,
    wanted: Arc<Notify>,
    /// Up to where the last append went. It was taken: else there is no next one.
    sent: Option<LogId>,
}

impl<S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin> Merging<S> {
    async fn next(&mut self) -> Option<AppendEntriesRequest<Types>> {
        let mut append = self.appends.next().await?;
        let mut pause = std::pin::pin!(Runtime::sleep(PAUSE));
        while self.is_notice(&append) {
            let (later, wanted) = (self.appends.next(), std::pin::pin!(self.wanted.notified()));
            // What says more goes first, also before one that is wanted at once.
            match Runtime::select3(later, wanted, pause.as_mut()).await {
                Select3::First(Some(later)) => append = later,
                // The end is met again when this one is sent.
                Select3::First(None) | Select3::Second(()) | Select3::Third(()) => break,
            }
        }
        self.sent = append.entries.last().map_or(append.prev_log_id, |last| Some(last.log_id));
        Some(append)
    }

    /// Whether `append` says nothing but how far the log is agreed, to one that is known to have all that was sent.
    fn is_notice(&self, append: &AppendEntriesRequest<Types>) -> bool {
        append.entries.is_empty() && self.sent.is_some() && append.prev_log_id == self.sent
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use openraft::async_runtime::Instant as _;
    use openraft::type_config::TypeConfigExt as _;

    use tokio::sync::mpsc;

    use super::super::fixture::{blank, in_virtual_time, log_id, vote};
    use super::*;

    const TO: MemberId = MemberId(2);

    type Append = AppendEntriesRequest<Types>;

    /// In place of what openraft reads its appends from.
    fn appends() -> (mpsc::UnboundedSender<Append>, impl Stream<Item = Append> + Send + Unpin) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let read = |mut receiver: mpsc::UnboundedReceiver<Append>| async {
            Some((receiver.recv().await?, receiver))
        };
        (sender, Box::pin(futures_util::stream::unfold(receiver, read)))
    }

    /// Entries behind `prev` up to `last`, to somebody that hears that the log is agreed up to `agreed`.
    fn append(prev: u64, last: u64, agreed: u64) -> Append {
        Append {
            vote: vote(1),
            prev_log_id: Some(log_id(1, prev)),
            entries: (prev + 1..=last).map(|index| blank(1, index)).collect(),
            leader_commit: Some(log_id(1, agreed)),
        }
    }

    /// Up to where entries go, and how far the log is agreed.
    fn said(append: Option<Append>) -> (u64, u64) {
        let append = append.expect("there is one");
        let last = append.entries.last().map(|entry| entry.log_id).or(append.prev_log_id);
        (last.map_or(0, |id| id.index), append.leader_commit.map_or(0, |id| id.index))
    }

    /// What is merged after entries were taken.
    async fn merged() -> (mpsc::UnboundedSender<Append>, Notices, impl Stream<Item = Append> + Unpin)
    {
        let (appends, read) = appends();
        let notices = Notices::default();
        let mut merged = notices.merged(TO, read);
        appends.send(append(3, 5, 3)).expect("read");
        assert_eq!(said(merged.next().await), (5, 3));
        (appends, notices, merged)
    }

    #[test]
    fn a_notice_goes_with_the_next_entries() {
        in_virtual_time(async {
            let (appends, _, mut merged) = merged().await;
            let begun = Types::now();
            appends.send(append(5, 5, 4)).expect("read");
            appends.send(append(5, 5, 5)).expect("read");
            assert!(merged.next().now_or_never().is_none(), "it waits");
            appends.send(append(5, 6, 5)).expect("read");
            assert_eq!(said(merged.next().await), (6, 5));
            assert_eq!(begun.elapsed(), Duration::ZERO);
        });
    }

    #[test]
    fn a_notice_that_nothing_follows_is_not_forgotten() {
        in_virtual_time(async {
            let (appends, _, mut merged) = merged().await;
            let begun = Types::now();
            appends.send(append(5, 5, 4)).expect("read");
            appends.send(append(5, 5, 5)).expect("read");
            assert_eq!(said(merged.next().await), (5, 5), "the last word");
            assert!((PAUSE..2 * PAUSE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
            appends.send(append(5, 5, 5)).expect("read");
            drop(appends);
            assert_eq!(said(merged.next().await), (5, 5));
            assert!(merged.next().await.is_none() && begun.elapsed() < 2 * PAUSE, "the end");
        });
    }

    #[test]
    fn who_waits_for_it_is_told_at_once() {
        in_virtual_time(async {
            let (appends, notices, mut merged) = merged().await;
            let begun = Types::now();
            notices.hurry(MemberId(9));
            appends.send(append(5, 5, 5)).expect("read");
            assert!(merged.next().now_or_never().is_none(), "somebody else waits");
            notices.hurry(TO);
            assert_eq!(said(merged.next().await), (5, 5));
            notices.hurry(TO);
            appends.send(append(5, 5, 5)).expect("read");
            assert_eq!(said(merged.next().await), (5, 5), "asked for before it was there");
            assert_eq!(begun.elapsed(), Duration::ZERO);
        });
    }

    #[test]
    fn what_finds_out_how_far_a_log_goes_does_not_wait() {
        in_virtual_time(async {
            let (appends, read) = appends();
            let mut merged = Notices::default().merged(TO, read);
            let begun = Types::now();
            for at in [7, 3] {
                appends.send(append(at, at, 2)).expect("read");
                assert_eq!(said(merged.next().await), (at, 2));
            }
            assert_eq!(begun.elapsed(), Duration::ZERO);
        });
    }
}
