//! Signs what this host's log led to, if it votes, and gathers what the other voters signed.
//!
//! ```text
//! applied ──mark──> sign ──Attest(word)──> everyone the leader feeds
//!                            <──their words for that index──
//! ```
//!
//! Only what is on this host's disk is signed: its word will tell it, one day, whether that is still so (`recollection`). The first word
//! after a pause is signed at once, so that whoever follows by sync hears of a ban without delay; then at most one in [`DEBOUNCE`]. A word that got lost is not sent again: who lacks the proof of its own last mark asks, voter after
//! voter, until it has it. Nothing of this holds up agreement, which needs no checkpoints.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::wire::sync::{Checkpoint, Lead, MAX_CHECKPOINTS};
use mesh_model::{IdentityKey, LogIndex, MemberId, Signed};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::group::Inner;
use super::rpc::{Reply, Request, RpcError};
use super::runtime::Runtime;
use super::steward::IDLE;
use super::testimony::GRID;
use super::types::{Instant, Types};
use crate::refusals::Refused;
use crate::sync::Mark;

/// The shortest pause between two signings. Commits of one burst share a word; a signature and its hundred checks in
/// a mesh of seven voters stay far below a percent of one core.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// How long the last mark may take to get on disk before it is looked at again: a flush is 1 to 20 ms.
const FLUSH: Duration = Duration::from_millis(20);

/// How long the other voters' words may be on their way before this host asks for them.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// The longest pause between two such questions, after a while without an answer that helps.
const ASK_LONGEST: Duration = Duration::from_secs(16);

/// How long one that is asked or told may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The task; see the [module](self).
pub(super) struct Notary {
    inner: Arc<Inner>,
    signed: LogIndex,
    sign_at: Instant,
    /// The mark whose proof is being asked for, when to ask next, and how often that was done.
    lacking: Option<(LogIndex, Instant, u32)>,
}

impl Notary {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, signed: 0, sign_at: Types::now(), lacking: None }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut marks = self.inner.testimony.changes();
        let mut server = self.inner.raft.server_metrics();
        let mut wait = Duration::ZERO;
        loop {
            let sleep = Runtime::sleep(wait);
            match Runtime::select3(server.changed(), marks.changed(), sleep).await {
                Select3::First(Err(_)) | Select3::Second(Err(_)) => return,
                Select3::First(Ok(())) | Select3::Second(Ok(())) | Select3::Third(()) => {}
            }
            if self.inner.ended().is_some() {
                return;
            }
            wait = self.sign_when_due().min(self.ask_when_due());
        }
    }

    /// Signs if there is something and it is time; how long until it may be.
    fn sign_when_due(&mut self) -> Duration {
        if !self.inner.recollection.is_current() {
            return IDLE;
        }
        let (marks, is_late) = {
            let words = self.inner.testimony.words();
            // Behind the marks: what is applied meanwhile is not flushed yet.
            let flushed = self.inner.db.flushed();
            let is_late = words.last_mark().is_some_and(|mark| mark.at.index > flushed);
            (words.to_sign(self.signed, flushed, GRID), is_late)
        };
        let otherwise = if is_late { FLUSH } else { IDLE };
        let Some(last) = marks.last() else { return otherwise };
        // Without an elected leader there is nothing to say of it, and the one that comes changes the log.
        let Some(lead) = self.inner.elected().filter(|lead| lead.term >= last.at.term) else {
            return otherwise;
        };
        let now = Types::now();
        if now < self.sign_at {
            return self.sign_at - now;
        }
        self.signed = last.at.index;
        self.sign_at = now + DEBOUNCE;
        let words: Vec<_> = marks.into_iter().map(|mark| self.inner.sign(mark, lead)).collect();
        for to in self.inner.fed_others() {
            let (inner, words) = (Arc::clone(&self.inner), words.clone());
            drop(Runtime::spawn(async move {
                for word in words {
                    inner.attest(to, word).await;
                }
            }));
        }
        otherwise
    }

    /// Asks a voter if the proof of the last mark has not come by itself; how long until it may have to.
    fn ask_when_due(&mut self) -> Duration {
        let inner = &self.inner;
        let others = inner.fed_others();
        let (last, proven) = {
            let electorate = inner.replica.lock().electorate();
            let words = inner.testimony.words();
            let last = words.last_mark().map_or(0, |mark| mark.at.index);
            (last, words.proven(&electorate).map_or(0, |claim| claim.at.index))
        };
        if proven >= last || others.is_empty() || !inner.is_fed() {
            self.lacking = None;
            return IDLE;
        }
        let now = Types::now();
        let (_, at, asked) = match self.lacking {
            Some(lacking) if lacking.0 == last => lacking,
            _ => *self.lacking.insert((last, now + ASK_AFTER, 0)),
        };
        if now < at {
            return at - now;
        }
        let pause = (ASK_AFTER * (1 << asked.min(5))).min(ASK_LONGEST);
        self.lacking = Some((last, now + pause, asked.saturating_add(1)));
        let voters: Vec<_> =
            inner.known_voters().into_iter().filter(|id| *id != inner.me).collect();
        if let Some(voter) = voters.get(asked as usize % voters.len().max(1)).copied() {
            let inner = Arc::clone(inner);
            drop(Runtime::spawn(async move { inner.ask_words(voter, last).await }));
        }
        pause
    }
}

impl Inner {
    /// Whom this host takes for elected.
    pub(super) fn elected(&self) -> Option<Lead> {
        let vote = self.raft.server_metrics().borrow_watched().vote;
        let (term, leader) = (vote.leader_id.term, MemberId(vote.leader_id.voted_for));
        vote.committed.then_some(Lead { term, leader })
    }

    /// Everyone else that takes part in agreement.
    pub(super) fn fed_others(&self) -> Vec<MemberId> {
        let membership = self.membership();
        let all = membership.voters.union(&membership.learners);
        all.copied().filter(|member| *member != self.me).collect()
    }

    /// Whether the leader feeds this host, as far as its own log knows.
    pub(super) fn is_fed(&self) -> bool {
        let membership = self.membership();
        membership.voters.contains(&self.me) || membership.learners.contains(&self.me)
    }

    /// This host's word on `mark`.
    fn sign(&self, mark: Mark, lead: Lead) -> Signed<Checkpoint> {
        let mesh = self.view().mesh();
        let signed = Signed::seal(&Checkpoint::of(mesh, self.me, mark, lead), &self.key);
        self.recollection.note_signed(mark.at.index);
        self.take_word(&signed, self.me, &self.key.public());
        signed
    }

    /// Tells `to` what this host signed, and takes what it knows of that index.
    async fn attest(&self, to: MemberId, word: Signed<Checkpoint>) {
        let Ok(index) = word.peek().map(|word| word.at.index) else { return };
        let request = Request::Attest { index, word: Some(word) };
        self.exchange_words(to, request).await;
    }

    /// Asks `to` what is known of `index`, and of this host; whether it answered.
    pub(super) async fn ask_words(&self, to: MemberId, index: LogIndex) -> bool {
        self.exchange_words(to, Request::Attest { index, word: None }).await
    }

    async fn exchange_words(&self, to: MemberId, request: Request) -> bool {
        let answer = self.peers.ask(to, request, ANSWER_LIMIT).await;
        let Ok(Reply::Attested(words)) = answer else { return false };
        self.take_words(&words);
        true
    }

    /// A member tells what it signed, or asks what is known of `index`. What it signed last is always in the answer.
    pub(super) fn answer_attest(
        &self,
        from: MemberId,
        index: LogIndex,
        word: Option<Signed<Checkpoint>>,
    ) -> Result<Reply, RpcError> {
        let mut is_taken = true;
        if let Some(word) = word {
            let named = word.peek()?.member;
            if named != from {
                return Err(RpcError::NotEntitled { from, claimed: named });
            }
            is_taken = self.take_words(&[word]);
        }
        let words = self.testimony.words();
        // What it signed last itself is what it asks for when it has just started, also if it does not know that it has no vote.
        let own = words.last_of(from).cloned();
        if !is_taken && own.is_none() {
            return Err(RpcError::WordNotTaken(from));
        }
        let known = own.into_iter().chain(words.at(index)).take(MAX_CHECKPOINTS).collect();
        Ok(Reply::Attested(known))
    }

    /// Takes the words of members. `false` if one was not its member's own, or of one that does not vote where it speaks of.
    pub(super) fn take_words(&self, words: &[Signed<Checkpoint>]) -> bool {
        let view = self.view();
        let mut genuine = true;
        for signed in words {
            self.recollect(signed);
            let signer = match signed.peek() {
                Ok(word) => view.members.get(&word.member).ok_or(Refused::CheckpointUnknownMember),
                Err(unread) => Err(Refused::of_unread_word(&unread)),
            };
            match signer {
                Ok(member) => genuine &= self.take_word(signed, member.id, &member.identity),
                Err(reason) => {
                    self.refusals.count(reason);
                    genuine = false;
                }
            }
        }
        genuine
    }

    /// Takes `member`'s word; `false` if it is not its own.
    fn take_word(&self, signed: &Signed<Checkpoint>, member: MemberId, key: &IdentityKey) -> bool {
        let (taken, two_faced) = {
            let mut words = self.testimony.words();
            (words.take(signed, member, key), words.two_faced())
        };
        self.testimony.report();
        self.report_two_faced(two_faced);
        match taken {
            Ok(news) => {
                if news {
                    self.testimony.tell();
                }
                true
            }
            Err(error) => {
                tracing::warn!(%member, %error, "a checkpoint was not taken");
                self.refusals.count(Refused::of_word(&error));
                false
            }
        }
    }
}
