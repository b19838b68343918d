//! `mesh bans`: who is banned, since when, for how long and why.

use mesh_model::api::v1::{Bans, route};

use super::Session;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::{safe, unit};

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::BANS)?;
    session.show(&answer, page)
}

fn page(bans: &Bans, theme: Theme) -> String {
    if bans.bans.is_empty() {
        return "nobody is banned\n".to_owned();
    }
    let mut table = Table::new(theme, &["MEMBER", "ID", ">BANNED", ">ENDS", "REASON"]);
    for ban in &bans.bans {
        let until = ban.until_ms.map_or_else(|| "never".to_owned(), unit::until);
        table.row([
            ban.name.as_str().into(),
            ban.member.to_string().into(),
            unit::since(ban.since_ms).into(),
            until.into(),
            ban.reason.as_ref().map_or_else(|| "-".to_owned(), |why| safe(&why.to_string())).into(),
        ]);
    }
    table.lines("")
}
