//! `mesh admin`: who speaks for the mesh, and signing for it.

use mesh_model::api::v1::{Admins, Schema, Wanted, route};
use mesh_model::{IdentityKey, IdentitySecret};
use serde::Serialize;

use super::confirm::confirm;
use super::{Session, drafts, signing};
use crate::args::{AdminVerb, KeygenArgs, SignArgs};
use crate::exit::{Exit, Failure};
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{json, or_nothing};
use crate::{entropy, file, key_file, passphrase};

pub(super) fn run(verb: AdminVerb, session: &Session) -> Result<Exit, Failure> {
    match verb {
        AdminVerb::List => {
            let answer = session.client()?.get(route::ADMINS)?;
            session.show(&answer, page)
        }
        AdminVerb::Add(args) => {
            let wanted = Wanted::AddAdmin { name: args.name, key: args.key };
            signing::carry(wanted, &args.statement, session)
        }
        AdminVerb::Remove(args) => {
            let (admin, revoke_invites) = (args.admin, args.revoke_invites);
            let wanted = Wanted::RemoveAdmin { admin, revoke_invites };
            signing::carry(wanted, &args.statement, session)
        }
        AdminVerb::Threshold(args) => {
            let wanted = Wanted::AdminThreshold { threshold: args.threshold };
            signing::carry(wanted, &args.statement, session)
        }
        AdminVerb::Keygen(args) => keygen(&args, session),
        AdminVerb::Sign(args) => sign(&args, session),
        AdminVerb::Submit(args) => {
            signing::submit(&drafts::read(&args.request)?, Some(&args.wait), session)
        }
    }
}

fn page(admins: &Admins, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "threshold", admins.threshold.to_string());
    facts.fact(theme, "changes", admins.serial.to_string());
    facts.fact(theme, "head", admins.head.to_string());
    let mut table = Table::new(theme, &["NAME", "ID", "STATE", ">SINCE", ">UNTIL", "HERE", "KEY"]);
    for admin in &admins.admins {
        let state = match admin.until {
            None => Cell::styled("admin", theme.good_style()),
            Some(_) => Cell::styled("removed", theme.bad_style()),
        };
        table.row([
            admin.name.to_string().into(),
            admin.admin.to_string().into(),
            state,
            admin.since.to_string().into(),
            or_nothing(admin.until).into(),
            Cell::from(if admin.here { "yes" } else { "no" }),
            admin.key.to_string().into(),
        ]);
    }
    format!("{}\n{}", facts.lines(""), table.lines(""))
}

/// What `mesh admin keygen` answers.
#[derive(Debug, Serialize)]
struct NewKey {
    /// The public half, for `mesh admin add`.
    key: IdentityKey,
    /// Where the secret is.
    file: String,
}

impl Schema for NewKey {
    const SCHEMA: &'static str = "mesh.admin_key/v1";
}

fn keygen(args: &KeygenArgs, session: &Session) -> Result<Exit, Failure> {
    file::check_free(&args.file)?;
    let passphrase =
        passphrase::choose(args.passphrase_file.as_deref(), "Passphrase for the new key: ")?;
    let secret = IdentitySecret::from_seed(*entropy::seed()?);
    key_file::write(&args.file, &secret, &passphrase)?;
    let made = NewKey { key: secret.public(), file: args.file.display().to_string() };
    if session.output.is_json() {
        session.output.text(&json::document(made))?;
    } else {
        session.output.line(&made.key.to_string())?;
        session.output.note(
            "Its holder can speak for the mesh once an admin has run `mesh admin add NAME` with this key.\n",
        );
    }
    Ok(Exit::Ok)
}

fn sign(args: &SignArgs, session: &Session) -> Result<Exit, Failure> {
    let mut draft = drafts::read(&args.request)?;
    let request = drafts::understood(&draft)?;
    let says = drafts::says(&request)?;
    let question = format!("For mesh {}: {says}\nSign this?", draft.mesh);
    if args.yes {
        session.output.note(&format!("For mesh {}: {says}\n", draft.mesh));
    }
    confirm(session, None, args.yes, &question, "nothing was signed: it was not confirmed")?;
    let secret = signing::unlock(&args.key, args.passphrase_file.as_deref())?;
    signing::sign(&mut draft, request, &secret)?;
    drafts::write(&args.request, &draft, false)?;
    drafts::show(&draft, session)
}
