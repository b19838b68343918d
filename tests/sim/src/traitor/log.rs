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
    /// The last place in the log that it sent anybody anything for.
    sent: LogIndex,
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
        self.set.push(Slip { term, after: self.sent, proposed, forged });
    }

    pub(super) fn is_set(&self) -> bool {
        !self.set.is_empty()
    }

    /// `append` as the others get it; `None` if nothing is in it that was slipped in.
    pub(super) fn slip_into(&mut self, mut append: Append) -> Option<Append> {
        let mut slipped = false;
        for entry in &mut append.entries {
            self.sent = self.sent.max(entry.id.index);
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
