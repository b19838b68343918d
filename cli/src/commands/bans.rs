//! `mesh bans`: who is banned or excluded, since when, for how long and why.

use mesh_model::api::v1::{Ban, BanKind, Bans, route};

use super::Session;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{list, or_nothing, safe, unit};

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::BANS)?;
    session.show(&answer, page)
}

fn page(bans: &Bans, theme: Theme) -> String {
    if bans.bans.is_empty() {
        return "nobody is banned\n".to_owned();
    }
    let headings = ["MEMBER", "ID", "KIND", ">SINCE", ">ENDS", "REASON"];
    let mut table = Table::new(theme, &headings);
    for ban in &bans.bans {
        let until = ban.until_ms.map_or_else(|| "never".to_owned(), unit::until);
        table.row([
            ban.name.as_str().into(),
            ban.member.to_string().into(),
            kind(ban.kind).into(),
            unit::since(ban.since_ms).into(),
            until.into(),
            why(ban).into(),
        ]);
    }
    table.lines("")
}

fn kind(kind: BanKind) -> &'static str {
    match kind {
        BanKind::Ban => "ban",
        BanKind::Exclusion => "exclusion",
    }
}

/// What the admin said, or what other members say.
fn why(ban: &Ban) -> String {
    match ban.kind {
        BanKind::Ban => or_nothing(ban.reason.as_ref().map(|why| safe(&why.to_string()))),
        BanKind::Exclusion => {
            format!("{}, say {}", list(&ban.misconduct), list(&ban.reporters))
        }
    }
}
