//! Carrying out a goodbye, and forgetting whoever has no place in the mesh any more.

use mesh_model::audit::{Actor, Event};
use mesh_model::trust::Departure;
use mesh_model::{MemberId, Signed};

use super::{Decision, Member, State};
use crate::command::{Outcome, Refusal};

impl State {
    /// Lets a member go that says goodbye.
    pub(super) fn depart(
        &mut self,
        member: MemberId,
        departure: &Signed<Departure>,
    ) -> Result<Decision, Refusal> {
        let outcome = Outcome::Departed(member);
        let mesh = self.founding.genesis.root.mesh;
        let Some(was) = self.members.depart(member, departure, mesh)? else {
            return Ok(Decision::Already(outcome));
        };
        self.forget(member, &was);
        let event = Event::Departed { member };
        Ok(Decision::Changed(Actor::Member { member }, event, outcome))
    }

    /// `member` has no place in the mesh any more, so nothing needs to be known of it but how it came in, where
    /// others are shut out on its word.
    pub(super) fn forget(&mut self, member: MemberId, was: &Member) {
        self.bans.forget(member);
        self.exclusions.forget(member);
        if let Some(admission) = was.admission() {
            self.exclusions.keep_admission(member, admission);
        }
        self.voted.remove(&member);
        self.tags.forget(member);
        self.keys.forget(member);
    }
}
