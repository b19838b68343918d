//! What has to work without a running daemon: looking into files, and changing a state directory nobody runs on.
//!
//! `mesh` starts this program for it (`meshd offline VERB`) and reads from its standard output what it would have read
//! from the socket: one document of the local API, or an error document and the exit code 1. People use `mesh`; this
//! is where the state machine and the store are, and `mesh` has neither.

mod answer;
mod backup;
mod root;
mod snapshot;

use std::io::Write as _;
use std::process::ExitCode;

use mesh_model::api::v1::{Document, ErrorDocument, Schema};
use serde::Serialize;

use crate::args::OfflineVerb;
use answer::Answer;

/// Carries out `verb` and prints what came of it.
pub(crate) fn run(verb: &OfflineVerb) -> ExitCode {
    let told = match verb {
        OfflineVerb::BackupRestore(args) => told(backup::restore(args)),
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
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    code
}

/// The answer as it is printed; an error as an error.
fn told<T: Schema + Serialize>(answer: Answer<T>) -> Result<String, String> {
    match answer {
        Ok(body) => Ok(json(&Document::from(body))),
        Err(error) => Err(json(&ErrorDocument { error })),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields and string keys always serialise")
}
