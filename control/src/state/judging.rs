//! Carrying out what an admin rules about a member.
//!
//! The verdict's signature, its mesh, and that id and identity belong together are checked here, on every
//! member; [`Bans`](super::Bans) says whether it is the last word.

use mesh_model::audit::{Actor, Event};
use mesh_model::trust::{AdminStatement as _, Ruling, Verdict};
use mesh_model::{AdminId, LogIndex, MemberId, Signed};

use super::members::{Departed, Farewell};
use super::{Decision, State, Stated};
use crate::command::{Outcome, Refusal};

impl State {
    /// What an admin ruled, if one did, and whether that is news at `now_ms`.
    pub(super) fn genuine_verdict(
        &self,
        signed: &Signed<Verdict>,
        now_ms: u64,
    ) -> Result<(Verdict, AdminId, bool), Refusal> {
        let (verdict, by) = self.said_by_admin(signed)?;
        if self.members.was_removed(verdict.member, signed) {
            return Ok((verdict, by, false));
        }
        let member = self.members.present().get(&verdict.member);
        let member = member.ok_or(Refusal::UnknownMember(verdict.member))?;
        if member.record().identity != verdict.identity {
            return Err(Refusal::OtherIdentity(verdict.member));
        }
        let is_news = self.bans.is_news(&verdict, now_ms)?;
        Ok((verdict, by, is_news))
    }

    /// Carries a verdict out.
    pub(super) fn judge(
        &mut self,
        index: LogIndex,
        signed: &Signed<Verdict>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (verdict, by, is_news) = self.genuine_verdict(signed, now_ms)?;
        let (member, identity, event) = (verdict.member, verdict.identity, verdict.event());
        let outcome = Outcome::Judged(member);
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        let is_removal = verdict.ruling == Ruling::Removed;
        let stated = Stated::new(signed.clone(), verdict, by, index);
        if is_removal {
            let farewell = Farewell::Removed(stated);
            if let Some(was) = self.members.let_go(member, Departed { identity, farewell }) {
                self.forget(member, &was);
            }
        } else {
            self.bans.insert(stated, now_ms);
        }
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }

    /// Ends a ban or an exclusion whose time is over.
    pub(super) fn lapse(&mut self, member: MemberId, now_ms: u64) -> Result<Decision, Refusal> {
        let outcome = Outcome::Lapsed(member);
        if !self.check_lapse(member, now_ms)? {
            return Ok(Decision::Already(outcome));
        }
        match self.exclusion(member) {
            Some(_) => self.exclusions.lapse(member),
            None => self.bans.lapse(member),
        }
        Ok(Decision::Changed(Actor::Time, Event::BanLapsed { member }, outcome))
    }
}
