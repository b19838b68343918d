//! Shutting a member out for a time, on the word of other members.
//!
//! No admin signs this, and admins are asleep when it is needed. So it rests on many: on signed reports of members that
//! came in by different ways ([`Lineage`](super::Lineage)), of more than half of all such ways. The supervisor collects them and
//! proposes; every member checks them again here, so a supervisor can neither make one up nor count one twice. What it
//! can do is not propose.
//!
//! **What it cannot be used for**: in a mesh of one or two lineages nothing, whoever came in by a stolen token being one
//! of them; against more than a few at once; against one that an admin has spoken about since; for longer than half a
//! day, or again within a day after that.

use std::collections::BTreeSet;

use mesh_model::trust::Report;
use mesh_model::{LogIndex, MemberId, Signed};

use super::exclusions::{Exclusion, Grounds, MAX_EXCLUDED, MAX_QUORUM, MAX_REMEMBERED, quorum};
use super::{Decision, State};
use crate::command::{ExclusionRefusal, Outcome, Refusal};

impl State {
    /// The exclusion of `member` that holds. Whatever an admin has ruled about the member since ended it.
    pub fn exclusion(&self, member: MemberId) -> Option<&Exclusion> {
        let exclusion = self.exclusions.get(member).filter(|exclusion| !exclusion.has_lapsed())?;
        let ruled = self.bans.get(member).map_or(0, |ruling| ruling.stated().at());
        (ruled < exclusion.at()).then_some(exclusion)
    }

    /// Whether nobody is to have to do with `member` for now: it is banned or excluded.
    pub fn is_out(&self, member: MemberId) -> bool {
        self.bans.ban(member).is_some() || self.exclusion(member).is_some()
    }

    /// Whether `member`, which has a place in the mesh, could be excluded at `now_ms` if enough reported it.
    pub fn check_excludable(&self, member: MemberId, now_ms: u64) -> Result<(), ExclusionRefusal> {
        if self.is_out(member) {
            return Err(ExclusionRefusal::IsOut(member));
        }
        if let Some(last) = self.exclusions.get(member)
            && now_ms < last.again_ms()
        {
            return Err(ExclusionRefusal::Pause(member));
        }
        let holding = self.exclusions.iter().filter(|(id, _)| self.exclusion(**id).is_some());
        if holding.count() >= MAX_EXCLUDED {
            return Err(ExclusionRefusal::TooManyAtOnce);
        }
        if self.exclusions.needed(self.now_ms) >= MAX_REMEMBERED {
            return Err(ExclusionRefusal::TooManyLately);
        }
        Ok(())
    }

    /// What `signed` says, if it is a present member's word about another one that counts at `now_ms`.
    pub fn genuine_report(&self, signed: &Signed<Report>, now_ms: u64) -> Result<Report, Refusal> {
        let said = signed.peek().map_err(mesh_model::signed::SignedError::from)?;
        let (reporter, subject) = (said.reporter, said.subject);
        let present = self.members.present();
        let from = present.get(&reporter).filter(|_| !self.is_out(reporter));
        let from = from.ok_or(ExclusionRefusal::NoReporter(reporter))?;
        let report =
            Report::verify(signed, self.founding.genesis.root.mesh, &from.record().identity)?;
        let about = present.get(&subject).ok_or(Refusal::UnknownMember(subject))?;
        if about.record().identity != report.identity {
            return Err(Refusal::OtherIdentity(subject));
        }
        if reporter == subject {
            return Err(ExclusionRefusal::OfItself(reporter).into());
        }
        if !report.is_fresh_at(now_ms) {
            return Err(ExclusionRefusal::NotFresh(reporter).into());
        }
        // An admin has heard more than a report from before it spoke.
        let ruling = self.bans.get(subject);
        if ruling.is_some_and(|ruling| report.made_ms <= ruling.since_ms()) {
            return Err(ExclusionRefusal::BeforeRuling(reporter).into());
        }
        Ok(report)
    }

    /// What `subject` is excluded on, if that can be done on `reports`. `None`: it was, on the very same.
    pub(super) fn genuine_exclusion(
        &self,
        subject: MemberId,
        reports: &[Signed<Report>],
        now_ms: u64,
    ) -> Result<Option<Grounds>, Refusal> {
        if self.exclusions.get(subject).is_some_and(|last| last.reports() == reports) {
            return Ok(None);
        }
        if !self.members.present().contains_key(&subject) {
            return Err(Refusal::UnknownMember(subject));
        }
        self.check_excludable(subject, now_ms)?;
        if reports.len() > MAX_QUORUM {
            return Err(ExclusionRefusal::TooManyReports(reports.len()).into());
        }
        let able = self.lineages_beside(subject).len();
        let (have, needed) = (reports.len(), quorum(able));
        if have < needed {
            return Err(ExclusionRefusal::TooFewReports { have, needed }.into());
        }
        let mut said: Vec<Report> = Vec::with_capacity(have);
        let mut heard = BTreeSet::new();
        for signed in reports {
            let report = self.genuine_report(signed, now_ms)?;
            let reporter = report.reporter;
            if report.subject != subject {
                return Err(ExclusionRefusal::OtherSubject(reporter).into());
            }
            if said.last().is_some_and(|last| last.reporter >= reporter) {
                return Err(ExclusionRefusal::OutOfOrder(reporter).into());
            }
            if !heard.insert(self.lineage(reporter, LogIndex::MAX)) {
                return Err(ExclusionRefusal::SameLineage(reporter).into());
            }
            said.push(report);
        }
        let lineages = u32::try_from(able).unwrap_or(u32::MAX);
        Ok(Some(Grounds { reports: reports.to_vec(), said, lineages }))
    }

    /// Excludes `subject`.
    pub(super) fn exclude(
        &mut self,
        index: LogIndex,
        subject: MemberId,
        reports: &[Signed<Report>],
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let outcome = Outcome::Excluded(subject);
        let Some(grounds) = self.genuine_exclusion(subject, reports, now_ms)? else {
            return Ok(Decision::Already(outcome));
        };
        let exclusion = Exclusion::new(grounds, now_ms, index);
        let (by, event) = (exclusion.actor(), exclusion.event(subject));
        self.exclusions.insert(subject, exclusion, self.now_ms);
        Ok(Decision::Changed(by, event, outcome))
    }

    /// The next member whose ban or exclusion ends by itself, and when.
    pub fn next_lapse(&self) -> Option<(MemberId, u64)> {
        let due = |(id, _): (&MemberId, _)| Some((self.exclusion(*id)?.until_ms(), *id));
        let exclusion = self.exclusions.iter().filter_map(due).min();
        let exclusion = exclusion.map(|(due_ms, member)| (member, due_ms));
        let lapses = self.bans.next_lapse().into_iter().chain(exclusion);
        lapses.min_by_key(|(member, due_ms)| (*due_ms, *member))
    }

    /// Whether what keeps `member` out ends at `now_ms`. `false`: it has ended before.
    pub(super) fn check_lapse(&self, member: MemberId, now_ms: u64) -> Result<bool, Refusal> {
        if let Some(exclusion) = self.exclusion(member) {
            return match exclusion.until_ms() <= now_ms {
                true => Ok(true),
                false => Err(Refusal::StillBanned(member)),
            };
        }
        let has_lapsed = self.exclusions.get(member).is_some_and(Exclusion::has_lapsed);
        match self.bans.check_lapse(member, now_ms) {
            Err(Refusal::NotBanned(_)) if has_lapsed => Ok(false),
            checked => checked,
        }
    }
}
