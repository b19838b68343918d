//! Answering other members.

use bytes::Bytes;
use mesh_model::MemberId;
use mesh_model::codec::{self, CodecError, Message as _};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest,
};
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner, leadership};
use super::parcel::Parcel;
use super::propose::{FORWARD_LIMIT, ProposeError, Tried};
use super::replica::Replica;
use super::rpc::{AppendReply, PassageReply, ProposeReply, Question, Reply, Request, RpcError};
use super::snapshot::SnapshotError;
use super::types::{Snapshot, Types, Vote};
use crate::command::{Command, Proposal};
use crate::refusals::Refused;

impl Group {
    /// Answers `request` of member `from`; the link vouches that it is from `from`.
    ///
    /// Refuses whoever is neither a present member nor part of the agreement group, and whoever speaks for
    /// another or like a voter without being one; each refusal is [counted](Self::refusals). Never panics on what it is sent. Once agreement on this host has
    /// ended it answers nobody, not even what it could still say from memory: it knows of no change since.
    pub async fn handle_rpc(&self, from: MemberId, request: &[u8]) -> Result<Bytes, RpcError> {
        let inner = self.inner();
        let answered = Box::pin(inner.hear_out(from, request)).await;
        if let Err(refused) = &answered {
            inner.count_refused(refused);
        }
        answered
    }

    /// Whether `from` may ask something as long as the agreed state. It has to be held in memory before it can be looked at, and
    /// only who leads has reason to send it: others are refused, and counted, unless they vote.
    pub async fn may_ask_much(&self, from: MemberId) -> bool {
        let inner = self.inner();
        if leadership(&inner.raft).leader == Some(from) {
            return true;
        }
        let checked = inner.speakers.check(from, &inner.known_voters(), &inner.peers).await;
        if let Err(refused) = &checked {
            inner.count_refused(refused);
        }
        checked.is_ok()
    }
}

/// Agreement on this host has stopped; openraft says so in several types.
fn stopped<E>(_: E) -> RpcError {
    RpcError::Stopped
}

impl Inner {
    async fn hear_out(&self, from: MemberId, request: &[u8]) -> Result<Bytes, RpcError> {
        if self.ended().is_some() {
            return Err(RpcError::Stopped);
        }
        if !self.is_known(from) {
            return Err(RpcError::NotAMember(from));
        }
        let answered = match codec::decode_up_to(request, self.reads.0) {
            Ok(Question { epoch, request })
                if epoch != self.epoch && !request.is_of_any_epoch() =>
            {
                self.lookout.note(from, epoch, self.epoch);
                self.refusals.count(Refused::AgreementOtherEpoch);
                Ok(Reply::OtherEpoch(self.epoch))
            }
            Ok(Question { request, .. }) => Box::pin(self.answer(from, request)).await,
            Err(unread) => Err(unread.into()),
        };
        if let Err(RpcError::Malformed(unread) | RpcError::Snapshot(SnapshotError::Codec(unread))) =
            &answered
        {
            self.note_unread(from, unread);
        }
        let answer = answered?;
        let (is_parcel, answer) = (answer.holds_the_state(), answer.encode());
        Ok(if is_parcel { Parcel::wrap(from, answer, &self.desk) } else { answer })
    }

    async fn answer(&self, from: MemberId, request: Request) -> Result<Reply, RpcError> {
        self.outdated.check(&request)?;
        match request {
            Request::Append(append) => self.answer_append(from, append.try_into()?).await,
            Request::Vote(candidacy) => {
                let candidacy: VoteRequest<Types> = candidacy.into();
                self.check_candidate(from, &candidacy.vote).await?;
                self.recollection.check()?;
                let answer = self.raft.vote(candidacy).await.map_err(stopped)?;
                Ok(Reply::Vote(answer.into()))
            }
            Request::PreVote(candidacy) => {
                let candidacy: VoteRequest<Types> = candidacy.into();
                self.check_candidate(from, &candidacy.vote).await?;
                self.recollection.check()?;
                let answer = self.raft.pre_vote(candidacy).await.map_err(stopped)?;
                Ok(Reply::Vote(answer.into()))
            }
            Request::TransferLeader(transfer) => {
                let transfer: TransferLeaderRequest<Types> = transfer.into();
                self.check_speaker(from, transfer.from_leader()).await?;
                self.recollection.check()?;
                let (term, to) = (transfer.from_leader().leader_id.term, *transfer.to_node_id());
                self.history().announce(term, from, MemberId(to));
                let answer = self.raft.handle_transfer_leader(transfer).await.map_err(stopped)?;
                Ok(Reply::TransferLeader(answer.into()))
            }
            Request::Snapshot { vote, snapshot } => {
                self.answer_snapshot(from, vote.into(), snapshot).await
            }
            Request::Propose(proposal) => {
                self.check_proposer(from, &proposal)?;
                let answer = self.answer_proposal(proposal).await?;
                // Whoever is told waits until its own host has applied it.
                self.peers.notices.hurry(from);
                Ok(Reply::Propose(answer))
            }
            Request::IsVoter(member) => Ok(Reply::IsVoter(self.known_voters().contains(&member))),
            Request::HandOver(to) => {
                self.check_present(from)?;
                Ok(Reply::HandOver(Box::pin(self.hand_over_to(to, Some(from))).await))
            }
            Request::ReadIndex => {
                self.check_present(from)?;
                // The heartbeats that confirm it have told what is agreed.
                Ok(Reply::ReadIndex(self.confirmed_index().await.map_err(stopped)?))
            }
            Request::Pull(pull) => Ok(Reply::Pulled(self.answer_pull(from, pull).await?)),
            Request::Attest { index, word } => self.answer_attest(from, index, word),
            Request::Passage => self.answer_passage(from),
            Request::Report(report) => {
                self.check_present(from)?;
                self.answer_report(from, &report)
            }
        }
    }

    async fn answer_append(
        &self,
        from: MemberId,
        append: AppendEntriesRequest<Types>,
    ) -> Result<Reply, RpcError> {
        if let Some(later) = self.overruled(from, &append.vote) {
            self.refusals.count(Refused::AgreementTermOver);
            return Ok(Reply::Append(AppendReply::HigherVote(later.into())));
        }
        self.check_leader(from, &append.vote).await?;
        self.check_append(&append)?;
        // An answer may wait for the disk; what counts is when the leader spoke.
        let spoke = Types::now();
        let answer = self.raft.append_entries(append).await.map_err(stopped)?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.note_read();
            self.contact.heard(from, spoke, &self.timing);
        }
        Ok(Reply::Append(answer.into()))
    }

    async fn answer_snapshot(
        &self,
        from: MemberId,
        vote: Vote,
        snapshot: Vec<u8>,
    ) -> Result<Reply, RpcError> {
        self.check_leader(from, &vote).await?;
        let snapshot = self.check_snapshot(&vote, snapshot)?;
        let spoke = Types::now();
        let answer = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        if answer.vote == vote {
            self.note_read();
            self.contact.heard(from, spoke, &self.timing);
        }
        Ok(Reply::Snapshot { vote: answer.vote.into() })
    }

    /// Shows `from` the way by which this host came into its epoch.
    fn answer_passage(&self, from: MemberId) -> Result<Reply, RpcError> {
        let free = || self.desk().take_snapshot(from, self.moment());
        let passage = self.db.passage().map_err(stopped)?.filter(|_| free());
        let voted = self.replica.lock().state.has_voted(from);
        Ok(Reply::Passage(passage.map(|passage| PassageReply { passage, voted })))
    }

    /// A present member, or one that left and has not heard of it yet. Never one that is banned.
    fn is_known(&self, from: MemberId) -> bool {
        let (membership, view) = (self.membership(), self.view());
        from != self.me
            && !view.banned.contains_key(&from)
            && (view.members.contains_key(&from)
                || membership.voters.contains(&from)
                || membership.learners.contains(&from))
    }

    /// One that has left has no say any more, though the group may still listen to it.
    fn check_present(&self, from: MemberId) -> Result<(), RpcError> {
        match self.view().members.contains_key(&from) {
            true => Ok(()),
            false => Err(RpcError::NotAMember(from)),
        }
    }

    /// Whom this host follows, when `vote` is `from`'s own and won it an earlier term. Whether `from` votes makes no difference
    /// then: it changes nothing here, and hears what it has to.
    fn overruled(&self, from: MemberId, vote: &Vote) -> Option<Vote> {
        let followed = self.raft.server_metrics().borrow_watched().vote;
        let (term, later) = (vote.leader_id.term, followed.leader_id.term);
        let was_elected = vote.committed && vote.leader_id.voted_for == from.0;
        let is_over = followed.committed && term < later && self.epoch.has_term(term);
        (was_elected && is_over).then_some(followed)
    }

    /// Members report, and the leader alone makes an exclusion of it. Each report that somebody else put into one would
    /// have to be checked here, as often as it asks; what is reported to the leader has its pace.
    fn check_proposer(&self, from: MemberId, proposal: &Proposal) -> Result<(), RpcError> {
        match proposal.command {
            Command::Exclude { .. } => Err(RpcError::NotTheLeader(from)),
            _ => Ok(()),
        }
    }

    /// Who appends must have won its election.
    async fn check_leader(&self, from: MemberId, vote: &Vote) -> Result<(), RpcError> {
        if !vote.committed {
            return Err(RpcError::OutOfTurn(from));
        }
        self.check_speaker(from, vote).await
    }

    /// Who campaigns must not have.
    async fn check_candidate(&self, from: MemberId, vote: &Vote) -> Result<(), RpcError> {
        if vote.committed {
            return Err(RpcError::OutOfTurn(from));
        }
        self.check_speaker(from, vote).await
    }

    /// `vote` must be `from`'s own, and `from` a voter.
    async fn check_speaker(&self, from: MemberId, vote: &Vote) -> Result<(), RpcError> {
        let claimed = MemberId(vote.leader_id.voted_for);
        if claimed != from {
            return Err(RpcError::NotEntitled { from, claimed });
        }
        // A leader that gave up its vote leads to the end of its term; it was elected rightly.
        let followed = self.raft.server_metrics().borrow_watched().vote;
        if followed.committed && followed == *vote {
            return Ok(());
        }
        let ours = followed.leader_id.term.max(self.epoch.first_term());
        let term = vote.leader_id.term;
        if !self.epoch.has_term(term) {
            return Err(RpcError::TermOutOfReach { from, term, ours });
        }
        self.speakers.check(from, &self.known_voters(), &self.peers).await?;
        match self.peers.leaps.allow(term, (ours, Types::now())) {
            true => Ok(()),
            false => Err(RpcError::TermOutOfReach { from, term, ours }),
        }
    }

    /// Whoever leads has what is agreed here, and what follows it is of no earlier term. openraft takes that for granted: it would say of
    /// another entry in such a place that this host holds the same. One whose term is over is told so instead.
    fn check_append(&self, append: &AppendEntriesRequest<Types>) -> Result<(), RpcError> {
        let (server, data) = (self.raft.server_metrics(), self.raft.data_metrics());
        let leads = append.vote >= server.borrow_watched().vote;
        let Some(agreed) = data.borrow_watched().local_committed.filter(|_| leads) else {
            return Ok(());
        };
        let mut ids = append.prev_log_id.iter().chain(append.entries.iter().map(|at| &at.log_id));
        match ids.all(|id| id.index.cmp(&agreed.index) == id.cmp(&agreed)) {
            true => Ok(()),
            false => Err(RpcError::Malformed(CodecError::Malformed {
                name: Question::NAME,
                reason: format!("entries that cannot stand beside {agreed}, which is agreed"),
            })),
        }
    }

    /// Checked here, where a bad one is the sender's fault. openraft would take a failed installation for
    /// a failed disk, and panics over a snapshot no correct leader can have.
    pub(super) fn check_snapshot(
        &self,
        vote: &Vote,
        snapshot: Vec<u8>,
    ) -> Result<Snapshot, RpcError> {
        let root = self.view().root;
        let opened = Replica::open(&snapshot, &root)?.read_up_to(self.reads)?;
        let meta = opened.meta();
        let last = meta.last_log_id.ok_or(RpcError::Contradiction)?;
        if last.leader_id.term > vote.leader_id.term || opened.state.last_index() > last.index {
            return Err(RpcError::Contradiction);
        }
        let metrics = self.raft.data_metrics();
        let committed = metrics.borrow_watched().local_committed;
        if committed.is_some_and(|committed| last > committed && last.index <= committed.index) {
            return Err(RpcError::Contradiction);
        }
        let own = self.replica.lock();
        if last.index >= own.index() && !opened.state.continues(&own.state) {
            return Err(RpcError::Contradiction);
        }
        Ok(Snapshot { meta, snapshot })
    }

    async fn answer_proposal(&self, proposal: Proposal) -> Result<ProposeReply, RpcError> {
        let trying = Box::pin(self.propose_here(proposal));
        match Types::timeout(FORWARD_LIMIT, trying).await {
            Ok(Ok(Tried::Applied(applied))) => {
                Ok(ProposeReply::Applied { index: applied.index, outcome: applied.outcome })
            }
            Ok(Ok(Tried::NotLeader(leader))) => Ok(ProposeReply::NotLeader(leader)),
            Ok(Ok(Tried::HeldBack(held))) => Ok(ProposeReply::HeldBack(held)),
            Ok(Err(ProposeError::Stopped)) => Err(RpcError::Stopped),
            Ok(Err(ProposeError::Diverged(index))) => Ok(ProposeReply::Diverged(index)),
            Ok(Err(ProposeError::NoSuccessor(member))) => Ok(ProposeReply::NoSuccessor(member)),
            Ok(Err(_)) | Err(_) => Ok(ProposeReply::Undecided),
        }
    }
}

#[cfg(test)]
mod tests;
