//! `mesh admin` and everything said with `--admin-key` or `--out`: statements that are signed elsewhere.
//!
//! The daemon has what is wanted put into the words that will be signed (ids for names, serials, what it follows), and
//! later proposes them with whatever signatures they have. In between it keeps nothing: the statement travels with whoever
//! asked for it, and whether it still fits is seen when it is agreed.

use mesh_control::command::Outcome;
use mesh_control::drafting::{DraftError, Drafter, Unproposable, command, signatures_needed};
use mesh_model::api::v1::{Draft, DraftRequest, ErrorBody, ErrorCode, SubmitRequest, Submitted};
use mesh_model::trust::{MAX_REQUEST_LEN, Request};

use super::refusal::{Answer, refusal};
use super::{Daemon, Mesh};
use crate::io::clock;

impl Daemon {
    /// Puts something into words that can be signed.
    pub(crate) async fn draft(&self, draft: DraftRequest) -> Answer<Draft> {
        let mesh = self.mesh()?;
        let mut request = mesh.drafted(|drafter| drafter.request(draft.wanted))?;
        if draft.sign
            && let Some(secret) = self.own_admin_secret().await?
            && mesh.group.read(|state, _| state.admins().by_key(&secret.public()).is_some())
        {
            request.sign(&secret);
        }
        Ok(Draft {
            mesh: mesh.view().mesh(),
            needed: mesh.group.read(|state, _| signatures_needed(&request, state.admins())),
            signed_by: request.signers(),
            request: request.to_string(),
        })
    }

    /// Proposes a statement that has its signatures.
    pub(crate) async fn submit(&self, submit: SubmitRequest) -> Answer<Submitted> {
        let mesh = self.mesh()?;
        if submit.request.len() > MAX_REQUEST_LEN {
            return Err(not_a_request("it is longer than any"));
        }
        let request: Request = submit.request.parse().map_err(not_a_request)?;
        let hint = remedy(&request);
        let command = mesh.group.read(|state, _| command(request, state.admins()));
        let is_done = |outcome: &Outcome| !matches!(outcome, Outcome::Refused(_));
        let command = command.map_err(not_proposed)?;
        let proposed = mesh.carry_out(command, "what was submitted", is_done, hint);
        let index = self.unless_stopping(proposed).await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, submit.wait_ms));
        Ok(Submitted { index, applied_by: heard.await?? })
    }
}

impl Mesh {
    /// What `draft` makes of what is agreed here now.
    pub(super) fn drafted<T>(
        &self,
        draft: impl FnOnce(&Drafter<'_>) -> Result<T, DraftError>,
    ) -> Answer<T> {
        let (view, me, now_ms) = (self.view(), self.me, clock::wall_ms());
        let drafted =
            self.group.read(|state, _| draft(&Drafter { state, view: &view, me, now_ms }));
        drafted.map_err(|error| refusal(error.code(), &error, error.hint()))
    }
}

/// Where to look when the mesh refuses `request`.
fn remedy(request: &Request) -> &'static str {
    match request {
        Request::ChangeAdmins(_) => "`mesh admin list` shows who the admins are",
        Request::Invite(_) | Request::Revoke(_) => "`mesh invites` lists those there are",
        Request::Judge(_) => "`mesh peers` and `mesh bans` show how things are",
        Request::SetVoters(_) => "see what stands with `mesh voters list`, and make it anew",
        Request::Tag(_) => "see what stands with `mesh tags`, and make it anew",
        Request::SetAccess(_) => "see what stands with `mesh policy show`, and make it anew",
        Request::BeginEpoch(_) => "`mesh status` shows the epoch",
    }
}

fn not_proposed(why: Unproposable) -> ErrorBody {
    match why {
        Unproposable::Unsigned => refusal(
            ErrorCode::NotAdmin,
            why,
            "have it signed with `mesh admin sign --key FILE REQUEST`; `mesh admin list` shows who can",
        ),
        Unproposable::NewEpoch => refusal(
            ErrorCode::BadRequest,
            why,
            "stop the daemon on the host it names, and use `mesh recover --signed FILE` there",
        ),
    }
}

fn not_a_request(error: impl std::fmt::Display) -> ErrorBody {
    refusal(
        ErrorCode::BadRequest,
        format!("field `request`: not a statement to be signed: {error}"),
        "`--out FILE` of the verb that says it makes one",
    )
}
