//! A member has the WireGuard key that it said last, and no other.
//!
//! A change has a number, names the key before it and is its member's own word. So of each member there is a register that can
//! only rise with the log, read from every host's view and every answer; and what stands is what the member said, word for word.
//! That every host has the key it is agreed to have, and is reached by it, is looked at in `world/rotating.rs`.

use std::collections::BTreeMap;

use mesh_control::command::{Command, Outcome, Refusal, RekeyRefusal};
use mesh_control::raft::Applied;
use mesh_model::trust::Rekey;
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::{LogIndex, MemberId, TunnelKey};

use super::Violation;
use crate::rising::Rising;

pub(crate) const NAME: &str = "last_key_counts";

/// See the [module](self).
#[derive(Default)]
pub struct LastKeyCounts {
    /// What each member said: the key before, and the key.
    said: BTreeMap<(MemberId, u64), (TunnelKey, TunnelKey)>,
    /// How often it was agreed that a member has another key.
    serials: BTreeMap<MemberId, Rising<u64>>,
}

impl LastKeyCounts {
    /// A member says so, and it may be agreed from now on.
    pub fn says(&mut self, rekey: &Rekey) {
        self.said.insert((rekey.member, rekey.serial), (rekey.before, rekey.tunnel));
    }

    /// Somebody was told that `command` came to `applied`.
    pub fn respond(&mut self, command: &Command, applied: &Applied) -> Result<(), Violation> {
        let (member, serial) = match (command, &applied.outcome) {
            (Command::Rekey(signed), Outcome::Rekeyed(member)) => {
                (*member, signed.peek().map_or(0, |rekey| rekey.serial))
            }
            (_, Outcome::Refused(Refusal::Rekey(RekeyRefusal::Stale { member, serial }))) => {
                (*member, *serial)
            }
            _ => return Ok(()),
        };
        self.read((member, serial), applied.index, "an answer")
    }

    /// `by` has `view`.
    pub fn see(&mut self, by: MemberId, view: &ClusterView) -> Result<(), Violation> {
        let banned = view.banned.values().map(|banned| &banned.member);
        for member in view.members.values().chain(banned) {
            self.check_said(member, view.applied)?;
            let serial = member.change.map_or(0, |change| change.serial);
            self.read((member.id, serial), view.applied, &by.to_string())?;
        }
        Ok(())
    }

    fn check_said(&self, member: &MemberView, place: LogIndex) -> Result<(), Violation> {
        // The one that it came in with is `NoForgedRecord`'s to look at.
        let Some(change) = member.change else { return Ok(()) };
        let stands = (change.before, member.tunnel);
        if self.said.get(&(member.id, change.serial)) == Some(&stands) {
            return Ok(());
        }
        let (id, serial) = (member.id, change.serial);
        let message = format!("{id} never said what stands at {place} as change {serial}");
        Err(Violation::new(NAME, message))
    }

    fn read(
        &mut self,
        (member, serial): (MemberId, u64),
        place: LogIndex,
        by: &str,
    ) -> Result<(), Violation> {
        let known = self.serials.entry(member).or_default();
        if known.was(serial, place) {
            return Ok(());
        }
        let message =
            format!("{by} has change {serial} of the key of {member} at {place}: {known:?}");
        Err(Violation::new(NAME, message))
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::IdentitySecret;
    use mesh_model::Signed;
    use mesh_model::view::KeyChange;

    use super::*;
    use crate::invariants::sample;

    const ME: MemberId = MemberId(1);

    /// The `serial`th change of a key, and a view at `place` in which it stands.
    fn change(serial: u64, place: LogIndex) -> (Rekey, ClusterView) {
        let mut view = sample::view(place, 1, &[(1, [0, 1])]);
        let key = |n| TunnelKey([n as u8; 32]);
        let (before, tunnel) = (key(serial), key(serial + 1));
        let shown = view.members.get_mut(&ME).unwrap();
        shown.tunnel = tunnel;
        shown.change = Some(KeyChange { serial, before, at: place, since_ms: 0 });
        (Rekey { mesh: view.mesh(), member: ME, serial, before, tunnel }, view)
    }

    #[test]
    fn a_key_that_its_member_never_said_it_has_is_seen() {
        let mut keys = LastKeyCounts::default();
        let (first, mut view) = change(1, 5);
        assert!(keys.see(ME, &view).is_err());
        keys.says(&first);
        keys.see(ME, &view).unwrap();
        view.members.get_mut(&ME).unwrap().tunnel = TunnelKey([9; 32]);
        assert!(keys.see(ME, &view).is_err());
    }

    #[test]
    fn a_change_that_is_forgotten_or_comes_back_is_seen() {
        let mut keys = LastKeyCounts::default();
        let ((first, early), (second, late)) = (change(1, 5), change(2, 9));
        keys.says(&first);
        keys.says(&second);
        let signed = Signed::seal(&second, &IdentitySecret::from_seed([1; 32]));
        let agreed = Applied { index: 8, outcome: Outcome::Rekeyed(ME) };
        keys.respond(&Command::Rekey(signed), &agreed).unwrap();
        keys.see(ME, &late).unwrap();
        keys.see(ME, &early).unwrap();
        assert!(keys.see(ME, &sample::view(10, 1, &[(1, [0, 1])])).is_err(), "forgotten");
        assert!(keys.see(ME, &ClusterView { applied: 10, ..early }).is_err(), "back again");
    }
}
