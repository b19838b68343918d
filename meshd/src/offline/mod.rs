//! What has to work without a running daemon: looking into files, and changing a state directory nobody runs on.
//!
//! `mesh` starts this program for it (`meshd offline VERB`) and reads from its standard output what it would have read
//! from the socket: one document of the local API, or an error document and the exit code 1. People use `mesh`; this
//! is where the state machine and the store are, and `mesh` has neither.

mod answer;
mod backup;
mod recovery;
mod root;
mod snapshot;

use std::io::Write as _;
use std::process::ExitCode;

use mesh_model::api::v1::{Document, ErrorDocument, Schema};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::OfflineVerb;
use answer::Answer;

/// Carries out `verb` and prints what came of it.
pub(crate) fn run(verb: &OfflineVerb) -> ExitCode {
    let told = match verb {
        OfflineVerb::BackupRestore(args) => told(backup::restore(args)),
        OfflineVerb::Recovery(args) => told(recovery::survey(args)),
        OfflineVerb::Recover(args) => told(recovery::recover(args)),
        OfflineVerb::RootExport(args) => told(root::export(args)),
        OfflineVerb::RootImport(args) => told(root::import(args)),
        OfflineVerb::SnapshotVerify(args) => told(snapshot::verify(args)),
        OfflineVerb::SnapshotApply(args) => told(snapshot::apply(args)),
    };
    let (text, code) = match told {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (text, ExitCode::FAILURE),
    };
    // Whoever started us and stopped reading does not want to know.
    let _ = std::io::stdout().lock().write_all(&text);
    code
}

/// A line of output. It may be a key.
type Line = Zeroizing<Vec<u8>>;

/// Room for a line with a key in it, in bytes: one that has to grow leaves what it held behind.
const LINE: usize = 4096;

/// The answer as it is printed; an error as an error.
fn told<T: Schema + Serialize>(answer: Answer<T>) -> Result<Line, Line> {
    match answer {
        Ok(body) => Ok(json(&Document::from(body))),
        Err(error) => Err(json(&ErrorDocument { error })),
    }
}

fn json(value: &impl Serialize) -> Line {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE));
    serde_json::to_writer(&mut *line, value)
        .expect("plain fields and string keys always serialise");
    line.push(b'\n');
    line
}
