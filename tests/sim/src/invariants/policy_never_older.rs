//! Of all policies on who votes the one with the highest serial counts, and never an earlier one again.
//!
//! As with [rulings about members](super::NoRulingUndone) every host's state and every answer tell which one
//! stood at their place, and that register can only rise. What stands was signed by an admin, word for word.

use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::raft::Applied;
use mesh_control::state::Voters;
use mesh_model::trust::VoterPolicy;
use mesh_model::{LogIndex, MemberId};

use super::Violation;
use crate::rising::Rising;
use crate::spoken::Spoken;

const NAME: &str = "policy_never_older";

/// See the [module](self).
#[derive(Default)]
pub struct PolicyNeverOlder {
    policies: Spoken<u64, VoterPolicy>,
    /// 0 while the mesh chooses by itself.
    serial: Rising<u64>,
}

impl PolicyNeverOlder {
    /// An admin has signed `policy`, and it may be agreed from now on.
    pub fn sign(&mut self, policy: &VoterPolicy) {
        self.policies.sign(policy.serial, policy.clone());
    }

    /// Somebody was told that `command` came to `applied`.
    pub fn respond(&mut self, command: &Command, applied: &Applied) -> Result<(), Violation> {
        let serial = match (command, &applied.outcome) {
            (Command::SetVoters(signed), Outcome::VotersSet(serial)) => {
                if let Ok(policy) = signed.peek() {
                    self.check_signed(&policy, applied.index)?;
                }
                *serial
            }
            (_, Outcome::Refused(Refusal::StalePolicy(serial))) => *serial,
            _ => return Ok(()),
        };
        self.read(serial, applied.index, "an answer")
    }

    /// At `place` in the log, `by` has `voters`.
    pub fn see(&mut self, by: MemberId, place: LogIndex, voters: &Voters) -> Result<(), Violation> {
        if let Some(policy) = voters.policy() {
            self.check_signed(policy, place)?;
        }
        self.read(voters.serial(), place, &by.to_string())
    }

    fn read(&mut self, serial: u64, place: LogIndex, by: &str) -> Result<(), Violation> {
        if self.serial.was(serial, place) {
            return Ok(());
        }
        let known = &self.serial;
        let message = format!("{by} has policy {serial} at {place}, known are {known:?}");
        Err(Violation::new(NAME, message))
    }

    fn check_signed(&mut self, policy: &VoterPolicy, place: LogIndex) -> Result<(), Violation> {
        if self.policies.stands(policy.serial, policy) {
            return Ok(());
        }
        let message = format!("no admin wanted what stands at {place}: {policy:?}");
        Err(Violation::new(NAME, message))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::net::HostNo;
    use crate::seeds::RunSeed;
    use crate::trust::{Keys, Mesh, Paper};

    fn policy(serial: u64) -> (VoterPolicy, Command) {
        let mesh = Mesh::found(RunSeed(1), &Keys::new(RunSeed(1), HostNo(1), 0));
        let policy = mesh.policy(serial, None, BTreeMap::new());
        (policy.clone(), mesh.sign(&Paper::Policy(policy)))
    }

    fn set(index: LogIndex, serial: u64) -> Applied {
        Applied { index, outcome: Outcome::VotersSet(serial) }
    }

    #[test]
    fn a_policy_that_comes_back_is_seen() {
        let ((one, first), (two, second)) = (policy(1), policy(2));
        let mut policies = PolicyNeverOlder::default();
        policies.sign(&one);
        policies.sign(&two);
        policies.respond(&second, &set(8, 2)).unwrap();
        policies.respond(&first, &set(5, 1)).unwrap();
        let stale = Outcome::Refused(Refusal::StalePolicy(2));
        policies.respond(&first, &Applied { index: 9, outcome: stale }).unwrap();
        policies.see(MemberId(1), 4, &Voters::default()).unwrap();
        assert!(policies.respond(&first, &set(9, 1)).is_err());
    }

    #[test]
    fn a_policy_that_is_forgotten_is_seen() {
        let (one, first) = policy(1);
        let mut policies = PolicyNeverOlder::default();
        policies.sign(&one);
        policies.respond(&first, &set(5, 1)).unwrap();
        assert!(policies.see(MemberId(1), 6, &Voters::default()).is_err());
    }

    #[test]
    fn a_policy_nobody_signed_is_seen() {
        let (_, first) = policy(1);
        assert!(PolicyNeverOlder::default().respond(&first, &set(5, 1)).is_err());
    }
}
