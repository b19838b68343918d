//! Carrying out a member's word that its WireGuard key is another one.
//!
//! Whose word it is, that the key may be had and that it is not said too often are checked here, on every member;
//! [`Keys`](super::Keys) says whether it is the next word.

use mesh_model::audit::{Actor, Event};
use mesh_model::signed::SignedError;
use mesh_model::trust::Rekey;
use mesh_model::{LogIndex, MemberId, Signed, TunnelKey};

use super::{Decision, State};
use crate::command::{Outcome, Refusal, RekeyRefusal};

/// How often a member's key may change within [`DAY_MS`]. A day's work of anybody who rotates keys takes one or two, and one
/// that was broken into, and needs nobody's consent, would take two months to push what admins decided out of the trail,
/// which keeps 1024 entries.
pub(crate) const MOST_A_DAY: usize = 16;

/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl State {
    /// What `member` has to sign to have the key `tunnel` in place of the one it has; `None` if it has no place in the mesh.
    pub fn next_rekey(&self, member: MemberId, tunnel: TunnelKey) -> Option<Rekey> {
        let first = self.members.present().get(&member)?.record().tunnel;
        Some(Rekey {
            mesh: self.founding.genesis.root.mesh,
            member,
            serial: self.keys.serial(member).saturating_add(1),
            before: self.keys.current(member, first),
            tunnel,
        })
    }

    /// What a member says of its key, if it does and it may, and whether that is news.
    pub(super) fn genuine_rekey(
        &self,
        signed: &Signed<Rekey>,
        now_ms: u64,
    ) -> Result<(Rekey, bool), Refusal> {
        let claimed = signed.peek().map_err(SignedError::from)?.member;
        let member = self.members.present().get(&claimed);
        let member = member.ok_or(Refusal::UnknownMember(claimed))?.record();
        let mesh = self.founding.genesis.root.mesh;
        let rekey = Rekey::verify(signed, mesh, &member.identity)?;
        if self.is_out(claimed) {
            return Err(RekeyRefusal::Banned(claimed).into());
        }
        let is_news = self.keys.is_news(&rekey, member.tunnel)?;
        if is_news {
            self.check_new_key(rekey.tunnel)?;
            self.check_pace(claimed, now_ms)?;
        }
        Ok((rekey, is_news))
    }

    /// Whether the key of `member` may change once more. The trail knows how often it did.
    fn check_pace(&self, member: MemberId, now_ms: u64) -> Result<(), RekeyRefusal> {
        let is_one =
            |event: &Event| matches!(event, Event::Rekeyed { member: of, .. } if *of == member);
        let lately = self.audit.iter().filter(|entry| now_ms < entry.at_ms.saturating_add(DAY_MS));
        match lately.filter(|entry| is_one(&entry.event)).count() {
            ..MOST_A_DAY => Ok(()),
            _ => Err(RekeyRefusal::TooOften(member)),
        }
    }

    /// Whether anybody may have `key` that does not have it.
    fn check_new_key(&self, key: TunnelKey) -> Result<(), RekeyRefusal> {
        if key.is_degenerate() {
            return Err(RekeyRefusal::Degenerate);
        }
        match self.members.is_tunnel_taken(key, &self.keys) {
            true => Err(RekeyRefusal::KeyUsed),
            false => Ok(()),
        }
    }

    /// Gives a member the key it says it has.
    pub(super) fn rekey(
        &mut self,
        index: LogIndex,
        signed: &Signed<Rekey>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (rekey, is_news) = self.genuine_rekey(signed, now_ms)?;
        let Rekey { member, serial, tunnel: key, .. } = rekey;
        let outcome = Outcome::Rekeyed(member);
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        self.keys.insert(signed.clone(), rekey, index, now_ms);
        let event = Event::Rekeyed { member, serial, key };
        Ok(Decision::Changed(Actor::Member { member }, event, outcome))
    }
}
