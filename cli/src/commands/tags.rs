//! `mesh tag`, `mesh tags`: how members are labelled.

use std::collections::BTreeSet;

use mesh_model::api::v1::{TagReply, TagRequest, Tags, Wanted, route};
use mesh_model::trust::Tag;

use super::ban::heard;
use super::{Session, signing};
use crate::args::TagArgs;
use crate::exit::{Exit, Failure};
use crate::render::table::Table;
use crate::render::theme::Theme;
use crate::render::who;

pub(super) fn tags(session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get(route::TAGS)?;
    session.show(&answer, page)
}

pub(super) fn tag(args: TagArgs, session: &Session) -> Result<Exit, Failure> {
    let (add, remove) = (args.add.into_iter().collect(), args.remove.into_iter().collect());
    let (member, statement) = (args.member, args.statement);
    if !statement.signing.is_plain() {
        return signing::carry(Wanted::Tag { member, add, remove }, &statement, session);
    }
    let request = TagRequest { member, add, remove, wait_ms: statement.wait.millis() };
    let answer = session.client()?.post(route::TAGS, &request, statement.wait.patience())?;
    session.show(&answer, |reply: &TagReply, _| {
        let who = who(Some(&reply.name), reply.member);
        let line =
            format!("tagged {who}: {}; agreed at index {}\n", words(&reply.tags), reply.index);
        line + &heard(reply.applied_by.as_ref())
    })
}

fn page(tags: &Tags, theme: Theme) -> String {
    let mut table = Table::new(theme, &["NAME", "ID", "TAGS"]);
    for member in &tags.members {
        table.row([
            member.name.to_string().into(),
            member.member.to_string().into(),
            words(&member.tags).into(),
        ]);
    }
    table.lines("")
}

fn words(tags: &BTreeSet<Tag>) -> String {
    if tags.is_empty() {
        return "-".to_owned();
    }
    tags.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ")
}
