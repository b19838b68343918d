//! `mesh supervisor`: who leads, who led, and who shall.

use std::time::Duration;

use mesh_model::api::v1::{
    Supervisor, SupervisorHistory, TransferReply, TransferRequest, Transition, TransitionCause,
    VoteReason, route,
};

use super::Session;
use crate::args::{SupervisorArgs, SupervisorVerb};
use crate::exit::{Exit, Failure};
use crate::moment::Moment;
use crate::render::status::role;
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{list, term, unit, who};

/// How long the daemon may take: two elections, should the one that is meant fail at that moment.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: SupervisorArgs, session: &Session) -> Result<Exit, Failure> {
    match args.verb {
        None => {
            let answer = session.client()?.get(route::SUPERVISOR)?;
            session.show(&answer, glance)
        }
        Some(SupervisorVerb::Status) => {
            let answer = session.client()?.get(route::SUPERVISOR)?;
            session.show(&answer, page)
        }
        Some(SupervisorVerb::History) => {
            let answer = session.client()?.get(route::SUPERVISOR_HISTORY)?;
            session.show(&answer, history)
        }
        Some(SupervisorVerb::Transfer(args)) => transfer(Some(args.to), session),
        Some(SupervisorVerb::StepDown) => transfer(None, session),
    }
}

fn transfer(to: Option<String>, session: &Session) -> Result<Exit, Failure> {
    let request = TransferRequest { to };
    let answer = session.client()?.post(route::SUPERVISOR_TRANSFER, &request, PATIENCE)?;
    session.show(&answer, |reply: &TransferReply, _| {
        format!("{} leads in term {}\n", who(reply.name.as_ref(), reply.leader), term(reply.term))
    })
}

fn glance(supervisor: &Supervisor, theme: Theme) -> String {
    facts(supervisor, theme).lines("")
}

fn page(supervisor: &Supervisor, theme: Theme) -> String {
    let mut facts = facts(supervisor, theme);
    if let Some(last) = &supervisor.last {
        facts.fact(theme, "this host", role(last.role));
        facts.fact(theme, "since", format!("{}, {}", Moment { ms: last.at_ms }, cause(last)));
    }
    if supervisor.transfers_refused > 0 {
        let refused = format!("{} asked for too soon", supervisor.transfers_refused);
        facts.fact(theme, "refused transfers", refused);
    }
    facts.lines("")
}

fn facts(supervisor: &Supervisor, theme: Theme) -> Table {
    let leader = match supervisor.leader {
        None => "none: an election is under way, or no majority of the voters is there".to_owned(),
        Some(leader) => {
            let here = if supervisor.is_self { ", this host" } else { "" };
            format!("{}{here}", who(supervisor.name.as_ref(), leader))
        }
    };
    let mut facts = Table::facts();
    facts.fact(theme, "supervisor", leader);
    facts.fact(theme, "term", term(supervisor.term));
    facts.fact(theme, "voters", list(&supervisor.voters));
    facts
}

fn history(history: &SupervisorHistory, theme: Theme) -> String {
    let mut table = Table::new(theme, &["WHEN", ">TERM", "SUPERVISOR", "THIS HOST", "CAUSE"]);
    for seen in &history.transitions {
        let leader = seen.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        table.row([
            Moment { ms: seen.at_ms }.to_string().into(),
            term(seen.term).into(),
            leader.into(),
            Cell::from(role(seen.role)),
            cause(seen).into(),
        ]);
    }
    let mut text = table.lines("");
    if history.forgotten > 0 {
        text += &format!("and {} before that\n", history.forgotten);
    }
    text
}

/// Why, in words.
fn cause(seen: &Transition) -> String {
    let of = || seen.of.map_or_else(|| "another".to_owned(), |member| member.to_string());
    match seen.cause {
        TransitionCause::Started => "so when the daemon started".to_owned(),
        TransitionCause::Voted => format!("election: this host votes for {}", of()),
        TransitionCause::Elected => match seen.of {
            Some(before) => format!("elected after {before}"),
            None => "elected".to_owned(),
        },
        TransitionCause::Transferred => format!("{} handed over on request", of()),
        TransitionCause::Retired => format!("{} gave up its vote and handed over", of()),
        TransitionCause::FellSilent => format!("{} fell silent", of()),
        TransitionCause::LostMajority => "lost its majority".to_owned(),
        TransitionCause::Heard => "heard".to_owned(),
        TransitionCause::GotVote => "this host got a vote".to_owned(),
        TransitionCause::LostVote => "this host lost its vote".to_owned(),
        TransitionCause::Stopped => "agreement stopped here".to_owned(),
        TransitionCause::VoteGiven => format!("{} got a vote{}", of(), reason(seen.reason)),
        TransitionCause::VoteTaken => format!("{} lost its vote{}", of(), reason(seen.reason)),
        TransitionCause::Unknown => "a cause this mesh does not know".to_owned(),
    }
}

/// Why a vote was given or taken, in words.
fn reason(reason: Option<VoteReason>) -> String {
    match reason {
        None => String::new(),
        Some(VoteReason::Target { target: 1 }) => ": one shall vote".to_owned(),
        Some(VoteReason::Target { target }) => format!(": {target} shall vote"),
        Some(VoteReason::Wish) => ": an admin wants it so".to_owned(),
        Some(VoteReason::WithoutRight) => ": no right to vote by its invite".to_owned(),
        Some(VoteReason::Gone) => ": it leaves, or is banned".to_owned(),
        Some(VoteReason::Silent { for_s }) => {
            format!(": silent for {}", unit::duration(Duration::from_secs(for_s)))
        }
        Some(VoteReason::InPlaceOf { member }) => format!(" in place of {member}"),
        Some(VoteReason::MadeRoomFor { member }) => format!(": an admin wants {member} to vote"),
        Some(VoteReason::Spread) => ": its region had more votes than another".to_owned(),
        Some(VoteReason::Even) => ": an even number survives no more failures".to_owned(),
        Some(VoteReason::Decided { by: Some(by) }) => format!(": decided by {by}"),
        Some(VoteReason::Decided { by: None }) => ": decided elsewhere".to_owned(),
        Some(VoteReason::Unknown) => ": for a reason this mesh does not know".to_owned(),
    }
}
