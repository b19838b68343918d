//! `mesh invites`: what became of the tokens that were made, and taking one back.

use mesh_model::api::v1::{
    InviteInfo, InviteState, Invites, MemberName, RevokeReply, RevokeRequest, route,
};

use super::Session;
use super::ban::heard;
use crate::args::{InvitesArgs, InvitesVerb};
use crate::exit::{Exit, Failure};
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::{unit, who};

pub(super) fn run(args: InvitesArgs, session: &Session) -> Result<Exit, Failure> {
    match args.verb {
        None | Some(InvitesVerb::List) => {
            let answer = session.client()?.get(route::INVITES)?;
            session.show(&answer, page)
        }
        Some(InvitesVerb::Revoke(args)) => {
            let request = RevokeRequest {
                invite: args.invite,
                with_members: args.with_members,
                wait_ms: args.wait.millis(),
            };
            let patience = args.wait.patience();
            let answer = session.client()?.post(route::INVITES_REVOKE, &request, patience)?;
            session.show(&answer, |reply: &RevokeReply, _| revoked(reply))
        }
    }
}

fn page(invites: &Invites, theme: Theme) -> String {
    if invites.invites.is_empty() {
        return "there are no invites: `mesh invite` makes one\n".to_owned();
    }
    let mut table =
        Table::new(theme, &["INVITE", "STATE", ">USED", ">MADE", ">EXPIRES", "MEMBERS"]);
    for invite in &invites.invites {
        let (state, expires) = standing(invite, theme);
        table.row([
            invite.invite.to_string().into(),
            state,
            format!("{} of {}", invite.used, invite.uses).into(),
            unit::since(invite.created_ms).into(),
            expires.into(),
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
    text + &heard(reply.applied_by.as_ref())
}
