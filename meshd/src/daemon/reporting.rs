//! `mesh report`, `mesh reports`: what this host says against others, and what others said to it.

use mesh_control::command::{ExclusionRefusal, Refusal};
use mesh_control::raft::ReportError;
use mesh_control::reports::{Case, Complaint, NotTaken, Tally};
use mesh_model::MemberId;
use mesh_model::api::v1::{
    ErrorBody, ErrorCode, OwnReport, ReportCase, ReportReply, ReportRequest, ReportTally, Reports,
};
use mesh_model::trust::Name;
use mesh_model::view::ClusterView;

use super::refusal::{Answer, paused, refusal};
use super::target::resolve_any;
use super::{Daemon, Mesh};

/// What could not be done, in an error.
const REPORTING: &str = "reporting a member";

impl Daemon {
    /// Reports a member.
    pub(crate) async fn report(&self, request: ReportRequest) -> Answer<ReportReply> {
        let mesh = self.mesh()?;
        if let Some(why) = mesh.without_agreement(REPORTING) {
            return Err(why);
        }
        let member = resolve_any(&mesh.view(), &request.member)?.clone();
        let reporting = mesh.group.report(member.id, request.kind, request.reason);
        let reported = self.unless_stopping(reporting).await?;
        let Complaint { report, answer, .. } = reported.map_err(|error| not_reported(&error))?;
        let (told, tally) = match answer {
            None => (None, None),
            Some((told, Ok(counted))) => (Some(told), Some(tally(counted))),
            Some((told, Err(error))) => return Err(not_counted(told, &error)),
        };
        let (member, name, kind) = (member.id, member.name, report.misconduct);
        Ok(ReportReply { member, name, kind, expires_ms: report.expires_ms(), told, tally })
    }

    /// The reports that are pending here.
    pub(crate) async fn reports(&self) -> Answer<Reports> {
        Ok(self.mesh()?.pending_reports())
    }
}

impl Mesh {
    fn pending_reports(&self) -> Reports {
        let view = self.view();
        let own = self.group.complaints().into_iter().filter_map(|it| own_report(it, &view));
        let case = |case: Case| {
            Some(ReportCase {
                member: case.subject,
                name: name(case.subject, &view)?,
                reporters: case.reporters.into_iter().collect(),
                kinds: case.misconduct.into_iter().collect(),
                tally: tally(case.tally),
            })
        };
        let cases = self.group.cases().map(|cases| cases.into_iter().filter_map(case).collect());
        Reports { own: own.collect(), cases }
    }
}

fn own_report(complaint: Complaint, view: &ClusterView) -> Option<OwnReport> {
    let Complaint { report, answer, .. } = complaint;
    let told = answer.as_ref().map(|(told, _)| *told);
    let (counted, refused) = match answer {
        None => (None, None),
        Some((_, Ok(counted))) => (Some(tally(counted)), None),
        Some((_, Err(error))) => (None, Some(error.to_string())),
    };
    Some(OwnReport {
        member: report.subject,
        name: name(report.subject, view)?,
        kind: report.misconduct,
        expires_ms: report.expires_ms(),
        reason: report.reason,
        made_ms: report.made_ms,
        told,
        tally: counted,
        refused,
    })
}

/// `None` of one that has left since.
fn name(member: MemberId, view: &ClusterView) -> Option<Name> {
    view.place_of(member).map(|member| member.name.clone())
}

fn tally(Tally { have, needed, lineages }: Tally) -> ReportTally {
    ReportTally { have, needed, lineages }
}

/// Why this host cannot report a member.
fn not_reported(error: &ReportError) -> ErrorBody {
    let hint = match error {
        ReportError::Stopped => return paused(REPORTING),
        ReportError::TooMany(_) => {
            "wait for one to expire: `mesh reports` shows until when they count"
        }
        ReportError::Refused(Refusal::Exclusion(ExclusionRefusal::OfItself(_))) => {
            "to take this host out of the mesh, run `mesh leave`"
        }
        ReportError::Refused(Refusal::Exclusion(ExclusionRefusal::NoReporter(_))) => {
            "this host is banned or excluded itself: `mesh status`"
        }
        ReportError::Refused(_) => {
            "an admin can put it out with `mesh ban`; `mesh bans` shows who is"
        }
    };
    refusal(ErrorCode::Refused, error, hint)
}

/// Why the supervisor does not count a report.
fn not_counted(told: MemberId, error: &NotTaken) -> ErrorBody {
    refusal(
        ErrorCode::Refused,
        format!("the supervisor, {told}, does not count the report: {error}"),
        "it stands here until it expires and is told again; `mesh reports` shows what came of it",
    )
}
