//! At most one member leads in each term, whoever says so.

use std::collections::BTreeMap;

use mesh_control::raft::{Leadership, Role};
use mesh_model::{MemberId, Term};

use super::Violation;

/// See the [module](self).
#[derive(Default)]
pub struct OneLeaderPerTerm {
    leaders: BTreeMap<Term, MemberId>,
}

impl OneLeaderPerTerm {
    /// `member` reports `seen`.
    pub fn check(&mut self, member: MemberId, seen: &Leadership) -> Result<(), Violation> {
        let claimed = if seen.role == Role::Leader { Some(member) } else { seen.leader };
        let Some(leader) = claimed else { return Ok(()) };
        let first = *self.leaders.entry(seen.term).or_insert(leader);
        if first == leader {
            return Ok(());
        }
        let message = format!("term {} is led by {first} and by {leader}", seen.term);
        Err(Violation::new("one_leader_per_term", format!("{message} (seen by {member})")))
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
}
