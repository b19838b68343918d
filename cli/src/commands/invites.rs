//! `mesh invites`: what became of the tokens that were made, and taking one back.

use mesh_model::InviteId;
use mesh_model::api::v1::{
    Bans, InviteInfo, InviteState, Invites, MemberName, RevokeReply, RevokeRequest, Status,
    Submitted, Wanted, route,
};
use mesh_model::trust::Request;

use super::ban::heard;
use super::signing::{self, Signer};
use super::{Session, drafts, token};
use crate::args::{InvitesArgs, InvitesVerb, RevokeArgs, StatementArgs};
use crate::client::Answer;
use crate::exit::{Exit, Failure};
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{json, list, or_nothing, unit, who};

pub(super) fn run(args: InvitesArgs, session: &Session) -> Result<Exit, Failure> {
    match args.verb {
        None | Some(InvitesVerb::List) => {
            let answer = session.client()?.get(route::INVITES)?;
            session.show(&answer, page)
        }
        Some(InvitesVerb::Token(args)) => token::run(args, session),
        Some(InvitesVerb::Revoke(args)) if !args.statement.signing.is_plain() => {
            revoke_signed(args, session)
        }
        Some(InvitesVerb::Revoke(args)) => {
            let StatementArgs { wait, .. } = args.statement;
            let request = RevokeRequest {
                invite: args.invite,
                with_members: args.with_members,
                wait_ms: wait.millis(),
            };
            let answer =
                session.client()?.post(route::INVITES_REVOKE, &request, wait.patience())?;
            session.show(&answer, |reply: &RevokeReply, _| revoked(reply))
        }
    }
}

/// Takes an invite back with another key than that of the daemon's host: the invite first, so that whoever came in by it is
/// known then, and one statement more for each of those who are banned with it.
fn revoke_signed(args: RevokeArgs, session: &Session) -> Result<Exit, Failure> {
    let StatementArgs { signing, wait } = &args.statement;
    let signer = Signer::new(signing)?;
    let wanted = Wanted::RevokeInvite { invite: args.invite };
    if !args.with_members {
        return signer.carry(wanted, Some(wait), session);
    }
    let (draft, mut last) = signer.agree(wanted, None, session)?;
    let invite = match drafts::understood(&draft)? {
        Request::Revoke(revocation) => revocation.peek().map(|said| said.invite).ok(),
        _ => None,
    };
    let Some(invite) = invite else {
        let message = "what was agreed is not the end of an invite";
        return Err(Failure::new(Exit::Failed, "bad_answer", message, ""));
    };
    let (banned, left_out) = brought_in(invite, session)?;
    for (at, member) in banned.iter().enumerate() {
        let reason = format!("came in by invite {invite}, which was revoked").parse().ok();
        let wanted = Wanted::Ban { member: member.member.to_string(), for_s: None, reason };
        // Whoever has heard of the last has heard of them all.
        let wait = (at + 1 == banned.len()).then_some(wait);
        last = signer.agree(wanted, wait, session)?.1;
    }
    if banned.is_empty() {
        // Said again it changes nothing, but can be waited for.
        last = signing::send(&draft, Some(wait), session)?.body;
    }
    let Submitted { index, applied_by } = last;
    let reply = RevokeReply { invite, banned, left_out, index, applied_by };
    session.output.text(&match session.output.is_json() {
        true => json::document(reply),
        false => revoked(&reply),
    })?;
    Ok(Exit::Ok)
}

/// The members that came in by `invite` and are to be banned, and the host that is asked if it did.
fn brought_in(
    invite: InviteId,
    session: &Session,
) -> Result<(Vec<MemberName>, Option<MemberName>), Failure> {
    let invites: Answer<Invites> = session.client()?.get(route::INVITES)?;
    let bans: Answer<Bans> = session.client()?.get(route::BANS)?;
    let status: Answer<Status> = session.client()?.get(route::STATUS)?;
    let found = invites.body.invites.into_iter().find(|info| info.invite == invite);
    let to_ban = found.map(|info| info.to_ban(&bans.body, status.body.member));
    Ok(to_ban.unwrap_or_default())
}

fn page(invites: &Invites, theme: Theme) -> String {
    if invites.invites.is_empty() {
        return "there are no invites: `mesh invite` makes one\n".to_owned();
    }
    let mut table = Table::new(
        theme,
        &["INVITE", "STATE", ">USED", ">MADE", ">EXPIRES", "RANGE", "VOTER", "TAGS", "MEMBERS"],
    );
    for invite in &invites.invites {
        let (state, expires) = standing(invite, theme);
        table.row([
            invite.invite.to_string().into(),
            state,
            format!("{} of {}", invite.used, invite.uses).into(),
            unit::since(invite.created_ms).into(),
            expires.into(),
            or_nothing(invite.range).into(),
            Cell::from(if invite.voter { "yes" } else { "no" }),
            list(&invite.tags).into(),
            names(&invite.members).into(),
        ]);
    }
    table.lines("")
}

/// Whether it admits, and until when.
fn standing(invite: &InviteInfo, theme: Theme) -> (Cell, String) {
    match invite.state {
        InviteState::Open => {
            (Cell::styled("open", theme.good_style()), unit::until(invite.expires_ms))
        }
        InviteState::Used => ("used".into(), "-".to_owned()),
        InviteState::Expired => ("expired".into(), unit::since(invite.expires_ms)),
        InviteState::Revoked => (Cell::styled("revoked", theme.bad_style()), "-".to_owned()),
    }
}

fn names(members: &[MemberName]) -> String {
    if members.is_empty() {
        return "-".to_owned();
    }
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names.join(" ")
}

fn revoked(reply: &RevokeReply) -> String {
    let mut text = format!("revoked invite {}; agreed at index {}\n", reply.invite, reply.index);
    for member in &reply.banned {
        text += &format!("banned {}\n", who(Some(&member.name), member.member));
    }
    if let Some(MemberName { member, name }) = &reply.left_out {
        let who = who(Some(name), *member);
        text += &format!(
            "left out {who}: it came in by it too, but is the host that was asked; `mesh leave` takes it out\n"
        );
    }
    text + &heard(reply.applied_by.as_ref())
}
