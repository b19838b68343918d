//! `mesh ban`, `mesh unban`, `mesh remove`: what becomes of a member against its will.

use std::time::Duration;

use mesh_model::api::v1::{
    AppliedBy, BanReply, BanRequest, RemoveReply, RemoveRequest, UnbanReply, UnbanRequest, Wanted,
    route,
};
use mesh_model::trust::Name;
use mesh_model::{LogIndex, MemberId};

use super::confirm::confirm;
use super::{Session, signing};
use crate::args::{BanArgs, RemoveArgs, UnbanArgs, WaitForAllArgs};
use crate::client::AGREEMENT_PATIENCE;
use crate::exit::{Exit, Failure};
use crate::render::{unit, who};

pub(super) fn ban(args: BanArgs, session: &Session) -> Result<Exit, Failure> {
    let for_s = args.duration.map(|duration| duration.as_secs());
    if !args.statement.signing.is_plain() {
        let wanted = Wanted::Ban { member: args.member, for_s, reason: args.reason };
        return signing::carry(wanted, &args.statement, session);
    }
    let request = BanRequest {
        member: args.member,
        for_s,
        reason: args.reason,
        wait_ms: args.statement.wait.millis(),
    };
    let answer = session.client()?.post(route::BANS, &request, args.statement.wait.patience())?;
    session.show(&answer, |reply: &BanReply, _| {
        let until = match reply.until_ms {
            Some(until_ms) => format!("; that ends {}", unit::until(until_ms)),
            None => " until it is unbanned".to_owned(),
        };
        line("banned", &reply.name, reply.member, &until, reply.index)
            + &heard(reply.applied_by.as_ref())
    })
}

pub(super) fn unban(args: UnbanArgs, session: &Session) -> Result<Exit, Failure> {
    if !args.statement.signing.is_plain() {
        let wanted = Wanted::Unban { member: args.member };
        return signing::carry(wanted, &args.statement, session);
    }
    let request = UnbanRequest { member: args.member, wait_ms: args.statement.wait.millis() };
    let answer = session.client()?.post(route::UNBAN, &request, args.statement.wait.patience())?;
    session.show(&answer, |reply: &UnbanReply, _| {
        line("unbanned", &reply.name, reply.member, "", reply.index)
            + &heard(reply.applied_by.as_ref())
    })
}

pub(super) fn remove(args: RemoveArgs, session: &Session) -> Result<Exit, Failure> {
    let question = format!(
        "{} loses its id and addresses for good; to return it needs a new token.\n\
         Remove it from the mesh?",
        crate::render::safe(&args.member),
    );
    confirm(
        session,
        None,
        args.statement.signing.yes,
        &question,
        "nothing was removed: it was not confirmed",
    )?;
    if !args.statement.signing.is_plain() {
        let wanted = Wanted::Remove { member: args.member };
        return signing::carry(wanted, &args.statement, session);
    }
    let request = RemoveRequest { member: args.member, wait_ms: args.statement.wait.millis() };
    let answer = session.client()?.post(route::REMOVE, &request, args.statement.wait.patience())?;
    session.show(&answer, |reply: &RemoveReply, _| {
        line("removed", &reply.name, reply.member, "", reply.index)
            + &heard(reply.applied_by.as_ref())
    })
}

fn line(done: &str, name: &Name, member: MemberId, how: &str, index: LogIndex) -> String {
    format!("{done} {}{how}; agreed at index {index}\n", who(Some(name), member))
}

pub(super) fn heard(applied_by: Option<&AppliedBy>) -> String {
    let Some(AppliedBy { members, of, waited_ms }) = applied_by else { return String::new() };
    let waited = unit::duration(Duration::from_millis(*waited_ms));
    format!("applied by {members} of {of} members after {waited}\n")
}

impl WaitForAllArgs {
    pub(super) fn millis(&self) -> Option<u64> {
        self.wait.then(|| u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn patience(&self) -> Duration {
        AGREEMENT_PATIENCE + if self.wait { self.timeout } else { Duration::ZERO }
    }
}
