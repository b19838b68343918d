//! `mesh recover`: a mesh that lost its majority for good goes on from this host.
//!
//! ```text
//! what is here ──> statement ──signed here, or elsewhere with --out──> enough? ──accepted?──> the store goes over
//! ```
//!
//! `meshd` looks and writes, this program asks and signs. What is signed is read from the statement itself, and held against
//! what was shown.

use mesh_model::api::v1::{Draft, MemberName, Recovered, Recovery};
use mesh_model::trust::{Epoch, Request};

use super::{Session, confirm::confirm, drafts, signing};
use crate::args::RecoverArgs;
use crate::exit::{Exit, Failure};
use crate::offline::{self, Offline};
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{term, unit, who};

/// What everybody has to have read.
const FLAG: &str = "--i-accept-losing-unreplicated-writes";

pub(super) fn run(args: &RecoverArgs, session: &Session) -> Result<Exit, Failure> {
    if args.passphrase_files.len() > args.admin_keys.len() {
        let message = "there are more passphrase files than keys";
        return Err(Failure::new(Exit::Usage, "usage", message, "name one for each --admin-key"));
    }
    let mut words = offline::host(&args.host);
    // In one word: a reason may begin with a hyphen.
    words.extend(args.reason.as_ref().map(|reason| format!("--reason={reason}").into()));
    if args.signed.is_none() {
        words.push("--sign".into());
    }
    let answer = Offline::new().ask::<Recovery>("recovery", &words)?;
    if !args.i_accept_losing_unreplicated_writes && args.out.is_none() {
        session.show(&answer, page)?;
        session.output.note(&format!(
            "\nNothing was changed. To go on from this host: mesh recover {FLAG}\n"
        ));
        return Ok(Exit::Ok);
    }
    let found = answer.body;
    let mut draft = match &args.signed {
        Some(path) => drafts::read(path)?,
        None => found.draft.clone(),
    };
    let epoch = checked(&draft, &found)?;
    if !session.output.is_json() {
        session.output.note(&page(&found, session.output.theme));
    }
    let question = format!("\nFor mesh {}: {epoch}.\nGo on?", found.mesh);
    confirm(session, None, args.yes, &question, "nothing was changed: it was not confirmed")?;
    for (at, path) in args.admin_keys.iter().enumerate() {
        let passphrase = args.passphrase_files.get(at).map(AsRef::as_ref);
        let secret = signing::unlock(path, passphrase)?;
        let request = drafts::understood(&draft)?;
        signing::sign(&mut draft, request, &secret)?;
    }
    if let Some(out) = &args.out {
        drafts::write(out, &draft, true)?;
        session.output.note(&format!(
            "It needs {} more: `mesh admin sign`, then `mesh recover --signed FILE {FLAG}` on this host. Do not start the \
             daemon before that.\n",
            signing::missing(&draft)
        ));
        return drafts::show(&draft, session);
    }
    // As the host knows it now, whatever the file says.
    draft.needed = found.draft.needed;
    signing::check_signed(&draft)?;
    let words = offline::host(&args.host);
    let input = draft.request.as_bytes();
    let answer = Offline::new().ask_with::<Recovered>("recover", &words, input)?;
    session.show(&answer, |recovered, _| {
        let Recovered { member, epoch, from, first, .. } = recovered;
        format!(
            "epoch {epoch} begins: the mesh goes on from index {from} as {member} has it, at index {first}\n\
             Start the daemon of this host, and of no other that was recovered. The others follow by themselves.\n"
        )
    })
}

/// What `draft` says, if it is about what was `found` here.
fn checked(draft: &Draft, found: &Recovery) -> Result<Epoch, Failure> {
    let bad = |message: String| {
        let hint = "nothing was signed or changed; make another with `mesh recover --out FILE`";
        Failure::new(Exit::Failed, "bad_request_file", message, hint)
    };
    let Request::BeginEpoch(begun) = drafts::understood(draft)? else {
        return Err(bad("the statement says something else than how a mesh goes on".to_owned()));
    };
    let epoch = begun.peek().map_err(|error| bad(error.to_string()))?;
    let fits = (epoch.mesh, epoch.voter, epoch.from, epoch.number)
        == (found.mesh, found.member, found.index, found.epoch);
    match fits {
        true => Ok(epoch),
        false => Err(bad(format!("the statement is not about what is on this host: {epoch}"))),
    }
}

fn page(found: &Recovery, theme: Theme) -> String {
    let mut facts = Table::facts();
    facts.fact(theme, "mesh", format!("{} ({})", found.mesh_name, found.mesh));
    facts.fact(theme, "this host", who(Some(&found.name), found.member));
    facts.fact(theme, "goes on from", format!("index {}, term {}", found.index, term(found.term)));
    let open = match found.index - found.agreed.min(found.index) {
        0 => "all of it".to_owned(),
        open => format!("up to {}; the {open} after it may have been, and go along", found.agreed),
    };
    facts.fact(theme, "known agreed", open);
    let decided = found.last_decision_ms.map_or_else(|| "never".to_owned(), unit::since);
    facts.fact(theme, "last decision", decided);
    facts.fact(theme, "members", found.members.to_string());
    let named = |voter: &MemberName| who(Some(&voter.name), voter.member);
    let voters: Vec<String> = found.voters.iter().map(named).collect();
    facts.fact(theme, "voters", voters.join(", "));
    let majority = found.voters.len() / 2 + 1;
    let lost = format!(
        "whatever {majority} of these voters agreed on after index {} without this host: joins, bans, policies",
        found.index
    );
    facts.row([Cell::styled("would be lost", theme.bad_style()), lost.as_str().into()]);
    facts.fact(
        theme,
        "signatures",
        format!("{} to begin epoch {}", found.draft.needed, found.epoch),
    );
    facts.lines("")
}
