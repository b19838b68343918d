//! What this host reports, and what is reported to it while it leads.
//!
//! A report is a person's, but for one kind: a voter that signed two things of one index is reported by whoever holds both words.
//! It is signed and filed here, and taken here from others; the [`tribunal`](super::tribunal) tells the leader of it and proposes
//! what comes of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::trust::{Misconduct, Reason, Report};
use mesh_model::{MemberId, Signed};
use openraft::async_runtime::watch::WatchSender as _;

use super::group::{Group, Inner, leadership};
use super::rpc::{Reply, Request, RpcError};
use super::status::Role;
use super::watch as ordered;
use crate::command::Refusal;
use crate::reports::{Case, Complaint, Complaints, Docket, NotTaken, Tally, TooManyComplaints};

/// How long the leader may take for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What a host says of one that signed two things of one index.
const TWO_FACED: &str = "signed two different states of one index";

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
    pub(super) fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever there is something new to tell or to propose.
    pub(super) fn news(&self) -> ordered::Receiver<u64> {
        self.news.subscribe()
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

    /// Drops what has expired, or is decided.
    pub(super) fn tidy_complaints(&self) {
        let replica = self.replica.lock();
        self.hearing.complaints().tidy(&replica.state, self.wall.wall_ms());
    }

    /// Tells whoever leads what this host reports in `signed`; who that was and what it made of it.
    pub(super) async fn tell_leader(
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
