//! A host applies nothing that its build cannot read, leads nobody who can, and whoever is said to hold the others up does.
//!
//! What is new has a place in the log. A host with the older build stays before it, whatever it is sent; its state is of
//! the older edition; once it has noticed that it was left behind, it does not lead. A refusal because somebody is too old
//! names nobody who never was.

use std::collections::BTreeSet;

use mesh_control::command::Outcome;
use mesh_control::raft::{Applied, HeldBack};
use mesh_model::{Edition, LogIndex, MemberId};

use super::Violation;

const NAME: &str = "nothing_beyond_its_build";

/// How a host is.
#[derive(Debug, Clone, Copy)]
pub struct Standpoint {
    /// Who.
    pub member: MemberId,
    /// What its build reads.
    pub reads: Edition,
    /// What its state is of.
    pub edition: Edition,
    /// How far it has applied the log.
    pub applied: LogIndex,
    /// It says that it leads.
    pub leads: bool,
    /// It says that it was left behind.
    pub outdated: bool,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct NothingBeyondItsBuild {
    /// The first place of something new that anybody was told of.
    went_on_at: Option<LogIndex>,
    /// Members that ever ran the older build.
    were_old: BTreeSet<MemberId>,
}

impl NothingBeyondItsBuild {
    /// Somebody was told that something came to `applied`.
    pub fn respond(&mut self, applied: &Applied) {
        if matches!(applied.outcome, Outcome::Tried(_)) {
            let first = self.went_on_at.unwrap_or(applied.index);
            self.went_on_at = Some(first.min(applied.index));
        }
    }

    /// `member` runs a build that reads `reads`.
    pub fn start(&mut self, member: MemberId, reads: Edition) {
        if reads == Edition::FIRST {
            self.were_old.insert(member);
        }
    }

    /// Whether anybody was told of something new.
    pub fn has_gone_on(&self) -> bool {
        self.went_on_at.is_some()
    }

    /// Holds a host to what its build can read.
    pub fn check(&self, host: Standpoint) -> Result<(), Violation> {
        let Standpoint { member, reads, edition, applied, leads, outdated } = host;
        let violated = |message: String| Err(Violation::new(NAME, message));
        if edition > reads {
            return violated(format!("{member} reads edition {reads} and holds one of {edition}"));
        }
        if let Some(at) = self.went_on_at.filter(|at| reads == Edition::FIRST && applied >= *at) {
            return violated(format!("{member} cannot read {at} and has applied {applied}"));
        }
        if leads && outdated {
            return violated(format!("{member} was left behind and leads"));
        }
        Ok(())
    }

    /// Holds a refusal to who it names.
    pub fn check_refusal(&self, held: &HeldBack) -> Result<(), Violation> {
        match held.older.iter().find(|member| !self.were_old.contains(member)) {
            Some(member) => Err(Violation::new(
                NAME,
                format!("{member} is called too old and never was: {held}"),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Standpoint = Standpoint {
        member: MemberId(3),
        reads: Edition::FIRST,
        edition: Edition::FIRST,
        applied: 6,
        leads: false,
        outdated: false,
    };

    #[test]
    fn an_old_host_that_goes_on_is_seen() {
        let mut invariant = NothingBeyondItsBuild::default();
        invariant.respond(&Applied { index: 7, outcome: Outcome::Tried(1) });
        invariant.check(OLD).unwrap();
        assert!(invariant.check(Standpoint { applied: 7, ..OLD }).is_err());
        assert!(invariant.check(Standpoint { edition: Edition(2), ..OLD }).is_err());
        assert!(invariant.check(Standpoint { leads: true, outdated: true, ..OLD }).is_err());
        invariant.check(Standpoint { reads: Edition(2), applied: 9, ..OLD }).unwrap();
    }

    #[test]
    fn a_refusal_that_names_somebody_new_is_seen() {
        let mut invariant = NothingBeyondItsBuild::default();
        invariant.start(MemberId(3), Edition::FIRST);
        invariant.start(MemberId(4), Edition(2));
        let held = |older| HeldBack { edition: Edition(2), members: 5, older, silent: vec![] };
        invariant.check_refusal(&held(vec![MemberId(3)])).unwrap();
        assert!(invariant.check_refusal(&held(vec![MemberId(4)])).is_err());
    }
}
