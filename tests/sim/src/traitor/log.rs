//! What the traitor slips into the log while it leads.
//!
//! It has its honest core propose what changes nothing, an invite that stands already, and sends all others something else in
//! that place: a command that nobody signed who may. To all the same, and again to whoever asks later, so that the others' logs
//! stay one log. Each of them has to find at apply that the command is not signed, for the leader's own check is no check.

use std::collections::BTreeMap;

use mesh_control::command::Command;
use mesh_model::LogIndex;

use super::speech::{Append, Payload};

/// The kind of a question that carries a whole state; the first byte is the version.
const STATE: u8 = 4;

/// Whether `request` carries a whole state.
pub(super) fn is_state(request: &[u8]) -> bool {
    request.get(1) == Some(&STATE)
}

/// What stands in whose place.
#[derive(Debug, Default)]
pub(super) struct Bait {
    /// By the index after which it comes: what was proposed, and what the others get.
    set: BTreeMap<LogIndex, (Command, Command)>,
}

impl Bait {
    /// `proposed`, wherever it comes after `last`, is `forged` to everybody else.
    pub(super) fn set(&mut self, last: LogIndex, proposed: Command, forged: Command) {
        self.set.insert(last, (proposed, forged));
    }

    pub(super) fn is_set(&self) -> bool {
        !self.set.is_empty()
    }

    /// `append` as the others get it; `None` if nothing is in it that was slipped in.
    pub(super) fn slip_into(&self, mut append: Append) -> Option<Append> {
        let mut slipped = false;
        for entry in &mut append.entries {
            let Payload::Proposal(proposal) = &mut entry.payload else { continue };
            let before = self.set.range(..entry.id.index);
            let found = before.rev().find(|(_, (proposed, _))| *proposed == proposal.command);
            if let Some((_, (_, forged))) = found {
                proposal.command = forged.clone();
                slipped = true;
            }
        }
        slipped.then_some(append)
    }
}
