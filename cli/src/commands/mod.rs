//! One file per verb. A verb checks what only it can check, asks the daemon, shows the answer.

mod admin;
mod audit;
mod backup;
mod ban;
mod bans;
mod completion;
mod confirm;
mod drafts;
mod fitting;
mod init;
mod invite;
mod invites;
mod join;
mod keys;
mod leave;
mod peers;
mod ping;
mod policy;
mod recover;
mod report;
mod signing;
mod snapshot;
mod status;
mod supervisor;
mod sync;
mod tags;
mod token;
mod tunnel_keys;
mod tunnels;
mod version;
mod voters;
mod wait;

use std::path::PathBuf;

use mesh_model::api::v1::{AsOf, Schema};
use serde::Serialize;

use crate::args::Verb;
use crate::client::{Answer, Client, ClientError};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::render::theme::Theme;
use crate::render::{age, json};
use crate::socket;

/// What every verb works with.
pub(crate) struct Session {
    socket: Option<PathBuf>,
    consistent: bool,
    /// Where its answer goes.
    pub(crate) output: Output,
}

impl Session {
    /// A session with the daemon at `socket`, or at the usual place, which reads what is agreed now if it shall be
    /// `consistent`.
    pub(crate) fn new(socket: Option<PathBuf>, consistent: bool, output: Output) -> Self {
        Self { socket, consistent, output }
    }

    /// The way to the daemon. To be called after the last question to the person: see [`Client`].
    fn client(&self) -> Result<Client, ClientError> {
        match &self.socket {
            Some(socket) => Client::new(socket, self.consistent),
            None => Client::new(&socket::default_path(), self.consistent),
        }
    }

    /// Shows `answer`: as it came, or as `page` draws it.
    fn show<T>(
        &self,
        answer: &Answer<T>,
        page: impl FnOnce(&T, Theme) -> String,
    ) -> Result<Exit, Failure> {
        if self.output.is_json() {
            self.output.line(&answer.text)?;
        } else {
            self.output.text(&page(&answer.body, self.output.theme))?;
            self.remark(answer.as_of);
        }
        Ok(Exit::Ok)
    }

    /// Shows `body`, which was made here of an answer that is as new as `as_of`.
    fn show_made<T: Schema + Serialize>(
        &self,
        body: T,
        as_of: Option<AsOf>,
        page: impl FnOnce(&T, Theme) -> String,
    ) -> Result<Exit, Failure> {
        if self.output.is_json() {
            self.output.text(&json::document_as_of(body, as_of))?;
        } else {
            self.output.text(&page(&body, self.output.theme))?;
            self.remark(as_of);
        }
        Ok(Exit::Ok)
    }

    /// Tells people that what they were shown may be out of date, if it may.
    fn remark(&self, as_of: Option<AsOf>) {
        if let Some(remark) = as_of.and_then(age::remark) {
            self.output.note(&remark);
        }
    }
}

/// Carries out `verb`.
pub(crate) fn run(verb: Verb, session: &mut Session) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::run(args, session),
        Verb::Invite(args) => invite::run(args, session),
        Verb::Invites(args) => invites::run(args, session),
        Verb::Join(args) => join::run(args, session),
        Verb::Leave(args) => leave::run(&args, session),
        Verb::Status(args) => status::run(&args, session),
        Verb::Peers => peers::run(session),
        Verb::Tunnels => tunnels::run(session),
        Verb::Ban(args) => ban::ban(args, session),
        Verb::Unban(args) => ban::unban(args, session),
        Verb::Bans => bans::run(session),
        Verb::Report(args) => report::report(args, session),
        Verb::Reports => report::reports(session),
        Verb::Remove(args) => ban::remove(args, session),
        Verb::Ping(args) => ping::run(args, session),
        Verb::Supervisor(args) => supervisor::run(args, session),
        Verb::Sync(args) => sync::run(args, session),
        Verb::Voters(verb) => voters::run(verb, session),
        Verb::Admin(verb) => admin::run(verb, session),
        Verb::Tags => tags::tags(session),
        Verb::Tag(args) => tags::tag(args, session),
        Verb::Policy(verb) => policy::run(verb, session),
        Verb::Audit(args) => audit::run(args, session),
        Verb::Snapshot(verb) => snapshot::run(verb, session),
        Verb::Recover(args) => recover::run(&args, session),
        Verb::Keys(args) => keys::run(args, session),
        Verb::Backup(verb) => backup::run(verb, session),
        Verb::Wait(args) => wait::run(&args, session),
        Verb::Completion(args) => completion::run(&args, session),
        Verb::Version => version::run(session),
    }
}
