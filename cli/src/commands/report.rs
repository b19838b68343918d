//! `mesh report`, `mesh reports`: what this host says against others, and what others say to it.

use mesh_model::api::v1::{
    OwnReport, ReportCase, ReportReply, ReportRequest, ReportTally, Reports, route,
};

use super::Session;
use crate::args::ReportArgs;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{list, or_nothing, safe, unit, who};

pub(super) fn report(args: ReportArgs, session: &Session) -> Result<Exit, Failure> {
    let request =
        ReportRequest { member: args.member, kind: args.kind.into(), reason: args.reason };
    let answer = session.client()?.post(route::REPORTS, &request, AGREEMENT_PATIENCE)?;
    session.show(&answer, |reply: &ReportReply, _| {
        let (subject, ends) = (who(Some(&reply.name), reply.member), unit::until(reply.expires_ms));
        let known = match (reply.told, reply.tally) {
            (Some(told), Some(ReportTally { have, needed, lineages })) => {
                format!("{told} has heard {have} lineages of the {needed} that are needed; {lineages} could report it")
            }
            _ => "no supervisor was reached; the next one is told".to_owned(),
        };
        format!("reported {subject}: {}; that ends {ends}\n{known}\n", reply.kind)
    })
}

pub(super) fn reports(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::REPORTS)?;
    session.show(&answer, page)
}

fn page(reports: &Reports, theme: Theme) -> String {
    let own = match reports.own.is_empty() {
        true => "this host reports nobody\n".to_owned(),
        false => format!("this host reports\n{}", own(&reports.own, theme)),
    };
    match &reports.cases {
        None => own,
        Some(cases) if cases.is_empty() => format!("{own}nobody was reported to it\n"),
        Some(cases) => format!("{own}\nreported to it, the supervisor\n{}", told(cases, theme)),
    }
}

fn own(reports: &[OwnReport], theme: Theme) -> String {
    let headings = ["MEMBER", "ID", "FOR", ">ENDS", "TOLD", "LINEAGES", "REASON"];
    let mut table = Table::new(theme, &headings);
    for report in reports {
        let heard = report.refused.clone().map(|why| format!("not counted: {why}"));
        table.row([
            report.name.as_str().into(),
            report.member.to_string().into(),
            report.kind.to_string().into(),
            unit::until(report.expires_ms).into(),
            or_nothing(report.told).into(),
            or_nothing(heard.map(|why| safe(&why)).or(report.tally.map(tally))).into(),
            or_nothing(report.reason.as_ref().map(|why| safe(&why.to_string()))).into(),
        ]);
    }
    table.lines("  ")
}

fn told(cases: &[ReportCase], theme: Theme) -> String {
    let mut table = Table::new(theme, &["MEMBER", "ID", "FOR", "LINEAGES", "REPORTED BY"]);
    for case in cases {
        table.row([
            case.name.as_str().into(),
            case.member.to_string().into(),
            list(&case.kinds).into(),
            tally(case.tally).into(),
            list(&case.reporters).into(),
        ]);
    }
    table.lines("  ")
}

fn tally(ReportTally { have, needed, lineages }: ReportTally) -> String {
    format!("{have} of {needed}, {lineages} in all")
}
