//! `mesh audit`: who decided what.
//!
//! The daemon answers with the whole of what is kept, which is bounded; what was asked for is picked out here. The whole
//! is passed on as it came, hashes and all. A part gets a document of its own, so that nobody takes it for something
//! that can be checked.

mod verify;

use mesh_model::api::v1::{Audit, AuditContent, Schema, route};
use mesh_model::audit::{Actor, Event};
use mesh_model::{MemberId, MeshId};
use serde::Serialize;
use serde_json::Value;

use super::Session;
use crate::args::{AuditArgs, AuditVerb, Selection, When};
use crate::client::Record;
use crate::exit::{Exit, Failure};
use crate::moment::Moment;
use crate::render::audit::{INVITE_DIGITS, Names, table};
use crate::render::json;

/// A trail, each entry as it came.
type Trail = Audit<Record>;

/// A part of a trail.
#[derive(Debug, Serialize)]
struct Extract<'a> {
    /// The mesh.
    mesh: MeshId,
    /// The entries that were asked for, oldest first, as they came.
    entries: Vec<&'a Value>,
    /// What some of them only refer to.
    contents: Vec<&'a AuditContent>,
}

impl Schema for Extract<'_> {
    const SCHEMA: &'static str = "mesh.audit_extract/v1";
}

pub(super) fn run(args: AuditArgs, session: &Session) -> Result<Exit, Failure> {
    match args.check {
        Some(AuditVerb::Verify(args)) => verify::run(&args, session),
        None => show(&args.selection, session),
    }
}

fn show(selection: &Selection, session: &Session) -> Result<Exit, Failure> {
    let answer = session.client()?.get::<Trail>(route::AUDIT)?;
    if selection.is_everything() {
        return session.show(&answer, |trail, theme| {
            let records: Vec<_> = trail.entries.iter().collect();
            format!("{}{}", table(&records, (&names(trail), &trail.contents), theme), remark(trail))
        });
    }
    let trail = &answer.body;
    let names = names(trail);
    let records = Picker::new(selection, &names).pick(&trail.entries);
    if session.output.is_json() {
        let entries = records.iter().map(|record| &record.raw).collect();
        let is_told = |content: &&AuditContent| {
            records.iter().any(|record| record.index() == Some(content.index))
        };
        let contents = trail.contents.iter().filter(is_told).collect();
        session.output.text(&json::document(Extract { mesh: trail.mesh, entries, contents }))?;
    } else if records.is_empty() {
        session.output.line("no decision that is kept is one of those")?;
    } else {
        let known = (&names, &trail.contents[..]);
        session.output.text(&table(&records, known, session.output.theme))?;
    }
    Ok(Exit::Ok)
}

/// What members were called. The founder's name is in the genesis, the others' in their admissions.
fn names(trail: &Trail) -> Names {
    let founder = trail.genesis.0.peek().ok().map(|genesis| genesis.founder.name);
    let founder = founder.map(|name| (MemberId::FOUNDER, name));
    let admitted = trail.entries.iter().filter_map(|record| match &record.entry.as_ref()?.event {
        Event::Admitted { member, name } => Some((*member, name.clone())),
        _ => None,
    });
    founder.into_iter().chain(admitted).collect()
}

/// What the table does not show.
fn remark(trail: &Trail) -> &'static str {
    match (trail.entries.is_empty(), trail.before_hash == trail.genesis.hash()) {
        (true, _) => "nothing was decided yet\n",
        (false, true) => "",
        (false, false) => "older decisions have made room for these\n",
    }
}

/// Picks what was asked for.
struct Picker<'a> {
    selection: &'a Selection,
    since: Option<Moment>,
    until: Option<Moment>,
    names: &'a Names,
}

impl<'a> Picker<'a> {
    fn new(selection: &'a Selection, names: &'a Names) -> Self {
        let now = Moment::now();
        let moment = |when: Option<When>| when.map(|when| when.seen_from(now));
        Self { selection, since: moment(selection.since), until: moment(selection.until), names }
    }

    fn pick<'r>(&self, records: &'r [Record]) -> Vec<&'r Record> {
        let mut picked: Vec<_> = records.iter().filter(|record| self.wants(record)).collect();
        let surplus = picked.len().saturating_sub(self.selection.limit.unwrap_or(usize::MAX));
        picked.drain(..surplus);
        picked
    }

    fn wants(&self, record: &Record) -> bool {
        let at = record.at_ms().map(|ms| Moment { ms });
        let Selection { by, kind, .. } = self.selection;
        let entry = record.entry.as_ref();
        self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at <= until))
            && (kind.is_empty() || kind.iter().any(|kind| kind == record.kind()))
            && (by.is_empty() || entry.is_some_and(|entry| self.is_by(&entry.by)))
    }

    /// A word may mean several: whoever has that name, had it, or has that id.
    fn is_by(&self, actor: &Actor) -> bool {
        self.selection.by.iter().any(|word| {
            let invite = actor.invite().map(|invite| invite.to_string());
            let is_meant = |member: &MemberId| {
                *word == member.to_string()
                    || self.names.get(member).is_some_and(|name| name.as_str() == word)
            };
            *word == actor.to_string()
                || actor.members().iter().any(is_meant)
                || word.len() >= INVITE_DIGITS && invite.is_some_and(|id| id.starts_with(word))
        })
    }
}
