//! What is said for the mesh: drafted by a daemon, signed here or elsewhere, submitted to a daemon.
//!
//! ```text
//! draft ──> signed by the daemon's host, or with --admin-key ──enough?──> submit
//!                                                                └─ no ──> --out FILE ──> mesh admin sign ──> mesh admin submit
//! ```

use std::path::Path;

use mesh_model::IdentitySecret;
use mesh_model::api::v1::{Draft, DraftRequest, SubmitRequest, Submitted, Wanted, route};
use mesh_model::trust::Request;

use super::Session;
use super::ban::heard;
use super::confirm::{asks, confirm};
use super::drafts::{self, says, understood};
use super::fitting::fits;
use crate::args::{SigningArgs, StatementArgs, WaitForAllArgs};
use crate::client::{AGREEMENT_PATIENCE, Answer, Client};
use crate::exit::{Exit, Failure};
use crate::moment::Moment;
use crate::render::safe;
use crate::{key_file, passphrase};

/// What to do when signatures are missing.
const SIGN_IT: &str = "sign with `--admin-key FILE`, or write it with `--out FILE` and have it signed with `mesh admin sign`";

/// Has `wanted` said for the mesh, or written down for those who are to sign it.
pub(super) fn carry(
    wanted: Wanted,
    statement: &StatementArgs,
    session: &Session,
) -> Result<Exit, Failure> {
    let signer = Signer::new(&statement.signing)?;
    signer.carry(wanted, Some(&statement.wait), session)
}

/// Whoever signs: the admin's key of `--admin-key`, or the daemon's host with its own.
pub(super) struct Signer<'a> {
    args: &'a SigningArgs,
    secret: Option<IdentitySecret>,
}

impl<'a> Signer<'a> {
    /// Opens the key, if one is named. To be done before the daemon is asked: from then on Ctrl-C is the client's.
    pub(super) fn new(args: &'a SigningArgs) -> Result<Self, Failure> {
        let path = args.admin_key.as_deref();
        let secret = path.map(|path| unlock(path, args.passphrase_file.as_deref())).transpose()?;
        Ok(Self { args, secret })
    }

    /// Has `wanted` said, or written down.
    pub(super) fn carry(
        &self,
        wanted: Wanted,
        wait: Option<&WaitForAllArgs>,
        session: &Session,
    ) -> Result<Exit, Failure> {
        let draft = self.draft(wanted, session)?;
        match &self.args.out {
            Some(out) => set_aside(&draft, out, session),
            None => {
                check_signed(&draft)?;
                submit(&draft, wait, session)
            }
        }
    }

    /// Has `wanted` agreed, without showing the answer.
    pub(super) fn agree(
        &self,
        wanted: Wanted,
        wait: Option<&WaitForAllArgs>,
        session: &Session,
    ) -> Result<(Draft, Submitted), Failure> {
        let draft = self.draft(wanted, session)?;
        check_signed(&draft)?;
        let submitted = send(&draft, wait, session)?.body;
        Ok((draft, submitted))
    }

    /// What the daemon makes of `wanted`, held against it, and signed if there is a key here and a person who is there says
    /// so.
    pub(super) fn draft(&self, wanted: Wanted, session: &Session) -> Result<Draft, Failure> {
        let question = DraftRequest { wanted, sign: self.secret.is_none() };
        let mut client = session.client()?;
        let answer = client.post(route::REQUESTS, &question, AGREEMENT_PATIENCE)?;
        let mut draft: Draft = answer.body;
        let request = understood(&draft)?;
        let says = says(&request)?;
        if !fits(&question.wanted, &request, Moment::now()).is_ok_and(|fits| fits) {
            let says = says.lines().map(str::trim).collect::<Vec<_>>().join("; ");
            let message = format!("the daemon made something else of it: {says}");
            let hint = "nothing was signed or sent; ask another member's daemon, and find out what is wrong with this one";
            return Err(Failure::new(Exit::Failed, "bad_answer", message, hint));
        }
        if let Some(secret) = &self.secret {
            let words = format!("For mesh {}: {says}\n", draft.mesh);
            self.read_out(&words, &mut client, session)?;
            sign(&mut draft, request, secret)?;
        }
        Ok(draft)
    }

    /// Reads `words` out, and goes on when the person who is there says so. Where nobody is asked they are told all the same, before
    /// they are signed: what only the daemon knows, nothing here can check. With `--format json` standard error is for errors alone.
    fn read_out(&self, words: &str, client: &mut Client, session: &Session) -> Result<(), Failure> {
        if !asks(self.args.yes) && !session.output.is_json() {
            session.output.note(words);
        }
        let otherwise = "nothing was signed: it was not confirmed";
        confirm(session, Some(client), self.args.yes, &format!("{words}Sign this?"), otherwise)
    }
}

/// Writes `draft` to the new file `out`, and says what to do with it.
pub(super) fn set_aside(draft: &Draft, out: &Path, session: &Session) -> Result<Exit, Failure> {
    drafts::write(out, draft, true)?;
    session.output.note(&match missing(draft) {
        0 => "It has its signatures: `mesh admin submit` has it agreed.\n".to_owned(),
        1 => "It needs 1 more signature: `mesh admin sign`, then `mesh admin submit`.\n".to_owned(),
        more => format!(
            "It needs {more} more signatures: `mesh admin sign`, then `mesh admin submit`.\n"
        ),
    });
    drafts::show(draft, session)
}

/// How many signatures are missing.
pub(super) fn missing(draft: &Draft) -> usize {
    usize::from(draft.needed).saturating_sub(draft.signed_by.len())
}

/// Fails while signatures are missing.
pub(super) fn check_signed(draft: &Draft) -> Result<(), Failure> {
    match missing(draft) {
        0 => Ok(()),
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
    let answer = send(draft, wait, session)?;
    session.show(&answer, |reply: &Submitted, _| {
        format!("agreed at index {}: {says}\n", reply.index) + &heard(reply.applied_by.as_ref())
    })
}

/// What the daemon answers when `draft` is submitted.
pub(super) fn send(
    draft: &Draft,
    wait: Option<&WaitForAllArgs>,
    session: &Session,
) -> Result<Answer<Submitted>, Failure> {
    let question = SubmitRequest {
        request: draft.request.clone(),
        wait_ms: wait.and_then(WaitForAllArgs::millis),
    };
    let patience = wait.map_or(AGREEMENT_PATIENCE, WaitForAllArgs::patience);
    Ok(session.client()?.post(route::REQUESTS_SUBMIT, &question, patience)?)
}
