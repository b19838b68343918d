//! `mesh tag`, `mesh tags`: how members are labelled.

use std::collections::BTreeSet;

use mesh_model::api::v1::{TagReply, TagRequest, Tags, route};
use mesh_model::trust::Tag;

use super::Session;
use super::ban::heard;
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
    let request = TagRequest {
        member: args.member,
        add: args.add.into_iter().collect(),
        remove: args.remove.into_iter().collect(),
        wait_ms: args.wait.millis(),
    };
    let answer = session.client()?.post(route::TAGS, &request, args.wait.patience())?;
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
