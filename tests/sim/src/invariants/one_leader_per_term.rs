//! At most one member leads in each term, whoever says so; and nobody follows one that did not lead in that term by its own
//! account.

use std::collections::{BTreeMap, BTreeSet};

use mesh_control::raft::{Leadership, Role};
use mesh_model::{MemberId, Term};

use super::Violation;

const NAME: &str = "one_leader_per_term";

/// See the [module](self).
#[derive(Default)]
pub struct OneLeaderPerTerm {
    leaders: BTreeMap<Term, MemberId>,
    /// Those that said so themselves.
    led: BTreeSet<(Term, MemberId)>,
}

impl OneLeaderPerTerm {
    /// `member` reports `seen`.
    pub fn check(&mut self, member: MemberId, seen: &Leadership) -> Result<(), Violation> {
        let leads = seen.role == Role::Leader;
        let Some(leader) = (if leads { Some(member) } else { seen.leader }) else { return Ok(()) };
        if leads {
            self.led.insert((seen.term, member));
        } else if !self.led.contains(&(seen.term, leader)) {
            let message =
                format!("{member} follows {leader} in term {}, who did not lead", seen.term);
            return Err(Violation::new(NAME, message));
        }
        let first = *self.leaders.entry(seen.term).or_insert(leader);
        if first == leader {
            return Ok(());
        }
        let message = format!("term {} is led by {first} and by {leader}", seen.term);
        Err(Violation::new(NAME, format!("{message} (seen by {member})")))
    }

    /// Admins say that `member` leads in `term`, without an election.
    pub fn named(&mut self, term: Term, member: MemberId) {
        self.led.insert((term, member));
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.leaders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(role: Role, term: Term, leader: Option<u64>) -> Leadership {
        Leadership { role, term, leader: leader.map(MemberId) }
    }

    #[test]
    fn a_second_leader_of_a_term_is_seen() {
        let mut leaders = OneLeaderPerTerm::default();
        leaders.check(MemberId(1), &report(Role::Leader, 1, Some(1))).unwrap();
        leaders.check(MemberId(2), &report(Role::Follower, 1, Some(1))).unwrap();
        leaders.check(MemberId(2), &report(Role::Leader, 2, Some(2))).unwrap();
        assert!(leaders.check(MemberId(3), &report(Role::Leader, 2, Some(3))).is_err());
        assert!(leaders.check(MemberId(3), &report(Role::Follower, 1, Some(2))).is_err());
    }

    #[test]
    fn one_that_is_followed_and_did_not_lead_is_seen() {
        let mut leaders = OneLeaderPerTerm::default();
        assert!(leaders.check(MemberId(2), &report(Role::Follower, 7, Some(1))).is_err());
    }
}
