//! Letting a host in.
//!
//! The chain root -> admin -> invite -> record is checked first, then who asks: an identity joins once, and one that is
//! banned or was here before is not let in by another invite.

use mesh_model::audit::{Actor, Event};
use mesh_model::trust::{Admission, MemberRecord};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{IdentityKey, LogIndex, MemberId, OverlayAddrs};

use super::invites::InviteEntry;
use super::ipam::allocate_within;
use super::members::{Member, Newcomer};
use super::{Decision, State};
use crate::command::{Outcome, Refusal, reason};

impl State {
    /// What the joiner says of itself, and the invite it comes under, if the chain holds.
    pub(super) fn genuine_record(
        &self,
        admission: &Admission,
    ) -> Result<(MemberRecord, &InviteEntry), Refusal> {
        let invite = self.invites.get(&admission.invite).ok_or(JoinRefusal::UnknownInvite)?;
        let record = admission
            .verify(invite.terms(), &self.founding.genesis.root)
            .map_err(|error| JoinRefusal::Chain(reason(&error)))?;
        Ok((record, invite))
    }

    /// Whether the one with `identity` was put out of the mesh, for a time or for good.
    pub(super) fn check_outcast(&self, identity: &IdentityKey) -> Result<(), Refusal> {
        let banned = |(id, _): (MemberId, &Member)| self.is_out(id);
        if self.members.by_identity(identity).is_some_and(banned) {
            return Err(JoinRefusal::Banned.into());
        }
        match self.members.has_departed(identity) {
            true => Err(JoinRefusal::Departed.into()),
            false => Ok(()),
        }
    }

    /// Lets a host in.
    pub(super) fn admit(
        &mut self,
        index: LogIndex,
        admission: &Admission,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (record, invite) = self.genuine_record(admission)?;
        let prefixes = &self.founding.genesis.prefixes;
        self.check_outcast(&record.identity)?;
        // Proven to be who it says: a member that asks again hears what it missed, whatever has
        // become of its invite since.
        if let Some((id, member)) = self.members.by_identity(&record.identity) {
            return Ok(Decision::Already(Outcome::Admitted { member: id, addrs: member.addrs() }));
        }
        // The invite first: a spent one shall not serve to find out who is there.
        invite.check_open(now_ms, &self.admins)?;
        self.members.check_newcomer(index, &record, &self.keys)?;
        let taken = self.members.ipv4_in_use();
        let (range, used) = (invite.terms().range, invite.used());
        let v4 = match range {
            None => self.ipam.allocate(prefixes.v4, &taken),
            Some(range) => allocate_within(range, prefixes.v4, used, &taken),
        };
        let from = range.unwrap_or(prefixes.v4);
        let v4 = v4.ok_or_else(|| JoinRefusal::AddressesExhausted(from.to_string()))?;
        let member = MemberId(index);
        let addrs = OverlayAddrs { v4, v6: prefixes.ipv6_of(member) };
        let by = Actor::Joiner { invite: admission.invite, member };
        let event = Event::Admitted { member, name: record.name.clone() };
        self.invites.spend(&admission.invite);
        self.members.insert(member, Newcomer { record, admission: admission.clone(), addrs });
        Ok(Decision::Changed(by, event, Outcome::Admitted { member, addrs }))
    }
}
