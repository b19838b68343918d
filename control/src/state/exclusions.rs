//! Who is, or was lately, shut out on the word of other members.
//!
//! ```text
//!           reports by a quorum of lineages
//! present ──────────────────────────────────> excluded ──EXCLUSION_MS over──> lapsed: present again
//!                                                 │ an admin's verdict, whatever it says
//!                                                 └──> that holds instead
//! ```
//!
//! An exclusion is seen as a ban is: its member is out of the [view](mesh_model::view::ClusterView), and keeps its
//! place. What differs is whose word it is, that it always ends, and that any admin overrules it. The reports are kept
//! as they were signed, so that a snapshot shows whose word it was; and of reporters that have left since, what they came in
//! with, or whoever sends a snapshot could have whole crowds come, report and leave again.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::{Actor, Event};
use mesh_model::codec::CodecError;
use mesh_model::trust::{Admission, Misconduct, REPORT_LIFETIME_MS, REPORT_SKEW_MS, Report};
use mesh_model::{InviteId, LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

/// How long an exclusion lasts, in milliseconds: twelve hours, a night and the time until an admin has looked. It is
/// nobody's to choose, so no supervisor makes it longer, or so short that it only brings the pause.
pub const EXCLUSION_MS: u64 = 12 * 60 * 60 * 1000;

/// How long after the end of an exclusion its member cannot be excluded again, in milliseconds: a day. Members that
/// are wrong about another take a third of its time at most, and an admin that pardons it has a day before it hears of
/// the matter again.
pub const PAUSE_MS: u64 = 24 * 60 * 60 * 1000;

/// How many may be excluded at once. What befalls more is no matter of single members, and needs a person.
pub const MAX_EXCLUDED: usize = 3;

/// How many exclusions are remembered, those in their pause included. Three each half a day are nine within a day and
/// a half; the rest is room for those that admins pardoned. With 32 reports of 400 bytes each, 400 kB of a snapshot, and
/// as much again if all who made them have left.
pub const MAX_REMEMBERED: usize = 32;

/// The fewest lineages that exclude somebody: more than one stolen token and one host that is broken.
pub const MIN_QUORUM: usize = 3;

/// The most that are ever needed, and so the most reports of one exclusion: whoever has the hosts of 32 invites does
/// not need this. With the longest reasons they take 13 kB of an entry.
pub const MAX_QUORUM: usize = 32;

// No report counts twice: all are stale when their subject can be excluded again, also after a pardon.
const _: () = assert!(EXCLUSION_MS + PAUSE_MS > REPORT_LIFETIME_MS + REPORT_SKEW_MS);

/// How many of `lineages` have to report a member: more than half, within [`MIN_QUORUM`] and [`MAX_QUORUM`]. With
/// fewer lineages than that nobody is ever excluded, and only an admin's ban helps.
pub fn quorum(lineages: usize) -> usize {
    (lineages / 2 + 1).clamp(MIN_QUORUM, MAX_QUORUM)
}

/// An exclusion, as it was agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Exclusion {
    reports: Vec<Signed<Report>>,
    /// How many lineages could have reported.
    lineages: u32,
    since_ms: u64,
    at: LogIndex,
    lapsed: bool,
    /// What those of the reporters came in with that have left since; the founder came in by the genesis.
    gone: BTreeMap<MemberId, Admission>,
    /// What `reports` say, decoded.
    #[serde(skip_serializing)]
    said: Vec<Report>,
}

/// An exclusion as it is encoded: the signed bytes once.
#[derive(Deserialize)]
struct Stored {
    reports: Vec<Signed<Report>>,
    lineages: u32,
    since_ms: u64,
    at: LogIndex,
    lapsed: bool,
    gone: BTreeMap<MemberId, Admission>,
}

impl TryFrom<Stored> for Exclusion {
    type Error = CodecError;

    fn try_from(stored: Stored) -> Result<Self, CodecError> {
        let Stored { reports, lineages, since_ms, at, lapsed, gone } = stored;
        let said = reports.iter().map(Signed::peek).collect::<Result<_, _>>()?;
        Ok(Self { reports, lineages, since_ms, at, lapsed, gone, said })
    }
}

/// Reports that were found to be enough.
pub(super) struct Grounds {
    pub(super) reports: Vec<Signed<Report>>,
    /// What they say, by ascending reporter.
    pub(super) said: Vec<Report>,
    pub(super) lineages: u32,
}

impl Exclusion {
    pub(super) fn new(grounds: Grounds, since_ms: u64, at: LogIndex) -> Self {
        let Grounds { reports, said, lineages } = grounds;
        Self { reports, lineages, since_ms, at, lapsed: false, gone: BTreeMap::new(), said }
    }

    /// The reports, as they were signed, by ascending reporter.
    pub fn reports(&self) -> &[Signed<Report>] {
        &self.reports
    }

    /// What they say.
    pub fn said(&self) -> &[Report] {
        &self.said
    }

    /// How many lineages could have reported.
    pub fn lineages(&self) -> u32 {
        self.lineages
    }

    /// Since when, in milliseconds since the Unix epoch, by the stamp in the log.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub fn until_ms(&self) -> u64 {
        self.since_ms.saturating_add(EXCLUSION_MS)
    }

    /// From when on its member can be excluded again, in milliseconds since the Unix epoch.
    pub fn again_ms(&self) -> u64 {
        self.until_ms().saturating_add(PAUSE_MS)
    }

    /// Where in the log it was agreed.
    pub fn at(&self) -> LogIndex {
        self.at
    }

    /// Whether its time was found to be over.
    pub fn has_lapsed(&self) -> bool {
        self.lapsed
    }

    /// Those who reported.
    pub fn reporters(&self) -> BTreeSet<MemberId> {
        self.said.iter().map(|report| report.reporter).collect()
    }

    /// What those of the reporters came in with that have left since.
    pub(super) fn gone(&self) -> &BTreeMap<MemberId, Admission> {
        &self.gone
    }

    /// What for.
    pub fn misconduct(&self) -> BTreeSet<Misconduct> {
        self.said.iter().map(|report| report.misconduct).collect()
    }

    /// Who decided, as the audit trail has it.
    pub(super) fn actor(&self) -> Actor {
        Actor::Members { members: self.reporters().into_iter().collect() }
    }

    /// What the audit trail says of it, `member` being who is excluded.
    pub(super) fn event(&self, member: MemberId) -> Event {
        Event::Excluded {
            member,
            until_ms: self.until_ms(),
            lineages: self.lineages,
            misconduct: self.misconduct().into_iter().collect(),
        }
    }

    /// Whether this is `earlier`, perhaps over by now, and some of the reporters perhaps gone.
    pub(super) fn goes_on_from(&self, earlier: &Self) -> bool {
        let (lapsed, gone) = (self.lapsed, self.gone.clone());
        let still_gone = earlier.gone.iter().all(|(id, admission)| gone.get(id) == Some(admission));
        (lapsed || !earlier.lapsed)
            && still_gone
            && *self == Self { lapsed, gone, ..earlier.clone() }
    }
}

/// The last exclusion of each member that was excluded lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusions(BTreeMap<MemberId, Exclusion>);

impl Exclusions {
    /// The last exclusion of `member`, which may be over.
    pub fn get(&self, member: MemberId) -> Option<&Exclusion> {
        self.0.get(&member)
    }

    /// All of them, by member.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MemberId, &Exclusion)> {
        self.0.iter()
    }

    /// How many have to be remembered when the mesh's clock shows `now_ms`.
    pub(super) fn needed(&self, now_ms: u64) -> usize {
        self.0.values().filter(|exclusion| now_ms < exclusion.again_ms()).count()
    }

    /// `member` is excluded. Those whose pause is over by the mesh's clock, which shows `now_ms`, are forgotten.
    pub(super) fn insert(&mut self, member: MemberId, exclusion: Exclusion, now_ms: u64) {
        self.0.retain(|_, exclusion| now_ms < exclusion.again_ms());
        self.0.insert(member, exclusion);
    }

    /// The exclusion of `member` is over.
    pub(super) fn lapse(&mut self, member: MemberId) {
        if let Some(exclusion) = self.0.get_mut(&member) {
            exclusion.lapsed = true;
        }
    }

    /// `member` has left; it came in with `admission`.
    pub(super) fn keep_admission(&mut self, member: MemberId, admission: &Admission) {
        for exclusion in self.0.values_mut() {
            if exclusion.said.iter().any(|report| report.reporter == member) {
                exclusion.gone.insert(member, admission.clone());
            }
        }
    }

    /// The invites by which reporters came in that have left since.
    pub(super) fn invites_in_use(&self) -> impl Iterator<Item = InviteId> {
        let gone = self.0.values().flat_map(|exclusion| exclusion.gone.values());
        gone.map(|admission| admission.invite)
    }

    /// There is nothing to know of `member` any more.
    pub(super) fn forget(&mut self, member: MemberId) {
        self.0.remove(&member);
    }
}
