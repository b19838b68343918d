//! Following by sync: pulls what was agreed from another member and hands it to Raft.
//!
//! ```text
//! Sync: whom to ask ──Pull──> source ──News──> draft ──proven?──> Raft, as its leader's append ──> log, apply, views
//! ```
//!
//! Raft is given nothing that a majority of the known voters has not signed. So it needs to be told no more than a leader
//! would tell: the vote of the leader those voters followed, entries, and that they are agreed. It keeps them as it keeps
//! all entries, and a member that becomes a candidate for a vote goes on from there as a learner. One that has
//! no vote by its own log never asks for any. One that has, and has not heard that it lost it, is fed the entry
//! that says so, once it has taken back what it promised meanwhile ([`withdrawal`](super::withdrawal)).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::wire::sync::{Lead, News, Place, Pull, Pulled};
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::async_runtime::{AsyncRuntime as _, Select2};
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::contact::confirmed_at;
use super::doubt::{Doubt, Patience};
use super::draft::{Draft, DraftError, Proven};
use super::feeding::NotTaken;
use super::group::{Inner, leadership};
use super::network::AskError;
use super::replica::Replica;
use super::rpc::{Reply, Request};
use super::runtime::Runtime;
use super::snapshot::SnapshotError;
use super::types::{Instant, Types};
use super::watch as ordered;
use crate::refusals::Refused;
use crate::sync::{Ask, Heard};

/// The longest this task sleeps: whether this host still leads, or is still fed, no event says.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

type Asked = Pin<Box<dyn Future<Output = Result<Reply, AskError>> + Send>>;

/// The task; see the [module](self).
pub(super) struct Following {
    inner: Arc<Inner>,
    /// The question that is under way.
    asked: Option<(Ask, Instant, Asked)>,
    draft: Draft,
    /// Who sent it.
    source: Option<MemberId>,
    /// Whether that is true.
    doubt: Doubt,
    /// Whether the whole state was asked for.
    asked_for_all: bool,
    /// Behind which entry it asked for more.
    asked_from: Option<Place>,
}

/// Why what a source sent was not used.
enum NotUsed {
    Draft(DraftError),
    /// This host follows a later leader, or waits for the votes of an election.
    Later,
    /// Nobody whose word counts has signed it.
    Unproven,
}

impl NotUsed {
    fn reason(&self) -> Refused {
        match self {
            Self::Draft(error) => Refused::of_draft(error),
            Self::Later => Refused::SyncOverruled,
            Self::Unproven => Refused::SyncUnproven,
        }
    }
}

impl From<DraftError> for NotUsed {
    fn from(error: DraftError) -> Self {
        Self::Draft(error)
    }
}

impl Following {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let (draft, doubt) = (Draft::default(), Doubt::default());
        Self {
            inner,
            asked: None,
            draft,
            source: None,
            doubt,
            asked_for_all: false,
            asked_from: None,
        }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut nudges = self.inner.nudges.subscribe();
        let mut server = self.inner.raft.server_metrics();
        while self.inner.ended().is_none() {
            let sleep = Runtime::sleep(self.ask_next());
            let woken = async {
                let changed = Runtime::select3(server.changed(), nudges.changed(), sleep).await;
                !matches!(changed, Select3::First(Err(_)) | Select3::Second(Err(_)))
            };
            let Some((_, _, asked)) = &mut self.asked else {
                if woken.await {
                    continue;
                }
                return;
            };
            let reply = match Runtime::select2(asked, woken).await {
                Select2::First(reply) => reply,
                Select2::Second(true) => continue,
                Select2::Second(false) => return,
            };
            if let Some((ask, at, _)) = self.asked.take() {
                let heard = Box::pin(self.hear(ask.to, at, reply)).await;
                self.inner.observe();
                let now = self.inner.moment();
                self.inner.sync().handle_answer(ask.to, heard, now);
            }
        }
    }

    /// Asks, if it is time; how long until it may be otherwise.
    fn ask_next(&mut self) -> Duration {
        self.inner.observe();
        let now = self.inner.moment();
        let mut sync = self.inner.sync();
        let ask = sync.poll_ask(now);
        if ask.is_some() || !sync.is_asking() {
            self.asked = None;
        }
        let wake = sync.poll_timeout(now).map(|(at, _)| at.saturating_sub(now));
        drop(sync);
        if let Some(ask) = ask {
            self.ask(ask);
        }
        wake.map_or(LOOK_AGAIN, |wake| wake.min(LOOK_AGAIN))
    }

    fn ask(&mut self, ask: Ask) {
        let place = self.inner.place();
        if self.source != Some(ask.to) || !self.draft.follows(place) {
            // What one source could not have proven says nothing of the next, and what the leader sent meanwhile needs no proof.
            self.drop_draft();
            self.source = Some(ask.to);
        }
        self.asked_for_all = ask.snapshot;
        let inner = &self.inner;
        let have = self.draft.end(place);
        self.asked_from = have;
        let request = Request::Pull(Pull {
            have,
            proven: inner.proven(),
            lead: inner.elected(),
            hold_ms: u32::try_from(ask.hold.as_millis()).unwrap_or(u32::MAX),
            snapshot: ask.snapshot,
        });
        let peers = inner.peers.clone();
        let asked = Box::pin(async move { peers.ask(ask.to, request, ask.limit).await });
        self.asked = Some((ask, Types::now(), asked));
    }

    /// What `from` answered to what it was asked at `at`.
    async fn hear(&mut self, from: MemberId, at: Instant, reply: Result<Reply, AskError>) -> Heard {
        let pulled = match reply {
            Ok(Reply::Pulled(pulled)) => pulled,
            Ok(_) => {
                self.inner.refusals.count(Refused::SyncMalformed);
                return Heard::Silent;
            }
            Err(error) => {
                if let AskError::Codec(unread) = &error {
                    self.inner.note_unread(from, unread);
                }
                tracing::debug!(%from, %error, "a source did not answer");
                return Heard::Silent;
            }
        };
        if let Err(error) = pulled.check() {
            tracing::warn!(%from, %error, "a source's answer is out of bounds");
            self.inner.refusals.count(Refused::SyncMalformed);
            return Heard::Wrong;
        }
        match pulled {
            Pulled::Busy { instead } => Heard::Busy(instead),
            Pulled::Adrift => Heard::Adrift,
            Pulled::Elsewhere => {
                self.drop_draft();
                tracing::warn!(%from, "a source has another entry where this host's last one is");
                Heard::Adrift
            }
            Pulled::News(news) => Box::pin(self.take(from, at, *news)).await,
        }
    }

    async fn take(&mut self, from: MemberId, asked_at: Instant, mut news: News) -> Heard {
        let inner = Arc::clone(&self.inner);
        inner.take_words(&news.checkpoints);
        let (proven, depth) = (news.proven, news.depth);
        let held = Duration::from_millis(news.held_ms.into());
        let (lead, confirmed) = (news.lead, news.confirmed_ms);
        let is_late = self.is_outrun(inner.place());
        if is_late {
            self.drop_draft();
            (news.entries, news.snapshot) = (Vec::new(), None);
        }
        let is_empty = news.entries.is_empty() && news.snapshot.is_none();
        let extended = Box::pin(self.extend(news)).await;
        if let Err(not_used) = &extended {
            inner.refusals.count(not_used.reason());
        }
        let gained = match extended {
            Ok(gained) => gained,
            // Its fault as little as ours: the entries are too long to wait for their proof one by one.
            Err(NotUsed::Draft(DraftError::TooMuch)) => {
                self.drop_draft();
                inner.sync().handle_fast();
                return Heard::Adrift;
            }
            Err(NotUsed::Later) => {
                tracing::debug!(%from, "what was proven is of an earlier leader than the one followed");
                self.drop_draft();
                return Heard::Adrift;
            }
            Err(NotUsed::Unproven) => {
                tracing::debug!(%from, "nothing proves what a source sent");
                self.drop_draft();
                return Heard::Adrift;
            }
            Err(NotUsed::Draft(error)) => {
                if let DraftError::Malformed(unread)
                | DraftError::Snapshot(SnapshotError::Codec(unread)) = &error
                {
                    inner.note_unread(from, unread);
                    if unread.is_newer() {
                        tracing::debug!(%from, %unread, "a source sent what a newer version wrote");
                        self.drop_draft();
                        return Heard::Silent;
                    }
                }
                self.drop_draft();
                tracing::warn!(%from, %error, "what a source sent was not taken");
                return Heard::Wrong;
            }
        };
        inner.adopt_lead().await;
        if let (Some(Lead { leader, .. }), Some(ago)) = (lead, confirmed)
            && leadership(&inner.raft).leader == Some(leader)
            && leader != inner.me
        {
            let ago = Duration::from_millis(ago.into());
            if let Some(at) = confirmed_at(asked_at, Types::now(), held, ago) {
                inner.contact.told(leader, at);
            }
            let votes = inner.known_voters().contains(&inner.me);
            if !votes && (gained > 0 || !inner.outdated.lacks_entries()) {
                inner.note_read();
            }
        }
        inner.set_depth(depth.saturating_add(1));
        let end = self.draft.end(inner.place()).map_or(0, |end| end.index);
        let withholds = is_empty && !is_late && proven > end;
        let drafted = if self.draft.is_empty() { 0 } else { end };
        Heard::News { gained, withholds, proven, drafted, held, depth, attached: lead.is_some() }
    }

    /// Whether this host, which holds all up to `place` now, has heard more from a leader since it asked, or led itself: then neither
    /// the draft nor what comes follows any more, and its sender is not to blame.
    fn is_outrun(&self, place: Option<Place>) -> bool {
        !self.draft.follows(place) || self.draft.end(place) != self.asked_from
    }

    /// What was sent is of no use, and what was found out about it.
    fn drop_draft(&mut self) {
        self.draft = Draft::default();
        self.doubt = Doubt::default();
    }

    /// How far the draft is proven, if that is of use: Raft on a host that is bound to a candidate of a later term takes nothing, unless it is
    /// proven that this host has no vote.
    fn prove(&self, own: &Replica) -> Result<Option<Proven>, DraftError> {
        let Self { inner, draft, doubt, .. } = self;
        let votes = |upto| draft.voters_at(own, upto).contains(&inner.me);
        let is_of_use =
            |proven: &Proven| !inner.is_bound_beyond(proven.lead) || !votes(proven.upto);
        Ok(draft.prove(own, doubt.leniency())?.filter(is_of_use))
    }

    /// Adds what came to the draft and gives Raft what is proven of it; how many entries that brought.
    async fn extend(&mut self, news: News) -> Result<u64, NotUsed> {
        if news.entries.is_empty() && news.snapshot.is_none() && self.draft.is_empty() {
            return Ok(0);
        }
        let own = self.inner.replica.lock().clone();
        if self.is_outrun(own.place()) {
            // In the moment since it was looked at last.
            self.drop_draft();
            return Ok(0);
        }
        let root = self.inner.view().root;
        let is_new = self.draft.add(news, self.asked_for_all, &own, (&root, self.inner.reads))?;
        let mut proven = match is_new {
            true => self.prove(&own)?,
            false => None,
        };
        if proven.is_none() {
            match self.doubt.wait(&self.draft, &self.inner).await {
                Patience::Lasts => return Ok(0),
                Patience::Over => return Err(NotUsed::Unproven),
                Patience::Lenient => proven = self.prove(&own)?,
            }
        }
        let Some(proven) = proven else { return Ok(0) };
        self.doubt = Doubt::default();
        if self.inner.is_bound_beyond(proven.lead) {
            Box::pin(self.inner.withdraw_if_confirmed(proven.lead)).await;
            return Err(NotUsed::Later);
        }
        let mut draft = std::mem::take(&mut self.draft);
        let (before, base) = (own.index(), draft.base.take());
        match Box::pin(self.inner.feed(base, &draft.entries, own.applied, proven)).await {
            Ok(()) => {
                self.inner.take_words(draft.words());
                Ok(proven.upto.saturating_sub(before))
            }
            Err(NotTaken::Snapshot(error)) => {
                tracing::warn!(%error, "a snapshot was not installed");
                Err(DraftError::Contradiction.into())
            }
            Err(NotTaken::Later) => Err(NotUsed::Later),
            Err(NotTaken::Ended) => Ok(0),
        }
    }
}

/// Wakes the task: somebody was seen, or the operator wants something.
pub(super) fn nudge(nudges: &ordered::Sender<u64>) {
    nudges.send_if_modified(|count| {
        *count += 1;
        true
    });
}

#[cfg(test)]
mod tests;
