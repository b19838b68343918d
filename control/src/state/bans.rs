//! What admins have ruled about members, the last word on each.
//!
//! A ban leaves everything of its member in place (id, name, addresses, chain of signatures) and takes it
//! out of the [view](mesh_model::view::ClusterView) that everyone works from: tunnels, gossip, agreement and
//! the door all follow from there. A pardon puts it back as it was.
//!
//! ```text
//!           banned (serial 8)            pardoned (serial 9)
//! present ────────────────────> banned ──────────────────────> present
//!                                  │ until_ms is over, somebody says so
//!                                  └──────────> lapsed: present, and serial 8 will not ban it again
//! ```
//!
//! Pardons are kept as bans are: only a serial that is remembered keeps an older verdict out.

use std::collections::BTreeMap;

use mesh_model::MemberId;
use mesh_model::trust::{Reason, Ruling, Verdict};
use serde::{Deserialize, Serialize};

use super::Stated;
use super::serial::check_leap;
use crate::command::Refusal;

/// The last verdict about a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulingEntry {
    stated: Stated<Verdict>,
    since_ms: u64,
    lapsed: bool,
}

/// A ban that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban<'a> {
    /// Since when, in milliseconds since the Unix epoch, by the stamp in the log.
    pub since_ms: u64,
    /// When it ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
    pub until_ms: Option<u64>,
    /// Why.
    pub reason: Option<&'a Reason>,
}

impl RulingEntry {
    /// What the admin ruled.
    pub fn verdict(&self) -> &Verdict {
        self.stated.said()
    }

    /// The same, as it was agreed.
    pub fn stated(&self) -> &Stated<Verdict> {
        &self.stated
    }

    /// When it was agreed, in milliseconds since the Unix epoch.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// Whether the ban's time was found to be over.
    pub fn has_lapsed(&self) -> bool {
        self.lapsed
    }

    /// The ban, if this is one and it holds.
    pub fn ban(&self) -> Option<Ban<'_>> {
        match &self.verdict().ruling {
            Ruling::Banned { until_ms, reason } if !self.lapsed => {
                Some(Ban { since_ms: self.since_ms, until_ms: *until_ms, reason: reason.as_ref() })
            }
            _ => None,
        }
    }

    /// When the ban, if it holds, ends by itself.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.ban()?.until_ms
    }
}

/// The last verdict about each member that ever had one. At most one per member with a place in the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans(BTreeMap<MemberId, RulingEntry>);

impl Bans {
    /// The last verdict about `member`.
    pub fn get(&self, member: MemberId) -> Option<&RulingEntry> {
        self.0.get(&member)
    }

    /// All of them, by member.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MemberId, &RulingEntry)> {
        self.0.iter()
    }

    /// The ban that holds for `member`.
    pub fn ban(&self, member: MemberId) -> Option<Ban<'_>> {
        self.0.get(&member)?.ban()
    }

    /// The serial of the next verdict about `member` by an admin whose clock shows `wall_ms`. Clocks
    /// differ, so it is at least one more than the last.
    pub fn next_serial(&self, member: MemberId, wall_ms: u64) -> u64 {
        let last = self.0.get(&member).map_or(0, |entry| entry.verdict().serial);
        wall_ms.max(last.saturating_add(1))
    }

    /// The next member whose ban ends by itself, and when.
    pub fn next_lapse(&self) -> Option<(MemberId, u64)> {
        let due = |(member, entry): (&MemberId, &RulingEntry)| Some((entry.due_ms()?, *member));
        self.0.iter().filter_map(due).min().map(|(due_ms, member)| (member, due_ms))
    }

    /// Whether `verdict` says something new at `now_ms`. `false`: it is the last one again.
    pub(super) fn is_news(&self, verdict: &Verdict, now_ms: u64) -> Result<bool, Refusal> {
        match self.0.get(&verdict.member) {
            Some(last) if last.verdict() == verdict => Ok(false),
            Some(last) if last.verdict().serial >= verdict.serial => {
                Err(Refusal::Overruled { member: verdict.member, serial: last.verdict().serial })
            }
            last => {
                let last = last.map_or(0, |last| last.verdict().serial);
                check_leap(verdict.serial, last.max(now_ms)).map(|()| true)
            }
        }
    }

    /// `stated` is the last word about its member from now on.
    pub(super) fn insert(&mut self, stated: Stated<Verdict>, since_ms: u64) {
        let member = stated.said().member;
        self.0.insert(member, RulingEntry { stated, since_ms, lapsed: false });
    }

    /// Whether the ban of `member` ends at `now_ms`. `false`: it has ended before.
    pub(super) fn check_lapse(&self, member: MemberId, now_ms: u64) -> Result<bool, Refusal> {
        if self.0.get(&member).is_some_and(RulingEntry::has_lapsed) {
            return Ok(false);
        }
        let ban = self.ban(member).ok_or(Refusal::NotBanned(member))?;
        match ban.until_ms {
            Some(until_ms) if until_ms <= now_ms => Ok(true),
            _ => Err(Refusal::StillBanned(member)),
        }
    }

    /// The ban of `member` is over.
    pub(super) fn lapse(&mut self, member: MemberId) {
        if let Some(entry) = self.0.get_mut(&member) {
            entry.lapsed = true;
        }
    }

    /// There is nothing to know of `member` any more.
    pub(super) fn forget(&mut self, member: MemberId) {
        self.0.remove(&member);
    }
}
