//! Reports find their way to the leader, which proposes to exclude whom enough lineages report.
//!
//! ```text
//! this host ──Report(signed)──> leader        when it is made, when another leads, and every RETELL until it expires
//!           <──Reported(tally)──
//! leader: Docket ── a quorum ──> Exclude ──> log
//! ```
//!
//! A report is a person's, but for one kind: a voter that signed two things of one index is reported by whoever holds both words.
//!
//! The tribunal runs on every member. Where another leads it tells that one what this host reports; where this host leads
//! it proposes. It decides nothing: whether reports are enough is the state's to say, on every member. A leader that is
//! reported itself gives up the lead first, as before any ruling about it. One that hears reports and sits on them cannot
//! be told from here; the next leader hears them too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::trust::{Misconduct, Reason, Report};
use mesh_model::{MemberId, Signed, Term};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner, leadership};
use super::propose::{Applied, Tried};
use super::rpc::{Reply, Request, RpcError};
use super::runtime::Runtime;
use super::status::Role;
use super::types::{Instant, Types};
use super::watch as ordered;
use crate::command::{Command, Outcome, Proposal, Refusal};
use crate::reports::{Case, Complaint, Complaints, Docket, NotTaken, Tally, TooManyComplaints};

/// How often the leader is told again what it was told: it may have lost the docket with its lead and had it back since.
const RETELL: Duration = Duration::from_secs(30);

/// The pause after a try that came to nothing: an election is over by then.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long the leader may take for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What a host says of one that signed two things of one index.
const TWO_FACED: &str = "signed two different states of one index";

/// As good as never: what a tribunal without a case sleeps, a day at a time.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// What was reported, by this host and to it.
pub(super) struct Hearing {
    complaints: Mutex<Complaints>,
    docket: Mutex<Docket>,
    news: ordered::Sender<u64>,
}

impl Default for Hearing {
    fn default() -> Self {
        let (complaints, docket) = (Mutex::default(), Mutex::default());
        Self { complaints, docket, news: ordered::channel(0).0 }
    }
}

impl Hearing {
    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news.send_if_modified(|count| {
            *count += 1;
            true
        });
    }
}

/// Why this host cannot report a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The report would not count.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This host reports as many as it may.
    #[error(transparent)]
    TooMany(#[from] TooManyComplaints),
    /// Agreement on this host has ended.
    #[error("agreement on this host has ended")]
    Stopped,
}

impl Group {
    /// Reports `subject`. The report stands until it expires and is told to whoever leads; what the one that leads now
    /// made of it is in the answer, if it could be asked.
    pub async fn report(
        &self,
        subject: MemberId,
        misconduct: Misconduct,
        reason: Option<Reason>,
    ) -> Result<Complaint, ReportError> {
        let inner = &*self.inner();
        let complaint = inner.complain(subject, misconduct, reason)?;
        let telling = Box::pin(inner.unless_ended(inner.tell_leader(&complaint.signed)));
        let answer = telling.await.ok_or(ReportError::Stopped)?;
        inner.hearing.tell();
        Ok(Complaint { answer, ..complaint })
    }

    /// What this host reports.
    pub fn complaints(&self) -> Vec<Complaint> {
        let inner = self.inner();
        inner.tidy_complaints();
        inner.hearing.complaints().iter().cloned().collect()
    }

    /// What was reported to this host; `None` where it does not lead.
    pub fn cases(&self) -> Option<Vec<Case>> {
        let inner = self.inner();
        let leads = inner.confirmed_leadership().leader == Some(inner.me);
        leads.then(|| {
            let replica = inner.replica.lock();
            let mut docket = inner.hearing.docket();
            docket.tidy(&replica.state, inner.wall.wall_ms());
            docket.cases(&replica.state)
        })
    }
}

impl Inner {
    /// Signs and files a report of this host, if it would count.
    fn complain(
        &self,
        subject: MemberId,
        misconduct: Misconduct,
        reason: Option<Reason>,
    ) -> Result<Complaint, ReportError> {
        if self.ended().is_some() {
            return Err(ReportError::Stopped);
        }
        let made_ms = self.wall.wall_ms();
        let replica = self.replica.lock();
        let state = &replica.state;
        let about = state.members().present().get(&subject);
        let identity = about.ok_or(Refusal::UnknownMember(subject))?.record().identity;
        let mesh = state.founding().root.mesh;
        let reporter = self.me;
        let report = Report { mesh, reporter, subject, identity, misconduct, reason, made_ms };
        let signed = Signed::seal(&report, &self.key);
        state.check_excludable(subject, made_ms).map_err(Refusal::from)?;
        state.genuine_report(&signed, made_ms)?;
        let mut complaints = self.hearing.complaints();
        complaints.tidy(state, made_ms);
        complaints.file(signed.clone(), report.clone())?;
        Ok(Complaint { signed, report, answer: None })
    }

    /// Reports `members`, each of which signed two things of one index: no opinion, but seen here.
    pub(super) fn report_two_faced(&self, members: BTreeSet<MemberId>) {
        for member in members.into_iter().filter(|member| *member != self.me) {
            tracing::error!(%member, "a voter signed two different states of one index: it is broken, runs twice or cheats");
            if self.hearing.complaints().is_about(member) {
                continue;
            }
            match self.complain(member, Misconduct::Diverges, TWO_FACED.parse().ok()) {
                Ok(_) => self.hearing.tell(),
                Err(error) => tracing::warn!(%member, %error, "it is not reported"),
            }
        }
    }

    fn tidy_complaints(&self) {
        let replica = self.replica.lock();
        self.hearing.complaints().tidy(&replica.state, self.wall.wall_ms());
    }

    /// Tells whoever leads what this host reports in `signed`; who that was and what it made of it.
    async fn tell_leader(
        &self,
        signed: &Signed<Report>,
    ) -> Option<(MemberId, Result<Tally, NotTaken>)> {
        let now = leadership(&self.raft);
        let leader = now.leader?;
        let answer = match now.role {
            Role::Leader => self.hear(signed),
            _ => {
                match self.peers.ask(leader, Request::Report(signed.clone()), ANSWER_LIMIT).await {
                    Ok(Reply::Reported(Some(answer))) => answer,
                    Ok(_) => return None,
                    Err(error) => {
                        tracing::debug!(%leader, %error, "the leader could not be told of a report");
                        return None;
                    }
                }
            }
        };
        let report = signed.peek().ok()?;
        self.hearing.complaints().note(&report, leader, answer.clone());
        Some((leader, answer))
    }

    /// Takes a report as the one that leads.
    fn hear(&self, signed: &Signed<Report>) -> Result<Tally, NotTaken> {
        let replica = self.replica.lock();
        let mut docket = self.hearing.docket();
        let is_news = !docket.holds(signed);
        let taken = docket.take(signed, &replica.state, self.wall.wall_ms());
        if is_news && taken.is_ok() {
            self.hearing.tell();
        }
        taken
    }

    /// A member reports another. Its word and nobody else's: others speak for themselves.
    pub(super) fn answer_report(
        &self,
        from: MemberId,
        signed: &Signed<Report>,
    ) -> Result<Reply, RpcError> {
        let reporter = signed.peek()?.reporter;
        if reporter != from {
            return Err(RpcError::NotEntitled { from, claimed: reporter });
        }
        let leads = leadership(&self.raft).role == Role::Leader;
        Ok(Reply::Reported(leads.then(|| self.hear(signed))))
    }
}

/// The task; see the [module](self).
pub(super) struct Tribunal {
    inner: Arc<Inner>,
    /// Whom this host told of each of its subjects, in which term, and when.
    told: BTreeMap<MemberId, (Term, MemberId, Instant)>,
}

impl Tribunal {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, told: BTreeMap::new() }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut news = self.inner.hearing.news.subscribe();
        let mut server = self.inner.raft.server_metrics();
        let mut wait = Duration::ZERO;
        loop {
            let sleep = Runtime::sleep(wait);
            match Runtime::select3(server.changed(), news.changed(), sleep).await {
                Select3::First(Err(_)) | Select3::Second(Err(_)) => return,
                Select3::First(Ok(())) | Select3::Second(Ok(())) | Select3::Third(()) => {}
            }
            if self.inner.ended().is_some() {
                return;
            }
            let told = self.tell_what_is_due().await;
            wait = told.min(self.propose_what_is_ripe().await);
        }
    }

    /// Tells whoever leads what it was not told yet, or long ago; how long until there may be something to tell.
    async fn tell_what_is_due(&mut self) -> Duration {
        if self.inner.hearing.complaints().is_empty() {
            self.told.clear();
            return IDLE;
        }
        self.inner.tidy_complaints();
        let complaints: Vec<Complaint> = self.inner.hearing.complaints().iter().cloned().collect();
        self.told.retain(|subject, _| complaints.iter().any(|it| it.report.subject == *subject));
        let now = leadership(&self.inner.raft);
        let Some(leader) = now.leader else { return IDLE };
        let is_told = |complaint: &Complaint| {
            complaint.answer.as_ref().is_some_and(|(heard_by, _)| *heard_by == leader)
        };
        for complaint in &complaints {
            let subject = complaint.report.subject;
            let last =
                self.told.get(&subject).filter(|told| is_told(complaint) && told.0 == now.term);
            if last.is_some_and(|(_, to, at)| *to == leader && Types::now() < *at + RETELL) {
                continue;
            }
            match Box::pin(self.inner.tell_leader(&complaint.signed)).await {
                Some((leader, _)) => self.told.insert(subject, (now.term, leader, Types::now())),
                None => return TRY_AGAIN,
            };
        }
        RETELL
    }

    /// Proposes what this leader has enough reports for; how long until there may be something to propose.
    async fn propose_what_is_ripe(&self) -> Duration {
        let inner = &self.inner;
        if leadership(&inner.raft).role != Role::Leader {
            inner.hearing.docket().clear();
            return IDLE;
        }
        let mut is_all_decided = true;
        for command in self.ripe() {
            let proposal = Proposal { at_ms: 0, command };
            let trying = Box::pin(inner.propose_here(proposal));
            match Types::timeout(inner.timing.propose, trying).await {
                Ok(Ok(Tried::Applied(Applied { outcome: Outcome::Excluded(member), .. }))) => {
                    tracing::warn!(%member, "a quorum of lineages reported a member; it is excluded");
                }
                Ok(Ok(Tried::Applied(Applied { outcome, .. }))) => {
                    tracing::info!(?outcome, "a member was not excluded");
                }
                // All of it is for another one to propose.
                Ok(Ok(Tried::NotLeader(_))) => return TRY_AGAIN,
                // Nobody can take over this one's vote, perhaps. The others need not wait for that.
                Ok(Ok(Tried::HeldBack(_)) | Err(_)) | Err(_) => is_all_decided = false,
            }
        }
        match inner.hearing.docket().is_empty() {
            _ if !is_all_decided => TRY_AGAIN,
            true => IDLE,
            false => RETELL,
        }
    }

    /// What there is to propose that would not be refused; what is against this host itself comes last, for the rest would
    /// have to wait until the next leader is told of it.
    fn ripe(&self) -> Vec<Command> {
        let inner = &self.inner;
        let now_ms = inner.wall.wall_ms();
        let replica = inner.replica.lock();
        let mut docket = inner.hearing.docket();
        if docket.is_empty() {
            return Vec::new();
        }
        docket.tidy(&replica.state, now_ms);
        let mut ripe = docket.ripe(&replica.state);
        ripe.retain(|command| {
            let proposal = Proposal { at_ms: now_ms, command: command.clone() };
            replica.state.would_refuse(&proposal).is_none()
        });
        ripe.sort_by_key(
            |command| matches!(command, Command::Exclude { subject, .. } if *subject == inner.me),
        );
        ripe
    }
}
