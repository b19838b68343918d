//! What the traitor slips into the log while it leads.
//!
//! It has its honest core propose what changes nothing, an invite that stands already, and sends all others something else in
//! that place: a command that nobody signed who may. To all the same, and again to whoever asks later, so that the others' logs
//! stay one log. Each of them has to find at apply that the command is not signed, for the leader's own check is no check.

use mesh_control::command::Command;
use mesh_model::LogIndex;

use super::speech::{Append, LogId, Payload};

/// The kind of a question that carries a whole state; the first byte is the version.
const STATE: u8 = 4;

/// Whether `request` carries a whole state.
pub(super) fn is_state(request: &[u8]) -> bool {
    request.get(1) == Some(&STATE)
}

/// What stands in whose place.
#[derive(Debug, Default)]
pub(super) struct Bait {
    set: Vec<Slip>,
    /// The last entry that it appended to anybody's log, by term and index.
    sent: (u64, LogIndex),
}

/// One command in the place of another.
#[derive(Debug)]
struct Slip {
    /// In entries of this term alone, which nobody has but from it.
    term: u64,
    /// And after this place only: what it sent somebody as it was cannot be something else for others.
    after: LogIndex,
    proposed: Command,
    forged: Command,
}

impl Slip {
    fn is_for(&self, id: LogId, command: &Command) -> bool {
        self.term == id.term && self.after < id.index && self.proposed == *command
    }
}

impl Bait {
    /// `proposed`, wherever it comes from here on in its own `term`, is `forged` to everybody else.
    pub(super) fn set(&mut self, term: u64, proposed: Command, forged: Command) {
        let (sent_in, sent) = self.sent;
        let after = if sent_in == term { sent } else { 0 };
        self.set.push(Slip { term, after, proposed, forged });
    }

    pub(super) fn is_set(&self) -> bool {
        !self.set.is_empty()
    }

    /// `append` as the others get it; `None` if nothing is in it that was slipped in.
    pub(super) fn slip_into(&mut self, mut append: Append) -> Option<Append> {
        let mut slipped = false;
        for entry in &mut append.entries {
            self.sent = self.sent.max((entry.id.term, entry.id.index));
            let Payload::Proposal(proposal) = &mut entry.payload else { continue };
            let found = self.set.iter().find(|slip| slip.is_for(entry.id, &proposal.command));
            if let Some(slip) = found {
                proposal.command = slip.forged.clone();
                slipped = true;
            }
        }
        slipped.then_some(append)
    }
}

#[cfg(test)]
mod tests {
    use mesh_control::command::Proposal;
    use mesh_model::MemberId;

    use super::super::speech::{Entry, Vote};
    use super::*;

    const PROPOSED: Command = Command::Lapse(MemberId(1));
    const FORGED: Command = Command::Lapse(MemberId(2));

    /// The same proposal at each of `places`, by term and index; where something else is said in its place.
    fn forged_at(bait: &mut Bait, places: &[(u64, LogIndex)]) -> Vec<(u64, LogIndex)> {
        let entry = |(term, index): &(u64, LogIndex)| Entry {
            id: LogId { term: *term, index: *index },
            payload: Payload::Proposal(Proposal { at_ms: 0, command: PROPOSED }),
        };
        let vote = Vote { term: 9, node: 1, committed: true };
        let entries = places.iter().map(entry).collect();
        let slipped = bait.slip_into(Append { vote, prev: None, entries, commit: None });
        let forged = Payload::Proposal(Proposal { at_ms: 0, command: FORGED });
        let entries = slipped.into_iter().flat_map(|append| append.entries);
        entries
            .filter(|entry| entry.payload == forged)
            .map(|entry| (entry.id.term, entry.id.index))
            .collect()
    }

    #[test]
    fn what_somebody_has_is_the_same_for_everybody_and_so_is_what_was_forged() {
        let mut bait = Bait::default();
        assert!(forged_at(&mut bait, &[(8, 40), (9, 7)]).is_empty(), "nothing is set");
        bait.set(9, PROPOSED, FORGED);
        for _ in 0..2 {
            assert_eq!(forged_at(&mut bait, &[(8, 41), (9, 7), (9, 8), (9, 9)]), [(9, 8), (9, 9)]);
        }
        bait.set(10, PROPOSED, FORGED);
        assert_eq!(forged_at(&mut bait, &[(10, 5)]), [(10, 5)], "a new term begins anew");
    }
}
