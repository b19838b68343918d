//! Reports find their way to the leader, which proposes to exclude whom enough lineages report.
//!
//! ```text
//! this host ──Report(signed)──> leader        when it is made, when another leads, and every RETELL until it expires
//!           <──Reported(tally)──
//! leader: Docket ── a quorum ──> Exclude ──> log
//! ```
//!
//! What there is to tell and to propose is in the [`hearing`](super::hearing). The tribunal runs on every member. Where
//! another leads it tells that one what this host reports; where this host leads it proposes. It decides nothing: whether
//! reports are enough is the state's to say, on every member. A leader that is reported itself gives up the lead first, as
//! before any ruling about it. One that hears reports and sits on them cannot be told from here; the next leader hears
//! them too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_model::{MemberId, Term};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Inner, leadership};
use super::propose::{Applied, Tried};
use super::runtime::Runtime;
use super::status::Role;
use super::types::{Instant, Types};
use crate::command::{Command, Outcome, Proposal};
use crate::reports::Complaint;

/// How often the leader is told again what it was told: it may have lost the docket with its lead and had it back since.
const RETELL: Duration = Duration::from_secs(30);

/// The pause after a try that came to nothing: an election is over by then.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// As good as never: what a tribunal without a case sleeps, a day at a time.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

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
        let mut news = self.inner.hearing.news();
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
