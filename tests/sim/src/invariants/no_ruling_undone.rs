//! What an admin ruled about a member holds until an admin rules otherwise, whoever says the old ruling again.
//!
//! Every host is asked for what its state rests on, and every answer tells what stood at its place. So for
//! each member there is one register, written by nothing but the log, and it can only rise: nothing said,
//! then ever higher serials, then gone for good. A serial that falls, two at one place, or a member that
//! comes back contradict every log, whatever was proposed in between and never answered. That is also why an
//! acknowledged ruling is seen to be kept: its serial was read at its place, and what is read behind it is
//! the same or higher.
//!
//! Besides: what stands was signed by an admin, word for word; a ban ends by itself only when some host's
//! clock has passed its end, and does not begin again; and a view shows as banned exactly whom the ruling
//! at its index bans.

use std::collections::{BTreeMap, BTreeSet};

use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::raft::Applied;
use mesh_control::state::{Bans, RulingEntry};
use mesh_model::trust::{Ruling, Verdict};
use mesh_model::view::ClusterView;
use mesh_model::{LogIndex, MemberId};

use super::Violation;
use crate::once::Once;
use crate::rising::Rising;
use crate::spoken::Spoken;

const NAME: &str = "no_ruling_undone";

/// The last word on a member, in the order in which it can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// Nobody has ruled anything.
    Unsaid,
    /// The verdict with this serial.
    Serial(u64),
    /// It has no place in the mesh any more.
    Gone,
}

/// See the [module](self).
#[derive(Default)]
pub struct NoRulingUndone {
    verdicts: Spoken<(MemberId, u64), Verdict>,
    words: BTreeMap<MemberId, Rising<Word>>,
    /// From where on a ban had ended by itself.
    lapsed: BTreeMap<(MemberId, u64), Once>,
    excluded: BTreeSet<MemberId>,
}

impl NoRulingUndone {
    /// An admin has signed `verdict`, and it may be agreed from now on.
    pub fn sign(&mut self, verdict: &Verdict) {
        self.verdicts.sign((verdict.member, verdict.serial), verdict.clone());
    }

    /// Somebody was told that `command` came to `applied`.
    pub fn respond(&mut self, command: &Command, applied: &Applied) -> Result<(), Violation> {
        let place = applied.index;
        let (member, word) = match (command, &applied.outcome) {
            (Command::Judge(signed), Outcome::Judged(_)) => {
                let Ok(verdict) = signed.peek() else { return Ok(()) };
                self.check_signed(&verdict, place)?;
                let removed = verdict.ruling == Ruling::Removed;
                let word = if removed { Word::Gone } else { Word::Serial(verdict.serial) };
                (verdict.member, word)
            }
            (_, Outcome::Refused(Refusal::Overruled { member, serial })) => {
                (*member, Word::Serial(*serial))
            }
            (Command::Judge(_), Outcome::Refused(Refusal::UnknownMember(member)))
                if member.0 <= place =>
            {
                (*member, Word::Gone)
            }
            (_, Outcome::Departed(member)) => (*member, Word::Gone),
            _ => return Ok(()),
        };
        self.read(member, word, place, "an answer")
    }

    /// `by` has `view`, which rests on `bans`; no clock has ever shown more than `latest_ms`, nor does the genesis say more.
    pub fn see(
        &mut self,
        by: MemberId,
        view: &ClusterView,
        bans: &Bans,
        latest_ms: u64,
    ) -> Result<(), Violation> {
        let place = view.applied;
        let mut members: Vec<MemberId> =
            view.members.keys().chain(view.banned.keys()).copied().collect();
        members.extend(self.words.keys().filter(|id| id.0 <= place && !view.has_place(**id)));
        for member in members {
            let entry = bans.get(member);
            let word = match entry {
                _ if !view.has_place(member) => Word::Gone,
                Some(entry) => Word::Serial(entry.verdict().serial),
                None => Word::Unsaid,
            };
            self.read(member, word, place, &by.to_string())?;
            let banned = match entry {
                Some(entry) => self.check_entry(entry, place, latest_ms)?,
                None => false,
            };
            // Whom other members shut out no admin has ruled about.
            let out = view.banned.get(&member);
            if out.is_some_and(|out| out.exclusion.is_some()) {
                self.excluded.insert(member);
            }
            if out.is_some_and(|out| out.exclusion.is_none()) != banned {
                let message = format!("{by} shows {member} wrongly at {place}: banned is {banned}");
                return Err(Violation::new(NAME, message));
            }
        }
        Ok(())
    }

    /// Whether `member` can have been banned at `place`, as far as anybody was told.
    pub fn may_be_banned(&self, member: MemberId, place: LogIndex) -> bool {
        if self.excluded.contains(&member) {
            return true;
        }
        let bans = self.verdicts.signed((member, 0)..=(member, u64::MAX));
        bans.filter(|verdict| matches!(verdict.ruling, Ruling::Banned { .. })).any(|verdict| {
            let word = Word::Serial(verdict.serial);
            let stood = self.words.get(&member).is_none_or(|words| words.may_be(word, place));
            let lapsed = self.lapsed.get(&(member, verdict.serial));
            stood && lapsed.copied().unwrap_or_default().not_yet_at(place)
        })
    }

    /// Whom other members shut out.
    pub fn excluded(&self) -> &BTreeSet<MemberId> {
        &self.excluded
    }

    fn read(
        &mut self,
        member: MemberId,
        word: Word,
        place: LogIndex,
        by: &str,
    ) -> Result<(), Violation> {
        if self.words.entry(member).or_default().was(word, place) {
            return Ok(());
        }
        let known = &self.words[&member];
        let message = format!("{by} has {word:?} about {member} at {place}, known are {known:?}");
        Err(Violation::new(NAME, message))
    }

    fn check_signed(&mut self, verdict: &Verdict, place: LogIndex) -> Result<(), Violation> {
        if self.verdicts.stands((verdict.member, verdict.serial), verdict) {
            return Ok(());
        }
        let message = format!("no admin wanted what stands at {place}: {verdict:?}");
        Err(Violation::new(NAME, message))
    }

    /// Whether `entry` bans its member at `place`.
    fn check_entry(
        &mut self,
        entry: &RulingEntry,
        place: LogIndex,
        latest_ms: u64,
    ) -> Result<bool, Violation> {
        let verdict = entry.verdict();
        self.check_signed(verdict, place)?;
        let lapsed = self.lapsed.entry((verdict.member, verdict.serial)).or_default();
        let until_ms = match &verdict.ruling {
            Ruling::Banned { until_ms, .. } => *until_ms,
            _ => None,
        };
        let fits = match entry.has_lapsed() {
            true => until_ms.is_some_and(|until| until <= latest_ms) && lapsed.done_at(place),
            false => lapsed.not_yet_at(place),
        };
        if !fits {
            let (is, member) = (entry.has_lapsed(), verdict.member);
            let message = format!(
                "at {place} lapsed is {is} of the ban of {member} until {until_ms:?}, {lapsed:?}, and it has never been more than {latest_ms}"
            );
            return Err(Violation::new(NAME, message));
        }
        Ok(matches!(verdict.ruling, Ruling::Banned { .. }) && !entry.has_lapsed())
    }
}

#[cfg(test)]
mod tests;
