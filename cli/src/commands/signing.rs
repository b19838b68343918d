//! Statements that are signed here, or elsewhere: drafted by a daemon, carried in a file, submitted to a daemon.
//!
//! ```text
//! draft ──> signed by the daemon's host, or with --admin-key ──enough?──> submit
//!                                                                └─ no ──> --out FILE ──> mesh admin sign ──> mesh admin submit
//! ```

use std::path::Path;

use mesh_model::IdentitySecret;
use mesh_model::api::v1::{Draft, DraftRequest, SubmitRequest, Submitted, Wanted, route};
use mesh_model::trust::{MAX_REQUEST_LEN, Request};

use super::Session;
use super::ban::heard;
use super::confirm::confirm_with;
use super::fitting::fits;
use crate::args::{SigningArgs, WaitForAllArgs};
use crate::client::{AGREEMENT_PATIENCE, read_document};
use crate::exit::{Exit, Failure};
use crate::render::request::words;
use crate::render::{json, safe};
use crate::{file, key_file, passphrase};

/// The longest file with a request: the request, and as much again around it.
const MAX_FILE: usize = 2 * MAX_REQUEST_LEN;

/// What to do when signatures are missing.
const SIGN_IT: &str = "sign with `--admin-key FILE`, or write it with `--out FILE` and have it signed with `mesh admin sign`";

/// Has `wanted` said for the mesh, or written down for those who are to sign it.
pub(super) fn carry(
    wanted: Wanted,
    signing: &SigningArgs,
    wait: Option<&WaitForAllArgs>,
    session: &Session,
) -> Result<Exit, Failure> {
    // Before the daemon is asked: from then on Ctrl-C is the client's.
    let secret = match &signing.admin_key {
        Some(path) => Some(unlock(path, signing.passphrase_file.as_deref())?),
        None => None,
    };
    let question = DraftRequest { wanted, sign: secret.is_none() };
    let mut client = session.client()?;
    let answer = client.post(route::REQUESTS, &question, AGREEMENT_PATIENCE)?;
    let mut draft: Draft = answer.body;
    let request = understood(&draft)?;
    let says = says(&request)?;
    if !fits(&question.wanted, &request).is_ok_and(|fits| fits) {
        let message = format!("the daemon made something else of it: {says}");
        let hint = "nothing was signed or sent; ask another member's daemon, and find out what is wrong with this one";
        return Err(Failure::new(Exit::Failed, "bad_answer", message, hint));
    }
    if let Some(secret) = &secret {
        let question = format!("For mesh {}: {says}\nSign this?", draft.mesh);
        confirm_with(
            session,
            &mut client,
            false,
            &question,
            "nothing was signed: it was not confirmed",
        )?;
        sign(&mut draft, request, secret)?;
    }
    drop(client);
    if let Some(out) = &signing.out {
        write(out, &draft, true)?;
        let missing = missing(&draft);
        session.output.note(&match missing {
            0 => "It has its signatures: `mesh admin submit` has it agreed.\n".to_owned(),
            1 => "It needs 1 more signature: `mesh admin sign`, then `mesh admin submit`.\n"
                .to_owned(),
            more => format!(
                "It needs {more} more signatures: `mesh admin sign`, then `mesh admin submit`.\n"
            ),
        });
        return show(&draft, session);
    }
    match missing(&draft) {
        0 => submit(&draft, wait, session),
        more if draft.signed_by.is_empty() => Err(Failure::new(
            Exit::Failed,
            "not_admin",
            format!("no admin's key is here, and it takes {more} to sign this"),
            SIGN_IT,
        )),
        more => Err(Failure::new(
            Exit::Failed,
            "unsigned",
            format!("{more} more of the {} signatures it takes are missing", draft.needed),
            SIGN_IT,
        )),
    }
}

/// How many signatures are missing.
fn missing(draft: &Draft) -> usize {
    usize::from(draft.needed).saturating_sub(draft.signed_by.len())
}

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

/// The admin's key at `path`.
pub(super) fn unlock(
    path: &Path,
    passphrase_file: Option<&Path>,
) -> Result<IdentitySecret, Failure> {
    let question = format!("Passphrase for {}: ", safe(&path.display().to_string()));
    key_file::read(path, || passphrase::read(passphrase_file, &question))
}

/// Adds the signature of `secret` to `draft`, which says `request`.
pub(super) fn sign(
    draft: &mut Draft,
    mut request: Request,
    secret: &IdentitySecret,
) -> Result<(), Failure> {
    if !request.sign(secret) {
        let message = "it has all the signatures it can have";
        return Err(Failure::new(Exit::Failed, "bad_request_file", message, "submit it"));
    }
    draft.signed_by = request.signers();
    draft.request = request.to_string();
    Ok(())
}

/// Has `draft` agreed.
pub(super) fn submit(
    draft: &Draft,
    wait: Option<&WaitForAllArgs>,
    session: &Session,
) -> Result<Exit, Failure> {
    let says = says(&understood(draft)?)?;
    let question = SubmitRequest {
        request: draft.request.clone(),
        wait_ms: wait.and_then(WaitForAllArgs::millis),
    };
    let patience = wait.map_or(AGREEMENT_PATIENCE, WaitForAllArgs::patience);
    let answer = session.client()?.post(route::REQUESTS_SUBMIT, &question, patience)?;
    session.show(&answer, |reply: &Submitted, _| {
        format!("agreed at index {}: {says}\n", reply.index) + &heard(reply.applied_by.as_ref())
    })
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
