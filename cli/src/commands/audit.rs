//! `mesh audit`: who decided what.
//!
//! The daemon answers with the whole of what is kept, which is bounded; what was asked for is picked out here. The whole
//! is passed on as it came, hashes and all. A part gets a document of its own, so that nobody takes it for something
//! that can be checked.

mod verify;
mod whom;

use mesh_model::api::v1::{Audit, AuditContent, Schema, route};
use mesh_model::audit::Event;
use mesh_model::{MemberId, MeshId};
use serde::Serialize;
use serde_json::Value;

use self::whom::Whom;
use super::Session;
use crate::args::{AuditArgs, AuditVerb, Selection, When};
use crate::client::Record;
use crate::exit::{Exit, Failure};
use crate::moment::Moment;
use crate::render::audit::{Names, table};

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
    let records = Picker::new(selection, trail, &names)?.pick(&trail.entries);
    let is_told = |content: &&AuditContent| {
        records.iter().any(|record| record.index() == Some(content.index))
    };
    let extract = Extract {
        mesh: trail.mesh,
        entries: records.iter().map(|record| &record.raw).collect(),
        contents: trail.contents.iter().filter(is_told).collect(),
    };
    session.show_made(extract, answer.as_of, |_, theme| match records.is_empty() {
        true => "no decision that is kept is one of those\n".to_owned(),
        false => table(&records, (&names, &trail.contents), theme),
    })
}

/// What members are and were called. The founder's name is in the genesis, the others' in their admissions, as long as those are
/// kept.
fn names(trail: &Trail) -> Names {
    let present = trail.members.iter().map(|present| (present.member, present.name.clone()));
    let founder = trail.genesis.0.peek().ok().map(|genesis| genesis.founder.name);
    let founder = founder.map(|name| (MemberId::FOUNDER, name));
    let admitted = trail.entries.iter().filter_map(|record| match &record.entry.as_ref()?.event {
        Event::Admitted { member, name } => Some((*member, name.clone())),
        _ => None,
    });
    // What a hash covers last: it stands.
    present.chain(founder).chain(admitted).collect()
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
    by: Vec<Whom>,
}

impl<'a> Picker<'a> {
    fn new(selection: &'a Selection, trail: &Trail, names: &Names) -> Result<Self, Failure> {
        let now = Moment::now();
        let moment = |when: Option<When>| when.map(|when| when.seen_from(now));
        let by = selection.by.iter().map(|word| Whom::meant(word, trail, names));
        let (since, until) = (moment(selection.since), moment(selection.until));
        Ok(Self { selection, since, until, by: by.collect::<Result<_, _>>()? })
    }

    fn pick<'r>(&self, records: &'r [Record]) -> Vec<&'r Record> {
        let mut picked: Vec<_> = records.iter().filter(|record| self.wants(record)).collect();
        let surplus = picked.len().saturating_sub(self.selection.limit.unwrap_or(usize::MAX));
        picked.drain(..surplus);
        picked
    }

    fn wants(&self, record: &Record) -> bool {
        let at = record.at_ms().map(|ms| Moment { ms });
        let kind = &self.selection.kind;
        let is_by = |whom: &Whom| record.entry.as_ref().is_some_and(|entry| whom.has(&entry.by));
        self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at <= until))
            && (kind.is_empty() || kind.iter().any(|kind| kind == record.kind()))
            && (self.by.is_empty() || self.by.iter().any(is_by))
    }
}
