//! `mesh supervisor`: who leads.

use mesh_model::api::v1::{Supervisor, route};

use super::Session;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{list, who};

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::SUPERVISOR)?;
    session.show(&answer, page)
}

fn page(supervisor: &Supervisor, theme: Theme) -> String {
    let leader = match supervisor.leader {
        None => "none: an election is under way, or no majority of the voters is there".to_owned(),
        Some(leader) => {
            let here = if supervisor.is_self { ", this host" } else { "" };
            format!("{}{here}", who(supervisor.name.as_ref(), leader))
        }
    };
    let mut facts = Table::facts();
    facts.fact(theme, "supervisor", leader);
    facts.fact(theme, "term", supervisor.term.to_string());
    facts.fact(theme, "voters", list(&supervisor.voters));
    facts.lines("")
}
