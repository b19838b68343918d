//! Where something was agreed the first time.
//!
//! Whoever lost the answer asks again, perhaps hours later and after others have said more about the same thing. The
//! repetition changes nothing and has a place of its own in the log; what the person wants to know is where the
//! statement has counted from.

use mesh_model::LogIndex;
use mesh_model::trust::{AdminStatement as _, Verdict};

use super::State;
use super::members::Farewell;
use crate::command::Command;

impl State {
    /// Where in the log the statement in `command` was agreed, if it was and the state still tells of it. `None` for
    /// what is no statement about what stands.
    pub fn agreed_at(&self, command: &Command) -> Option<LogIndex> {
        match command {
            Command::Invite(signed) => {
                let invite = signed.peek().ok()?;
                let entry = self.invites.get(&invite.id)?;
                (*entry.terms() == invite).then_some(entry.stated().at())
            }
            Command::Revoke(signed) => {
                let entry = self.invites.get(&signed.peek().ok()?.invite)?;
                Some(entry.revoked()?.at())
            }
            Command::Judge(signed) => self.ruled_at(&signed.peek().ok()?),
            Command::SetVoters(signed) => {
                let stated = self.voters.stated()?;
                (*stated.said() == signed.peek().ok()?).then_some(stated.at())
            }
            Command::ChangeAdmins(signed) => self.admins.agreed_at(signed),
            Command::Tag(signed) => {
                let tagging = signed.peek().ok()?;
                let last = self.tags.get(tagging.member).filter(|last| *last.said() == tagging);
                last.map(|last| last.at()).or_else(|| self.audit.index_of(&tagging.event()))
            }
            Command::SetAccess(signed) => self.access.agreed_at(&signed.peek().ok()?),
            Command::Rekey(signed) => {
                let rekey = signed.peek().ok()?;
                let last = self.keys.get(rekey.member)?;
                (*last.said() == rekey).then_some(last.at())
            }
            Command::Admit(_)
            | Command::Depart { .. }
            | Command::Lapse(_)
            | Command::Exclude { .. } => None,
            #[cfg(feature = "next")]
            Command::Trial(_) => None,
        }
    }

    fn ruled_at(&self, verdict: &Verdict) -> Option<LogIndex> {
        let last = self.bans.get(verdict.member).map(|entry| entry.stated());
        let removal = || match &self.members.departed().get(&verdict.member)?.farewell {
            Farewell::Removed(stated) => Some(stated),
            Farewell::Own(_) => None,
        };
        let stated = last.or_else(removal)?;
        (stated.said() == verdict).then_some(stated.at())
    }
}
