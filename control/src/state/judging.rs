//! Carrying out what an admin rules about a member.
//!
//! The verdict's signature, its mesh, and that id and identity belong together are checked here, on every
//! member; [`Bans`](super::Bans) says whether it is the last word.

use mesh_model::audit::{Actor, Event};
use mesh_model::trust::{Ruling, Verdict};
use mesh_model::{MemberId, Signed};

use super::members::{Departed, Farewell};
use super::{Decision, State};
use crate::command::{Outcome, Refusal};

impl State {
    /// What the root ruled, if it did, and whether that is news.
    pub(super) fn genuine_verdict(
        &self,
        signed: &Signed<Verdict>,
    ) -> Result<(Verdict, bool), Refusal> {
        let verdict = Verdict::verify(signed, &self.founding.genesis.root)?;
        if self.members.was_removed(verdict.member, signed) {
            return Ok((verdict, false));
        }
        let member = self.members.present().get(&verdict.member);
        let member = member.ok_or(Refusal::UnknownMember(verdict.member))?;
        if member.record().identity != verdict.identity {
            return Err(Refusal::OtherIdentity(verdict.member));
        }
        let is_news = self.bans.is_news(&verdict)?;
        Ok((verdict, is_news))
    }

    /// Carries a verdict out.
    pub(super) fn judge(
        &mut self,
        signed: &Signed<Verdict>,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (verdict, is_news) = self.genuine_verdict(signed)?;
        let (member, identity) = (verdict.member, verdict.identity);
        let outcome = Outcome::Judged(member);
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        let event = match &verdict.ruling {
            Ruling::Banned { until_ms, reason } => {
                Event::Banned { member, until_ms: *until_ms, reason: reason.clone() }
            }
            Ruling::Pardoned => Event::Pardoned { member },
            Ruling::Removed => Event::Removed { member },
        };
        if verdict.ruling == Ruling::Removed {
            let farewell = Farewell::Removed(signed.clone());
            self.members.let_go(member, Departed { identity, farewell });
            self.forget(member);
        } else {
            self.bans.insert(signed, verdict, now_ms);
        }
        Ok(Decision::Changed(Actor::Root, event, outcome))
    }

    /// Ends a ban whose time is over.
    pub(super) fn lapse(&mut self, member: MemberId, now_ms: u64) -> Result<Decision, Refusal> {
        let outcome = Outcome::Lapsed(member);
        if !self.bans.check_lapse(member, now_ms)? {
            return Ok(Decision::Already(outcome));
        }
        self.bans.lapse(member);
        Ok(Decision::Changed(Actor::Time, Event::BanLapsed { member }, outcome))
    }
}
