//! What people were answered is what one host alone would have answered, asked one thing after the other:
//! agreement is linearisable (Herlihy, Wing: "Linearizability: A Correctness Condition for Concurrent
//! Objects", TOPLAS 1990).
//!
//! Finding an order that explains a history is hard in general. Here the log is the order, and every answer
//! says its place in it; a refusal that was not worth a place says after which entry it was looked up. Two
//! things are left to check, and both can be checked as the answers come:
//!
//! - **Time.** Whatever is asked after something was known, by an answer or by anybody's view, has its place
//!   after it. A refusal may share the place.
//! - **Answers.** In the order of places each answer fits the ones before: an invite stands from some place
//!   on, an identity is one member's from its admission on, a member is gone from some place on. Each is a
//!   register that is written [`Once`], so that proposals nobody got an answer to, which may have been
//!   agreed at any later time or never, need not be guessed. Views count as answers: what a member shows as
//!   agreed up to a place is a read at that place.
//!
//! Views may be old and are not held to the first rule; reads that must not be are held to it by
//! [`ReadsMissNothing`](super::ReadsMissNothing). How often an invite may be used,
//! [`NoAcknowledgedCommandLost`](super::NoAcknowledgedCommandLost) checks. What is written more than once is
//! each another's to check: bans [`NoRulingUndone`](super::NoRulingUndone)'s, admins, labels and access
//! [`AdminsWordHolds`](super::AdminsWordHolds)', who votes [`PolicyNeverOlder`](super::PolicyNeverOlder)'s,
//! and keys [`LastKeyCounts`](super::LastKeyCounts)'.

use std::collections::{BTreeMap, BTreeSet};

use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::raft::Applied;
use mesh_model::trust::{Admission, Ruling, Verdict};
use mesh_model::view::ClusterView;
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{IdentityKey, InviteId, LogIndex, MemberId, Signed};

use super::Violation;
use crate::once::Once;

const NAME: &str = "linearisable";

/// An operation that was begun: what was known then to be agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    after: LogIndex,
}

/// See the [module](self).
#[derive(Default)]
pub struct Linearisable {
    /// The last place anybody was told of.
    known: LogIndex,
    stands: BTreeMap<InviteId, Once>,
    gone: BTreeMap<MemberId, Once>,
    members: BTreeMap<IdentityKey, MemberId>,
    /// Where an identity was told that it is no member.
    absent: BTreeMap<IdentityKey, BTreeSet<LogIndex>>,
}

impl Linearisable {
    /// Somebody begins to ask for something.
    pub fn invoke(&self) -> Invocation {
        Invocation { after: self.known }
    }

    /// `command`, asked for since `begun`, was answered with `applied`.
    pub fn respond(
        &mut self,
        begun: Invocation,
        command: &Command,
        applied: &Applied,
    ) -> Result<(), Violation> {
        let (place, outcome) = (applied.index, &applied.outcome);
        let in_time = match outcome {
            Outcome::Refused(_) => place >= begun.after,
            _ => place > begun.after,
        };
        if !in_time {
            let message = format!(
                "{outcome:?} has its place at {place}, and {} was known when it was asked for",
                begun.after
            );
            return Err(Violation::new(NAME, message));
        }
        self.known = self.known.max(place);
        if self.explains(command, outcome, place) {
            return Ok(());
        }
        let message =
            format!("{outcome:?} at {place} does not follow from what was answered before");
        Err(Violation::new(NAME, message))
    }

    /// `member` has `view`: everything in it is agreed.
    pub fn see(&mut self, member: MemberId, view: &ClusterView) -> Result<(), Violation> {
        self.known = self.known.max(view.applied);
        let mut possible = true;
        let banned = view.banned.values().map(|banned| &banned.member);
        for shown in view.members.values().chain(banned) {
            possible &= self.is_member(shown.identity, shown.id);
            possible &= self.gone.entry(shown.id).or_default().not_yet_at(view.applied);
        }
        let missing = self.members.values().filter(|id| id.0 <= view.applied);
        for id in missing.filter(|id| !view.has_place(**id)) {
            possible &= self.gone.entry(*id).or_default().done_at(view.applied);
        }
        if possible {
            return Ok(());
        }
        let message = format!("what {member} shows at {} contradicts an answer", view.applied);
        Err(Violation::new(NAME, message))
    }

    /// Whether `outcome` at `place` fits everything answered so far.
    fn explains(&mut self, command: &Command, outcome: &Outcome, place: LogIndex) -> bool {
        match (command, outcome) {
            (_, Outcome::InviteAdded(invite)) => self.stood(*invite, place),
            (Command::Admit(admission), Outcome::Admitted { member, .. }) => {
                let invited = member.0 != place || self.stood(admission.invite, place);
                let there = self.gone.entry(*member).or_default().not_yet_at(place);
                let named = identity(admission).is_none_or(|who| self.is_member(who, *member));
                member.0 <= place && invited && there && named
            }
            (_, Outcome::Departed(member)) => {
                member.0 < place && self.gone.entry(*member).or_default().done_at(place)
            }
            (Command::Judge(verdict), Outcome::Judged(member)) if removes(verdict) => {
                member.0 < place && self.gone.entry(*member).or_default().done_at(place)
            }
            (Command::Judge(_), Outcome::Refused(Refusal::UnknownMember(member))) => {
                place < member.0 || self.gone.entry(*member).or_default().done_at(place)
            }
            (Command::Admit(admission), Outcome::Refused(Refusal::Join(refusal))) => {
                self.turned_away(admission, refusal, place)
            }
            (Command::Depart { .. }, Outcome::Refused(Refusal::UnknownMember(member))) => {
                place < member.0
            }
            _ => true,
        }
    }

    fn turned_away(
        &mut self,
        admission: &Admission,
        refusal: &JoinRefusal,
        place: LogIndex,
    ) -> bool {
        match refusal {
            JoinRefusal::UnknownInvite => {
                self.stands.entry(admission.invite).or_default().not_yet_at(place)
            }
            // Members are asked for before the invite is looked at.
            JoinRefusal::Used => {
                let stood = self.stood(admission.invite, place);
                let absent = identity(admission).is_none_or(|who| {
                    self.absent.entry(who).or_default().insert(place);
                    self.was_absent(who)
                });
                stood && absent
            }
            _ => true,
        }
    }

    fn stood(&mut self, invite: InviteId, place: LogIndex) -> bool {
        self.stands.entry(invite).or_default().done_at(place)
    }

    /// `who` was shown to be `member`, which it then is for ever.
    fn is_member(&mut self, who: IdentityKey, member: MemberId) -> bool {
        *self.members.entry(who).or_insert(member) == member && self.was_absent(who)
    }

    /// Wherever `who` was told that it is no member, it was not one yet or had left.
    fn was_absent(&mut self, who: IdentityKey) -> bool {
        let Some(member) = self.members.get(&who) else { return true };
        let Some(told) = self.absent.get(&who) else { return true };
        let gone = self.gone.entry(*member).or_default();
        told.range(member.0..).next().is_none_or(|first| gone.done_at(*first))
    }
}

/// Whether the member goes for good.
fn removes(verdict: &Signed<Verdict>) -> bool {
    verdict.peek().is_ok_and(|verdict| verdict.ruling == Ruling::Removed)
}

/// Who asks to be let in.
fn identity(admission: &Admission) -> Option<IdentityKey> {
    admission.record.peek().ok().map(|record| record.identity)
}

#[cfg(test)]
mod tests {
    use mesh_model::OverlayAddrs;

    use super::*;
    use crate::invariants::sample::view;
    use crate::net::HostNo;
    use crate::seeds::RunSeed;
    use crate::trust::{Keys, Mesh, Paper, Ticket};

    const GUEST: MemberId = MemberId(5);

    /// An invite, an admission under it, and that member's goodbye.
    fn commands() -> (Ticket, Command, Command) {
        let mesh = Mesh::found(RunSeed(1), &Keys::new(RunSeed(1), HostNo(1), 0));
        let guest = Keys::new(RunSeed(1), HostNo(2), 0);
        let ticket = mesh.invite(1, 1, 0);
        let admission = Command::Admit(ticket.admission(&mesh.root, &guest));
        (ticket, admission, guest.depart(&mesh.root, GUEST))
    }

    fn addrs() -> OverlayAddrs {
        view(1, 1, &[(1, [0, 1])]).members[&MemberId(1)].addrs
    }

    fn admitted() -> Outcome {
        Outcome::Admitted { member: GUEST, addrs: addrs() }
    }

    fn refused(refusal: JoinRefusal) -> Outcome {
        Outcome::Refused(refusal.into())
    }

    /// Whether the history of `answers`, all asked at once and answered in this order, passes.
    fn passes(answers: &[(&Command, LogIndex, Outcome)]) -> bool {
        let mut history = Linearisable::default();
        let begun = history.invoke();
        answers.iter().all(|(command, index, outcome)| {
            let applied = Applied { index: *index, outcome: outcome.clone() };
            history.respond(begun, command, &applied).is_ok()
        })
    }

    #[test]
    fn what_is_asked_later_has_a_later_place() {
        let (ticket, admission, _) = commands();
        let mut history = Linearisable::default();
        let (early, added) = (history.invoke(), Outcome::InviteAdded(ticket.invite.id));
        let at = |index, outcome: &Outcome| Applied { index, outcome: outcome.clone() };
        history.respond(early, &ticket.command(), &at(7, &added)).unwrap();
        history.respond(early, &ticket.command(), &at(3, &added)).unwrap();
        let late = history.invoke();
        assert!(history.respond(late, &ticket.command(), &at(7, &added)).is_err());
        let unknown = refused(JoinRefusal::Departed);
        history.respond(late, &admission, &at(7, &unknown)).unwrap();
        assert!(history.respond(late, &admission, &at(6, &unknown)).is_err());
        history.see(MemberId(1), &view(9, 1, &[])).unwrap();
        let later = history.invoke();
        assert!(history.respond(later, &admission, &at(8, &unknown)).is_err(), "somebody saw 9");
    }

    #[test]
    fn an_invite_stands_from_its_place_on() {
        let (ticket, admission, _) = commands();
        let (invite, added) = (ticket.command(), Outcome::InviteAdded(ticket.invite.id));
        let unknown = || refused(JoinRefusal::UnknownInvite);
        assert!(passes(&[(&invite, 4, added.clone()), (&admission, 3, unknown())]));
        assert!(!passes(&[(&invite, 4, added.clone()), (&admission, 4, unknown())]));
        assert!(!passes(&[(&admission, 6, unknown()), (&admission, 5, admitted())]));
    }

    #[test]
    fn a_member_is_one_until_it_has_left_and_never_again() {
        let (_, admission, goodbye) = commands();
        let left = || Outcome::Departed(GUEST);
        assert!(passes(&[(&goodbye, 9, left()), (&admission, 8, admitted())]));
        assert!(!passes(&[(&goodbye, 8, left()), (&admission, 9, admitted())]));
        assert!(!passes(&[(&goodbye, 5, left())]), "before it came");
        let other = Outcome::Admitted { member: MemberId(7), addrs: addrs() };
        assert!(!passes(&[(&admission, 5, admitted()), (&admission, 8, other)]));
    }

    #[test]
    fn a_member_that_has_not_left_is_not_turned_away() {
        let (_, admission, goodbye) = commands();
        let used = || refused(JoinRefusal::Used);
        assert!(passes(&[(&admission, 4, used()), (&admission, 5, admitted())]));
        assert!(
            passes(&[(&admission, 5, admitted()), (&admission, 9, used())]),
            "it may have left"
        );
        let here = [(&admission, 9, used()), (&admission, 5, admitted())];
        assert!(!passes(&[&here[..], &[(&admission, 10, admitted())]].concat()));
        assert!(passes(&[&here[..], &[(&goodbye, 10, Outcome::Departed(GUEST))]].concat()));
        let unknown = Outcome::Refused(Refusal::UnknownMember(GUEST));
        assert!(passes(&[(&goodbye, 4, unknown.clone())]));
        assert!(!passes(&[(&goodbye, 5, unknown)]));
    }

    #[test]
    fn one_that_was_removed_has_left() {
        let (_, admission, goodbye) = commands();
        let keys = Keys::new(RunSeed(1), HostNo(1), 0);
        let mesh = Mesh::found(RunSeed(1), &keys);
        let verdict = mesh.verdict((GUEST, keys.identity.public()), 1, Ruling::Removed);
        let (removal, judged) = (mesh.sign(&Paper::Verdict(verdict)), Outcome::Judged(GUEST));
        let left = Outcome::Departed(GUEST);
        assert!(passes(&[(&removal, 9, judged.clone()), (&goodbye, 10, left)]));
        assert!(!passes(&[(&removal, 8, judged), (&admission, 9, admitted())]));
        let unknown = Outcome::Refused(Refusal::UnknownMember(GUEST));
        assert!(passes(&[(&removal, 4, unknown.clone())]));
        assert!(!passes(&[(&removal, 6, unknown), (&admission, 7, admitted())]));
    }

    #[test]
    fn a_view_that_contradicts_an_answer_is_seen() {
        let (_, _, goodbye) = commands();
        let mut history = Linearisable::default();
        let applied = Applied { index: 8, outcome: Outcome::Departed(GUEST) };
        history.respond(history.invoke(), &goodbye, &applied).unwrap();
        history.see(MemberId(1), &view(7, 1, &[(5, [0, 2])])).unwrap();
        assert!(history.see(MemberId(1), &view(8, 1, &[(5, [0, 2])])).is_err());
    }
}
