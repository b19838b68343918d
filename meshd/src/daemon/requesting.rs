//! `mesh admin` and everything said with `--admin-key` or `--out`: statements that are signed elsewhere.
//!
//! The daemon puts what is wanted into the words that will be signed (ids for names, serials, what it follows), and later
//! proposes them with whatever signatures they have. In between it keeps nothing: the statement travels with whoever
//! asked for it, and whether it still fits is seen when it is agreed.

use mesh_control::command::{Command, Outcome};
use mesh_control::state::Admins;
use mesh_model::api::v1::{
    Draft, DraftRequest, ErrorBody, ErrorCode, Family, SubmitRequest, Submitted, Wanted,
};
use mesh_model::codec::Message;
use mesh_model::trust::{
    AdminChange, AdminStep, MAX_REQUEST_LEN, Request, Revocation, Ruling, VoterPolicy,
};
use mesh_model::{AdminId, Cosigned, IdentityKey, Signed};

use super::judging::until;
use super::refusal::{Answer, refusal};
use super::revoking::meant;
use super::target::resolve;
use super::voting::{target, wish};
use super::{Daemon, Mesh};

impl Daemon {
    /// Puts something into words that can be signed.
    pub(crate) async fn draft(&self, draft: DraftRequest) -> Answer<Draft> {
        let mesh = self.mesh()?;
        let mut request = mesh.put(draft.wanted)?;
        if draft.sign
            && let Some(secret) = self.own_admin_secret().await?
            && mesh.group.read(|state, _| state.admins().by_key(&secret.public()).is_some())
        {
            request.sign(&secret);
        }
        let needed = match &request {
            Request::ChangeAdmins(_) => mesh.group.read(|state, _| state.admins().threshold()),
            _ => 1,
        };
        Ok(Draft {
            mesh: mesh.view().mesh(),
            needed,
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
        let command = mesh.group.read(|state, _| command(request, state.admins()))?;
        let is_done = |outcome: &Outcome| !matches!(outcome, Outcome::Refused(_));
        let hint = "`mesh admin list` shows who the admins are";
        let proposed = mesh.carry_out(command, "what was submitted", is_done, hint);
        let index = self.unless_stopping(proposed).await??;
        let heard = self.unless_stopping(mesh.applied_by_all_within(index, submit.wait_ms));
        Ok(Submitted { index, applied_by: heard.await?? })
    }
}

impl Mesh {
    /// What is `wanted`, as it is to be signed.
    fn put(&self, wanted: Wanted) -> Answer<Request> {
        Ok(match wanted {
            Wanted::AddAdmin { name, key } => self.change(|_| Ok(AdminStep::Add { name, key }))?,
            Wanted::RemoveAdmin { admin, revoke_invites } => {
                self.change(|admins| removal(admins, &admin, revoke_invites))?
            }
            Wanted::AdminThreshold { threshold } => {
                self.change(|_| Ok(AdminStep::Threshold(threshold)))?
            }
            Wanted::Ban { member, for_s, reason } => {
                let until_ms = for_s.map(until).transpose()?;
                self.ruling(&member, Ruling::Banned { until_ms, reason })?
            }
            Wanted::Unban { member } => self.ruling(&member, Ruling::Pardoned)?,
            Wanted::Remove { member } => self.ruling(&member, Ruling::Removed)?,
            Wanted::RevokeInvite { invite } => {
                let invite = self.group.read(|state, _| meant(state, &invite))?;
                let mesh = self.view().mesh();
                Request::Revoke(Cosigned::new(&Revocation { mesh, invite }))
            }
            Wanted::VoterTarget { target: number } => {
                let target = number.map(target).transpose()?;
                let policy = |policy: &mut VoterPolicy| policy.target = target;
                self.group
                    .read(|state, _| Request::SetVoters(Cosigned::new(&state.next_policy(policy))))
            }
            Wanted::VoterWish { member, wish: wanted } => {
                let member = resolve(&self.view(), &member, Family::V6)?.0.id;
                let policy = |policy: &mut VoterPolicy| wish(policy, member, wanted);
                self.group
                    .read(|state, _| Request::SetVoters(Cosigned::new(&state.next_policy(policy))))
            }
        })
    }

    fn ruling(&self, member: &str, ruling: Ruling) -> Answer<Request> {
        let member = self.about(member, &ruling)?;
        Ok(Request::Judge(Cosigned::new(&self.verdict(&member, ruling))))
    }

    /// The next change of admins.
    fn change(&self, step: impl FnOnce(&Admins) -> Answer<AdminStep>) -> Answer<Request> {
        let mesh = self.view().mesh();
        self.group.read(|state, _| {
            let admins = state.admins();
            let (serial, before) = (admins.serial() + 1, admins.head());
            let change = AdminChange { mesh, serial, before, step: step(admins)? };
            Ok(Request::ChangeAdmins(Cosigned::new(&change)))
        })
    }
}

/// The removal of the admin that `text` names, or whose id it is.
fn removal(admins: &Admins, text: &str, revoke_invites: bool) -> Answer<AdminStep> {
    let is_meant = |id: &AdminId, name: &str| name == text || id.to_string() == text;
    let mut found = admins.present().filter(|(id, admin)| is_meant(id, admin.name.as_str()));
    match (found.next(), found.next()) {
        (Some((admin, meant)), None) => {
            Ok(AdminStep::Remove { admin, name: meant.name.clone(), revoke_invites })
        }
        (Some(_), Some(_)) => Err(refusal(
            ErrorCode::Refused,
            format!("`{text}` is the name of one admin and the id of another"),
            "use the other of the two: `mesh admin list` shows both",
        )),
        (None, _) => Err(refusal(
            ErrorCode::Refused,
            format!("there is no admin `{text}`"),
            "`mesh admin list` shows who they are",
        )),
    }
}

/// What is to be proposed, with the signatures that count.
fn command(request: Request, admins: &Admins) -> Answer<Command> {
    Ok(match request {
        Request::Invite(cosigned) => Command::Invite(one(&cosigned, admins)?),
        Request::Judge(cosigned) => Command::Judge(one(&cosigned, admins)?),
        Request::SetVoters(cosigned) => Command::SetVoters(one(&cosigned, admins)?),
        Request::Revoke(cosigned) => Command::Revoke(one(&cosigned, admins)?),
        Request::ChangeAdmins(cosigned) => Command::ChangeAdmins(cosigned),
    })
}

/// The statement with the signature of one admin.
fn one<T: Message>(cosigned: &Cosigned<T>, admins: &Admins) -> Answer<Signed<T>> {
    let is_admin = |key: &&IdentityKey| admins.by_key(key).is_some();
    let signer = cosigned.signers().find(is_admin);
    signer.and_then(|key| cosigned.signed_by(key)).ok_or_else(|| {
        refusal(
            ErrorCode::NotAdmin,
            "no admin has signed it",
            "have it signed with `mesh admin sign --key FILE REQUEST`; `mesh admin list` shows who can",
        )
    })
}

fn not_a_request(error: impl std::fmt::Display) -> ErrorBody {
    refusal(
        ErrorCode::BadRequest,
        format!("field `request`: not a statement to be signed: {error}"),
        "`--out FILE` of the verb that says it makes one",
    )
}
