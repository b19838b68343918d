//! What a leader was told, until it is enough.
//!
//! Of each lineage one report about a subject is kept: more count no more. And of each lineage only so many subjects, so
//! hosts without number that came in by one stolen token fill the place of one lineage, and nobody else's.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::trust::{Misconduct, Report};
use mesh_model::{LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Refusal};
use crate::state::exclusions::{MAX_QUORUM, MIN_QUORUM, quorum};
use crate::state::{Lineage, State};

/// The most subjects that one lineage reports at once. As many as one host may: an honest host in company of hostile ones
/// has no voice in either case. At 450 bytes each, 20 MB if all of ten thousand lineages are hostile.
pub const MAX_PER_LINEAGE: usize = 4;

/// The shortest pause between two reports of one member that are looked at, in milliseconds. A signature takes 50 µs to
/// check, so a thousand members that do nothing else take a twentieth of one core.
const PAUSE_MS: u64 = 1000;

/// How far a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many lineages have reported.
    pub have: u32,
    /// How many have to.
    pub needed: u32,
    /// How many could.
    pub lineages: u32,
}

/// Why a report is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotTaken {
    /// It does not count, or nothing could come of it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same member reported something else a moment ago.
    #[error("it came a moment after another one of the same member")]
    TooSoon,
    /// Its lineage reports as many others as it may.
    #[error(
        "hosts that came in by the same way report {MAX_PER_LINEAGE} others already, the most they may at once"
    )]
    TooMany,
}

/// One subject and what is held against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Who.
    pub subject: MemberId,
    /// Those whose reports count, one of each lineage.
    pub reporters: BTreeSet<MemberId>,
    /// What for.
    pub misconduct: BTreeSet<Misconduct>,
    /// How far it is.
    pub tally: Tally,
}

#[derive(Debug)]
struct Held {
    signed: Signed<Report>,
    report: Report,
}

/// The reports that were told to this host as the leader.
#[derive(Debug, Default)]
pub struct Docket {
    cases: BTreeMap<MemberId, BTreeMap<Lineage, Held>>,
    /// When a report of each member was last looked at; those of the last [`PAUSE_MS`].
    looked_at: BTreeMap<MemberId, u64>,
}

impl Docket {
    /// Takes `signed`, if it counts at `now_ms`, by what `state` knows.
    pub fn take(
        &mut self,
        signed: &Signed<Report>,
        state: &State,
        now_ms: u64,
    ) -> Result<Tally, NotTaken> {
        let said = signed.peek().map_err(mesh_model::signed::SignedError::from);
        let said = said.map_err(Refusal::from)?;
        let (reporter, subject) = (said.reporter, said.subject);
        if self.holds(signed) {
            return Ok(self.tally(subject, state));
        }
        self.note_look(reporter, now_ms)?;
        let report = state.genuine_report(signed, now_ms)?;
        state.check_excludable(subject, now_ms).map_err(Refusal::from)?;
        let Some(lineage) = state.lineage(reporter, LogIndex::MAX) else {
            return Err(Refusal::UnknownMember(reporter).into());
        };
        let others = self.cases.iter().filter(|(about, _)| **about != subject);
        if others.filter(|(_, held)| held.contains_key(&lineage)).count() >= MAX_PER_LINEAGE {
            return Err(NotTaken::TooMany);
        }
        // The newest stays the longest.
        let held = Held { signed: signed.clone(), report };
        self.cases.entry(subject).or_default().insert(lineage, held);
        Ok(self.tally(subject, state))
    }

    /// Whether these very words are here already.
    pub fn holds(&self, signed: &Signed<Report>) -> bool {
        let case = signed.peek().ok().and_then(|said| self.cases.get(&said.subject));
        case.is_some_and(|held| held.values().any(|held| held.signed == *signed))
    }

    /// Another report of `reporter` is looked at, if it may be.
    fn note_look(&mut self, reporter: MemberId, now_ms: u64) -> Result<(), NotTaken> {
        self.looked_at.retain(|_, at_ms| at_ms.abs_diff(now_ms) < PAUSE_MS);
        match self.looked_at.contains_key(&reporter) {
            true => Err(NotTaken::TooSoon),
            false => {
                self.looked_at.insert(reporter, now_ms);
                Ok(())
            }
        }
    }

    fn tally(&self, subject: MemberId, state: &State) -> Tally {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let able = state.lineages_beside(subject).len();
        let have = self.cases.get(&subject).map_or(0, BTreeMap::len);
        Tally { have: number(have), needed: number(quorum(able)), lineages: number(able) }
    }

    /// Forgets what does not count any more at `now_ms`, by what `state` knows: one report that does not would have the others
    /// refused with it.
    pub fn tidy(&mut self, state: &State, now_ms: u64) {
        let now_ms = now_ms.max(state.now_ms());
        let counts = |lineage: &Lineage, held: &Held| {
            state.genuine_report(&held.signed, now_ms).is_ok()
                && state.lineage(held.report.reporter, LogIndex::MAX) == Some(*lineage)
        };
        for held in self.cases.values_mut() {
            held.retain(|lineage, held| counts(lineage, held));
        }
        let present = state.members().present();
        self.cases.retain(|subject, held| {
            !held.is_empty() && present.contains_key(subject) && !state.is_out(*subject)
        });
    }

    /// Nothing was told.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing is held against anybody.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// All cases, by subject.
    pub fn cases(&self, state: &State) -> Vec<Case> {
        let case = |(subject, held): (&MemberId, &BTreeMap<Lineage, Held>)| Case {
            subject: *subject,
            reporters: held.values().map(|held| held.report.reporter).collect(),
            misconduct: held.values().map(|held| held.report.misconduct).collect(),
            tally: self.tally(*subject, state),
        };
        self.cases.iter().map(case).collect()
    }

    /// What there is to propose: the reports about each subject that enough lineages have reported.
    pub fn ripe(&self, state: &State) -> Vec<Command> {
        let is_ripe = |subject: MemberId| {
            let tally = self.tally(subject, state);
            tally.have >= tally.needed
        };
        // Who could report is counted only where it may be enough: that looks at every member.
        let many = self.cases.iter().filter(|(_, held)| held.len() >= MIN_QUORUM);
        let ripe = many.filter(|(subject, _)| is_ripe(**subject));
        ripe.map(|(subject, held)| exclude(*subject, held.values())).collect()
    }
}

/// "Shut `subject` out", on the newest of what is `held`, as many as are ever needed.
fn exclude<'a>(subject: MemberId, held: impl Iterator<Item = &'a Held>) -> Command {
    let mut held: Vec<&Held> = held.collect();
    held.sort_by_key(|held| std::cmp::Reverse(held.report.made_ms));
    held.truncate(MAX_QUORUM);
    held.sort_by_key(|held| held.report.reporter);
    Command::Exclude {
        subject,
        reports: held.into_iter().map(|held| held.signed.clone()).collect(),
    }
}
