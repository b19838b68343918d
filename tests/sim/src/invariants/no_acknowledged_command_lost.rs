//! What somebody was told is agreed stays agreed, through any crash, of all hosts at once too.
//!
//! Three looks: no two commands are acknowledged for one place in the log; every later view shows
//! what was acknowledged; and at the end every command, proposed again, must meet itself (commands
//! are idempotent, so the answer to a repeated one is the answer to the first) or what has overruled it since.

use std::collections::BTreeMap;

use mesh_control::command::{Command, Outcome, Refusal, RekeyRefusal};
use mesh_control::raft::Applied;
use mesh_model::trust::{Rekey, Ruling, Verdict};
use mesh_model::view::ClusterView;
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{InviteId, LogIndex, MemberId};

use super::{NoRulingUndone, Violation};
use crate::reference::{Ack, Reference};

const NAME: &str = "no_acknowledged_command_lost";

/// See the [module](self).
#[derive(Default)]
pub struct NoAcknowledgedCommandLost {
    places: BTreeMap<LogIndex, Command>,
}

impl NoAcknowledgedCommandLost {
    /// `command` is acknowledged.
    pub fn check_ack(&mut self, command: &Command, applied: &Applied) -> Result<(), Violation> {
        // A refusal may have no place of its own, but the index of the entry before it.
        if matches!(applied.outcome, Outcome::Refused(_)) {
            return Ok(());
        }
        let first = self.places.entry(applied.index).or_insert_with(|| command.clone());
        if first == command {
            return Ok(());
        }
        let message = format!("two commands were acknowledged at index {}", applied.index);
        Err(Violation::new(NAME, message))
    }

    /// `member` has `view`.
    pub fn check_view(
        &self,
        member: MemberId,
        view: &ClusterView,
        reference: &Reference,
    ) -> Result<(), Violation> {
        for ack in reference.acks().iter().filter(|ack| ack.index <= view.applied) {
            let kept = match &ack.outcome {
                Outcome::Admitted { member, addrs } => match view.place_of(*member) {
                    Some(found) => found.addrs == *addrs,
                    None => reference.is_leaving(*member),
                },
                Outcome::Departed(member) => !view.has_place(*member),
                // What follows from what admins said, `NoRulingUndone`, `PolicyNeverOlder`, `AdminsWordHolds`
                // and `LastKeyCounts` know.
                Outcome::InviteAdded(_)
                | Outcome::Judged(_)
                | Outcome::Lapsed(_)
                | Outcome::VotersSet(_)
                | Outcome::InviteRevoked(_)
                | Outcome::AdminsChanged(_)
                | Outcome::Tagged(_)
                | Outcome::AccessSet(_)
                | Outcome::Excluded(_)
                | Outcome::Rekeyed(_)
                | Outcome::Tried(_)
                | Outcome::Refused(_) => true,
            };
            if !kept {
                let (at, what) = (view.applied, describe(ack));
                return Err(Violation::new(NAME, format!("{member} at index {at} lacks {what}")));
            }
        }
        Ok(())
    }

    /// The command of `ack`, proposed again, came to `again`.
    pub fn check_again(
        &self,
        ack: &Ack,
        again: &Applied,
        (reference, rulings): (&Reference, &NoRulingUndone),
    ) -> Result<(), Violation> {
        let same = ack.outcome == again.outcome;
        // What was refused once may be welcome now.
        let overtaken = matches!(ack.outcome, Outcome::Refused(_))
            || matches!(&again.outcome, Outcome::Refused(refusal)
                if may_be_overtaken(ack, (refusal, again.index), reference, rulings));
        let later = match again.outcome {
            Outcome::Refused(_) => again.index >= ack.index,
            _ => again.index > ack.index,
        };
        if later && (same || overtaken) {
            return Ok(());
        }
        let (first, index, outcome) = (describe(ack), again.index, &again.outcome);
        let message = format!("{first}, repeated at index {index}, came to {outcome:?}");
        Err(Violation::new(NAME, message))
    }

    /// An admission under `invite`, known to stand, came to `outcome`, when `admitted` hosts had been
    /// admitted under it, which is good for `uses`.
    pub fn check_invite(
        &self,
        invite: InviteId,
        outcome: &Outcome,
        (admitted, uses): (usize, u32),
    ) -> Result<(), Violation> {
        if let Outcome::Refused(Refusal::Join(JoinRefusal::UnknownInvite)) = outcome {
            return Err(Violation::new(NAME, format!("invite {invite} stood and is unknown now")));
        }
        if admitted > uses as usize {
            let message = format!("invite {invite} for {uses} admitted {admitted}");
            return Err(Violation::new("no_token_spent_twice", message));
        }
        Ok(())
    }
}

/// Whether something agreed after `ack` can be why its command is refused with `refusal` at `place` now.
fn may_be_overtaken(
    ack: &Ack,
    (refusal, place): (&Refusal, LogIndex),
    reference: &Reference,
    rulings: &NoRulingUndone,
) -> bool {
    match (&ack.outcome, refusal) {
        (Outcome::Admitted { member, .. }, Refusal::Join(JoinRefusal::Banned)) => {
            rulings.may_be_banned(*member, place)
        }
        (Outcome::Admitted { member, .. }, _) => reference.is_leaving(*member),
        (Outcome::Judged(_), _) => match (verdict(&ack.command), refusal) {
            (Some(Verdict { ruling: Ruling::Removed, .. }), _) | (None, _) => false,
            (Some(own), Refusal::Overruled { member, serial }) => {
                own.member == *member && own.serial < *serial
            }
            (Some(own), Refusal::UnknownMember(member)) => {
                own.member == *member && reference.is_leaving(*member)
            }
            _ => false,
        },
        // A later verdict has taken the place of the one that lapsed.
        (Outcome::Lapsed(member), Refusal::NotBanned(other) | Refusal::StillBanned(other)) => {
            member == other
        }
        (Outcome::VotersSet(serial), Refusal::StalePolicy(later))
        | (Outcome::AccessSet(serial), Refusal::StaleAccess(later)) => serial < later,
        (Outcome::Tagged(member), Refusal::StaleTags { member: other, .. }) => member == other,
        (Outcome::Tagged(member), Refusal::UnknownMember(_)) => reference.is_leaving(*member),
        (Outcome::Rekeyed(member), Refusal::Rekey(refusal)) => match refusal {
            RekeyRefusal::Stale { member: other, serial } => {
                let own = rekey(&ack.command).is_some_and(|own| own.serial < *serial);
                member == other && own
            }
            RekeyRefusal::Banned(other) => rulings.may_be_banned(*other, place),
            _ => false,
        },
        (Outcome::Rekeyed(member), Refusal::UnknownMember(_)) => reference.is_leaving(*member),
        // Who signed it may be no admin any more.
        (Outcome::Tagged(_) | Outcome::AccessSet(_), Refusal::Chain(_)) => true,
        _ => false,
    }
}

fn verdict(command: &Command) -> Option<Verdict> {
    match command {
        Command::Judge(signed) => signed.peek().ok(),
        _ => None,
    }
}

fn rekey(command: &Command) -> Option<Rekey> {
    match command {
        Command::Rekey(signed) => signed.peek().ok(),
        _ => None,
    }
}

fn describe(ack: &Ack) -> String {
    let what = match &ack.outcome {
        Outcome::InviteAdded(invite) => format!("invite {invite}"),
        Outcome::Admitted { member, .. } => format!("the admission of {member}"),
        Outcome::Departed(member) => format!("the departure of {member}"),
        Outcome::Judged(member) => format!("the ruling about {member}"),
        Outcome::Lapsed(member) => format!("the end of the ban of {member}"),
        Outcome::InviteRevoked(invite) => format!("the end of invite {invite}"),
        Outcome::AdminsChanged(serial) => format!("change {serial} of admins"),
        Outcome::VotersSet(serial) => format!("policy {serial} on who votes"),
        Outcome::Tagged(member) => format!("the tags of {member}"),
        Outcome::AccessSet(serial) => format!("policy {serial} on who may reach whom"),
        Outcome::Excluded(member) => format!("the exclusion of {member}"),
        Outcome::Rekeyed(member) => format!("the key of {member}"),
        Outcome::Tried(number) => format!("trial {number}"),
        Outcome::Refused(refusal) => format!("the refusal ({refusal})"),
    };
    format!("{what}, acknowledged at index {}", ack.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::view;
    use crate::net::HostNo;
    use crate::seeds::RunSeed;
    use crate::trust::{Keys, Mesh, Paper};

    const GUEST: MemberId = MemberId(3);

    fn commands() -> (Command, Command) {
        let keys = Keys::new(RunSeed(1), HostNo(1), 0);
        let mesh = Mesh::found(RunSeed(1), &keys);
        let ticket = mesh.invite(1, 1, 0);
        let guest = Keys::new(RunSeed(1), HostNo(2), 0);
        let admission = Command::Admit(ticket.admission(&mesh.root, &guest));
        (admission, guest.depart(&mesh.root, GUEST))
    }

    fn at(index: LogIndex, outcome: Outcome) -> Applied {
        Applied { index, outcome }
    }

    /// Whether `ack`, asked for again, may come to `again` when nobody is leaving and nobody was ruled about.
    fn meets(ack: &Ack, again: &Applied) -> bool {
        let known = (&Reference::default(), &NoRulingUndone::default());
        NoAcknowledgedCommandLost::default().check_again(ack, again, known).is_ok()
    }

    #[test]
    fn a_view_that_lacks_what_was_acknowledged_is_seen() {
        let (admission, _) = commands();
        let with = view(5, 1, &[(1, [0, 1]), (3, [0, 2])]);
        let without = view(5, 1, &[(1, [0, 1])]);
        let addrs = with.members[&GUEST].addrs;
        let mut reference = Reference::default();
        reference.acknowledge(admission, at(3, Outcome::Admitted { member: GUEST, addrs }));
        let lost = NoAcknowledgedCommandLost::default();
        lost.check_view(MemberId(1), &with, &reference).unwrap();
        lost.check_view(MemberId(1), &view(2, 1, &[(1, [0, 1])]), &reference).unwrap();
        assert!(lost.check_view(MemberId(1), &without, &reference).is_err());
        reference.ask_to_leave(GUEST);
        lost.check_view(MemberId(1), &without, &reference).unwrap();
    }

    #[test]
    fn two_commands_in_one_place_are_seen() {
        let (admission, departure) = commands();
        let mut lost = NoAcknowledgedCommandLost::default();
        let gone = at(4, Outcome::Departed(GUEST));
        lost.check_ack(&departure, &gone).unwrap();
        lost.check_ack(&departure, &gone).unwrap();
        assert!(lost.check_ack(&admission, &gone).is_err());
    }

    #[test]
    fn a_repeated_command_that_does_not_meet_itself_is_seen() {
        let (_, command) = commands();
        let ack = Ack { index: 4, command, outcome: Outcome::Departed(GUEST) };
        assert!(meets(&ack, &at(9, ack.outcome.clone())));
        assert!(!meets(&ack, &at(4, ack.outcome.clone())));
        assert!(!meets(&ack, &at(9, Outcome::Refused(Refusal::UnknownMember(GUEST)))));
    }

    #[test]
    fn a_repeated_verdict_meets_itself_or_a_later_one() {
        let keys = Keys::new(RunSeed(1), HostNo(1), 0);
        let mesh = Mesh::found(RunSeed(1), &keys);
        let ruled = |ruling| {
            let verdict = mesh.verdict((GUEST, keys.identity.public()), 5, ruling);
            let command = mesh.sign(&Paper::Verdict(verdict));
            Ack { index: 4, command, outcome: Outcome::Judged(GUEST) }
        };
        let overruled = |serial| Outcome::Refused(Refusal::Overruled { member: GUEST, serial });
        let pardon = ruled(Ruling::Pardoned);
        assert!(meets(&pardon, &at(9, pardon.outcome.clone())));
        assert!(meets(&pardon, &at(9, overruled(6))));
        assert!(!meets(&pardon, &at(9, overruled(5))));
        assert!(!meets(&pardon, &at(9, Outcome::Refused(Refusal::UnknownMember(GUEST)))));
        assert!(!meets(&ruled(Ruling::Removed), &at(9, overruled(6))));
    }

    #[test]
    fn a_repeated_policy_meets_itself_or_a_later_one() {
        let (command, _) = commands();
        let ack = Ack { index: 4, command, outcome: Outcome::VotersSet(3) };
        let stale = |serial| at(9, Outcome::Refused(Refusal::StalePolicy(serial)));
        assert!(meets(&ack, &at(9, ack.outcome.clone())) && meets(&ack, &stale(4)));
        assert!(!meets(&ack, &stale(3)));
    }

    #[test]
    fn a_member_that_nobody_banned_is_not_turned_away_as_banned() {
        let (command, _) = commands();
        let addrs = view(5, 1, &[(3, [0, 2])]).members[&GUEST].addrs;
        let ack = Ack { index: 3, command, outcome: Outcome::Admitted { member: GUEST, addrs } };
        assert!(!meets(&ack, &at(9, Outcome::Refused(JoinRefusal::Banned.into()))));
    }

    #[test]
    fn an_invite_used_too_often_or_forgotten_is_seen() {
        let lost = NoAcknowledgedCommandLost::default();
        let invite = InviteId([1; 16]);
        let used = Outcome::Refused(JoinRefusal::Used.into());
        lost.check_invite(invite, &used, (1, 1)).unwrap();
        assert!(lost.check_invite(invite, &used, (2, 1)).is_err());
        let unknown = Outcome::Refused(JoinRefusal::UnknownInvite.into());
        assert!(lost.check_invite(invite, &unknown, (0, 1)).is_err());
    }
}
