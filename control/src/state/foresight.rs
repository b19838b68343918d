//! What would come of a proposal that has no place in the log yet.
//!
//! The leader asks before it writes: what is bound to be refused need not be on every voter's disk, and
//! whoever is about to go must have given up its vote first.

use mesh_model::MemberId;
use mesh_model::trust::{Ruling, Verdict};

use super::State;
use crate::command::{Command, Proposal, Refusal};

impl State {
    /// The refusal [`apply`](State::apply) is bound to come to, if the proposal is one that anybody could
    /// have made up or goes on saying: its signatures do not hold, it is about what does not exist, or it is that
    /// of one who was put out.
    pub fn would_refuse(&self, proposal: &Proposal) -> Option<Refusal> {
        let now_ms = self.now_ms.max(proposal.at_ms);
        match &proposal.command {
            Command::Invite(signed) => self.genuine_invite(signed).err(),
            Command::Admit(admission) => match self.genuine_record(admission) {
                Ok((record, _)) => self.check_outcast(&record.identity).err(),
                Err(refusal) => Some(refusal),
            },
            Command::Depart { member, departure } => {
                let mesh = self.founding.genesis.root.mesh;
                self.members.check_departure(*member, departure, mesh).err()
            }
            Command::Judge(signed) => self.genuine_verdict(signed, now_ms).err(),
            Command::Revoke(signed) => self.genuine_revocation(signed).err(),
            Command::SetVoters(signed) => {
                let checked = self.genuine_policy(signed);
                checked.and_then(|(policy, _)| self.voters.check(&policy)).err()
            }
            Command::ChangeAdmins(signed) => self.genuine_change(signed).err(),
            Command::Tag(signed) => self.genuine_tagging(signed).err(),
            Command::SetAccess(signed) => self.genuine_access(signed).err(),
            Command::Rekey(signed) => self.genuine_rekey(signed, now_ms).err(),
            Command::Lapse(member) => self.check_lapse(*member, now_ms).err(),
            Command::Exclude { subject, reports } => {
                self.genuine_exclusion(*subject, reports, now_ms).err()
            }
            #[cfg(feature = "next")]
            Command::Trial(_) => None,
        }
    }

    /// Who would be out of the [view](State::view) with this proposal, and is not yet.
    pub fn would_lose(&self, proposal: &Proposal) -> Option<MemberId> {
        let now_ms = self.now_ms.max(proposal.at_ms);
        let mesh = self.founding.genesis.root.mesh;
        let member = match &proposal.command {
            Command::Depart { member, departure } => {
                self.members.check_departure(*member, departure, mesh).ok()??;
                *member
            }
            Command::Judge(signed) => match self.genuine_verdict(signed, now_ms).ok()? {
                (Verdict { ruling: Ruling::Pardoned, .. }, ..) | (_, _, false) => return None,
                (verdict, _, true) => verdict.member,
            },
            Command::Exclude { subject, reports } => {
                self.genuine_exclusion(*subject, reports, now_ms).ok()??;
                *subject
            }
            Command::Invite(_)
            | Command::Admit(_)
            | Command::Lapse(_)
            | Command::SetVoters(_)
            | Command::Revoke(_)
            | Command::ChangeAdmins(_)
            | Command::Tag(_)
            | Command::SetAccess(_)
            | Command::Rekey(_) => {
                return None;
            }
            #[cfg(feature = "next")]
            Command::Trial(_) => return None,
        };
        (!self.is_out(member)).then_some(member)
    }
}
