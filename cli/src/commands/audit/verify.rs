//! `mesh audit verify`: is the trail in one piece?
//!
//! Works on a file alone: the document brings the signed genesis it starts from. Everything an entry says must be what
//! its hash covers, so an entry with a field that is unknown here does not pass, and is not taken for a broken one.

use std::io::{self, Read};
use std::path::Path;

use mesh_model::api::v1::{Audit, AuditEntry, Schema, route};
use mesh_model::audit::AuditHash;
use mesh_model::trust::Genesis;
use mesh_model::{LogIndex, MeshId};
use serde::Serialize;

use super::{Extract, Session, Trail};
use crate::args::VerifyArgs;
use crate::client::{MAX_ANSWER, Record, read_document};
use crate::exit::{Exit, Failure};
use crate::render::safe;
use crate::render::table::Table;
use crate::render::theme::Theme;

/// What to do about a document that cannot be checked.
const WHOLE: &str =
    "export the whole trail: `mesh audit --format json > FILE`, without further options";

/// What to do about a trail that does not hold.
const SUSPECT: &str =
    "do not rely on it; ask another member for its trail, and compare the heads of the two";

/// What `mesh audit verify` answers.
#[derive(Debug, Serialize)]
struct Verdict {
    /// The mesh.
    mesh: MeshId,
    /// What people call it.
    mesh_name: String,
    /// How many entries were checked.
    entries: usize,
    /// The index of the oldest; `None` without one.
    first: Option<LogIndex>,
    /// The index of the newest; `None` without one.
    last: Option<LogIndex>,
    /// Whether it reaches back to the mesh's beginning.
    complete: bool,
    /// The hash of everything decided so far.
    head_hash: AuditHash,
    /// Of how many entries the document also tells what they refer to. No hash covers that.
    uncovered: usize,
}

impl Schema for Verdict {
    const SCHEMA: &'static str = "mesh.audit_verdict/v1";
}

pub(super) fn run(args: &VerifyArgs, session: &Session) -> Result<Exit, Failure> {
    let (trail, as_of) = match &args.file {
        Some(file) => (read(file)?, None),
        None => {
            let answer = session.client()?.get::<Trail>(route::AUDIT)?;
            (answer.body, answer.as_of)
        }
    };
    let audit = understood(trail)?;
    let genesis = audit.verify().map_err(|error| broken(error.to_string()))?;
    if let Some(head) = args.head {
        passes_through(&audit, head)?;
    }
    session.show_made(verdict(&audit, &genesis), as_of, page)
}

fn broken(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, "audit_broken", message, SUSPECT)
}

/// The document in `file`, or on standard input.
fn read(file: &Path) -> Result<Trail, Failure> {
    let (bytes, source) = match file.to_str() {
        Some("-") => (bounded(io::stdin().lock()), "standard input".to_owned()),
        _ => (std::fs::File::open(file).and_then(bounded), safe(&file.display().to_string())),
    };
    let bytes = bytes.map_err(|error| {
        Failure::new(Exit::Failed, "input", format!("cannot read {source}: {error}"), "")
    })?;
    let document = read_document::<Trail>(&bytes).map_err(|reason| {
        let extract = Extract::SCHEMA;
        let message = match reason.contains(extract) {
            true => format!("{source} has a part of a trail, and a part of a chain proves nothing"),
            false => format!("{source} has no audit trail: {reason}"),
        };
        Failure::new(Exit::Failed, "bad_document", message, WHOLE)
    })?;
    Ok(document.body)
}

/// All of `input`, up to what a daemon's answer may have.
fn bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_ANSWER as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_ANSWER {
        return Err(io::Error::other("longer than any document of meshd"));
    }
    Ok(bytes)
}

/// The trail with each entry understood to the last field.
fn understood(trail: Trail) -> Result<Audit, Failure> {
    let Audit { mesh, root, genesis, before_hash, entries, head_hash, contents, members, admins } =
        trail;
    let entries: Result<_, _> = entries.into_iter().enumerate().map(to_the_last_field).collect();
    let entries = entries?;
    Ok(Audit { mesh, root, genesis, before_hash, entries, head_hash, contents, members, admins })
}

fn to_the_last_field((at, record): (usize, Record)) -> Result<AuditEntry, Failure> {
    let place = match record.index() {
        Some(index) => format!("the entry at index {index}"),
        None => format!("entry {} of the trail", at + 1),
    };
    let entry = record.entry.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "bad_document",
            format!("{place} cannot be checked: it is not one that this mesh understands"),
            "if the daemon it came from is newer, update mesh; otherwise it was altered",
        )
    })?;
    if serde_json::to_value(&entry).ok() != Some(record.raw) {
        return Err(broken(format!("{place} does not fit: it says more than its hash covers")));
    }
    Ok(entry)
}

fn passes_through(audit: &Audit, head: AuditHash) -> Result<(), Failure> {
    let mut hashes = audit.entries.iter().map(|entry| entry.hash);
    if audit.before_hash == head || hashes.any(|hash| hash == head) {
        return Ok(());
    }
    Err(broken(format!(
        "the trail fits in itself but never had the head {head}: it was rewritten, ends earlier, or has dropped what was \
         decided by then"
    )))
}

fn verdict(audit: &Audit, genesis: &Genesis) -> Verdict {
    Verdict {
        mesh: audit.mesh,
        mesh_name: genesis.name.to_string(),
        entries: audit.entries.len(),
        first: audit.entries.first().map(|entry| entry.index),
        last: audit.entries.last().map(|entry| entry.index),
        complete: audit.before_hash == audit.genesis.hash(),
        head_hash: audit.head_hash,
        uncovered: audit.contents.len(),
    }
}

fn page(verdict: &Verdict, theme: Theme) -> String {
    let reach = match (verdict.first, verdict.last) {
        (Some(first), Some(last)) => {
            let from = match verdict.complete {
                true => "since the mesh began".to_owned(),
                false => "older ones have made room".to_owned(),
            };
            format!("{}, index {first} to {last}, {from}", verdict.entries)
        }
        _ => "none yet".to_owned(),
    };
    let mut facts = Table::facts();
    facts.fact(theme, "mesh", format!("{} ({})", verdict.mesh_name, verdict.mesh));
    facts.fact(theme, "entries", reach);
    facts.fact(theme, "head", verdict.head_hash.to_string());
    if verdict.uncovered > 0 {
        let told = format!("told of {}; no hash covers them", verdict.uncovered);
        facts.fact(theme, "contents", told);
    }
    format!("every entry fits\n{}", facts.lines(""))
}
