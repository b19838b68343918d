//! Statements that wait for signatures, and the files they travel in.

use std::path::Path;

use mesh_model::api::v1::Draft;
use mesh_model::trust::{MAX_REQUEST_LEN, Request};

use super::Session;
use crate::client::read_document;
use crate::exit::{Exit, Failure};
use crate::file;
use crate::render::request::words;
use crate::render::{json, safe};

/// The longest file with a request, in bytes: the request, and as much again around it.
const MAX_FILE: usize = 2 * MAX_REQUEST_LEN;

/// What `draft` says, if it is to be believed.
pub(super) fn understood(draft: &Draft) -> Result<Request, Failure> {
    let bad = |error: String| {
        Failure::new(
            Exit::Failed,
            "bad_request_file",
            format!("it holds no statement that can be signed: {error}"),
            "`--out FILE` of the verb that says it makes one",
        )
    };
    let request: Request = draft.request.parse().map_err(|error| bad(format!("{error}")))?;
    request.check().map_err(|error| bad(error.to_string()))?;
    match request.mesh() {
        Ok(mesh) if mesh == draft.mesh => Ok(request),
        Ok(mesh) => Err(bad(format!("it is for mesh {mesh}, the file says {}", draft.mesh))),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// What `request` says, in words.
pub(super) fn says(request: &Request) -> Result<String, Failure> {
    words(request).map_err(|error| {
        let hint = "update mesh on this machine";
        Failure::new(Exit::Failed, "bad_request_file", error.to_string(), hint)
    })
}

/// The request in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Draft, Failure> {
    let text = file::read(path, MAX_FILE)?;
    read_document(&text).map(|answer| answer.body).map_err(|reason| {
        let source = safe(&path.display().to_string());
        let message = format!("{source} holds no request: {reason}");
        Failure::new(Exit::Failed, "bad_request_file", message, "`--out FILE` writes one")
    })
}

/// Writes `draft` to `path`: a new file, or in the place of what is there.
pub(super) fn write(path: &Path, draft: &Draft, new: bool) -> Result<(), Failure> {
    let text = json::document(draft.clone());
    match new {
        true => file::make(path, text.as_bytes()),
        false => file::replace(path, text.as_bytes()),
    }
}

/// Shows `draft` as the answer.
pub(super) fn show(draft: &Draft, session: &Session) -> Result<Exit, Failure> {
    if session.output.is_json() {
        session.output.text(&json::document(draft.clone()))?;
        return Ok(Exit::Ok);
    }
    let says = says(&understood(draft)?)?;
    let (have, needed) = (draft.signed_by.len(), draft.needed);
    session.output.text(&format!("{have} of {needed} signatures: {says}\n"))?;
    Ok(Exit::Ok)
}
