//! A linearisable read shows whatever was acknowledged before it was asked for, to anybody.
//!
//! An acknowledgement names its place in the log. A read that begins later must reach at least that place, at
//! whichever host, and the host must have applied as much as it says.

use mesh_control::raft::Applied;
use mesh_model::LogIndex;

use super::Violation;

const NAME: &str = "reads_miss_nothing";

/// See the [module](self).
#[derive(Default)]
pub struct ReadsMissNothing {
    acknowledged: LogIndex,
}

impl ReadsMissNothing {
    /// Somebody was told that something came to `applied`.
    pub fn respond(&mut self, applied: &Applied) {
        self.acknowledged = self.acknowledged.max(applied.index);
    }

    /// What a read that begins now must not miss.
    pub fn invoke(&self) -> LogIndex {
        self.acknowledged
    }

    /// A read that must not miss `begun` came to `index`, at a host that has applied the log up to `applied`.
    pub fn check(
        &self,
        begun: LogIndex,
        index: LogIndex,
        applied: LogIndex,
    ) -> Result<(), Violation> {
        if begun <= index && index <= applied {
            return Ok(());
        }
        let message = format!(
            "a read begun after {begun} was acknowledged came to {index} where {applied} was applied"
        );
        Err(Violation::new(NAME, message))
    }
}

#[cfg(test)]
mod tests {
    use mesh_control::command::Outcome;
    use mesh_model::MemberId;

    use super::*;

    #[test]
    fn a_read_that_misses_something_is_seen() {
        let mut reads = ReadsMissNothing::default();
        let early = reads.invoke();
        for index in [7, 5] {
            reads.respond(&Applied { index, outcome: Outcome::Departed(MemberId(3)) });
        }
        let late = reads.invoke();
        reads.check(early, 3, 9).unwrap();
        reads.check(late, 7, 7).unwrap();
        assert!(reads.check(late, 6, 9).is_err(), "older than what was acknowledged");
        assert!(reads.check(late, 8, 7).is_err(), "more than the host has");
    }
}
