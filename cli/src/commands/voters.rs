//! `mesh voters`: who votes, and who shall.

use std::time::Duration;

use mesh_model::api::v1::{VoterTargetRequest, VoterWish, VoterWishRequest, Voters, Wanted, route};

use super::Session;
use super::signing::Signer;
use crate::args::VotersVerb;
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::render::or_nothing;
use crate::render::table::{Cell, Table};
use crate::render::theme::Theme;
use crate::render::unit;

/// What becomes of those that have no right to vote.
const WITHOUT_RIGHT: &str = "\nWithout RIGHT: the invite carries no right to vote and those of enough others do; `mesh voters set NODE always` gives it.\n";

pub(super) fn run(verb: VotersVerb, session: &Session) -> Result<Exit, Failure> {
    let answer = match verb {
        VotersVerb::List => session.client()?.get(route::VOTERS)?,
        VotersVerb::Set(args) if !args.signing.is_plain() => {
            let wanted = Wanted::VoterWish { member: args.member, wish: args.wish.into() };
            return Signer::new(&args.signing)?.carry(wanted, None, session);
        }
        VotersVerb::Set(args) => {
            let request = VoterWishRequest { member: args.member, wish: args.wish.into() };
            session.client()?.post(route::VOTERS_WISH, &request, AGREEMENT_PATIENCE)?
        }
        VotersVerb::Target(args) if !args.signing.is_plain() => {
            let wanted = Wanted::VoterTarget { target: args.target.number() };
            return Signer::new(&args.signing)?.carry(wanted, None, session);
        }
        VotersVerb::Target(args) => {
            let request = VoterTargetRequest { target: args.target.number() };
            session.client()?.post(route::VOTERS_TARGET, &request, AGREEMENT_PATIENCE)?
        }
    };
    session.show(&answer, page)
}

fn page(voters: &Voters, theme: Theme) -> String {
    let mut facts = Table::facts();
    let target = voters.target.map_or_else(|| "auto".to_owned(), |target| target.to_string());
    facts.fact(theme, "target", target);
    let voting = voters.members.iter().filter(|member| member.vote).count();
    facts.fact(theme, "voting", voting.to_string());
    let mut table = Table::new(
        theme,
        &["NAME", "ID", "VOTE", "WISH", "RIGHT", "REGION", "READY", ">LAG", "STEADY", ">RTT"],
    );
    for member in &voters.members {
        table.row([
            member.name.to_string().into(),
            member.member.to_string().into(),
            Cell::from(if member.vote { "yes" } else { "no" }),
            Cell::from(wish(member.wish)),
            Cell::from(if member.without_right { "no" } else { "yes" }),
            or_nothing(member.region.as_ref()).into(),
            or_nothing(member.ready.map(|ready| if ready { "yes" } else { "no" })).into(),
            or_nothing(member.lag).into(),
            or_nothing(member.steady_s.map(Duration::from_secs).map(unit::duration)).into(),
            unit::rtt(member.rtt_us).into(),
        ]);
    }
    let mut text = format!("{}\n{}", facts.lines(""), table.lines(""));
    if voters.members.iter().any(|member| member.without_right) {
        text += WITHOUT_RIGHT;
    }
    text
}

fn wish(wish: VoterWish) -> &'static str {
    match wish {
        VoterWish::Auto => "auto",
        VoterWish::Always => "always",
        VoterWish::Never => "never",
    }
}
