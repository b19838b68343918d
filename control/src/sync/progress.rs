//! How following goes, for people.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_model::{LogIndex, MemberId};

use super::source::Source;
use super::{Moment, Sync};

/// The window of [`Progress::rate`].
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The most gains that are remembered: one every ten milliseconds of the window.
const MAX_GAINS: usize = 1024;

/// Where a member gets the log from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It leads.
    Leads,
    /// The leader sends it.
    Leader,
    /// It asks this member.
    Source(MemberId),
    /// It looks for somebody to ask.
    Seeking,
}

impl Supply {
    /// Whether it asks others: nobody feeds it.
    pub fn asks(self) -> bool {
        matches!(self, Self::Source(_) | Self::Seeking)
    }

    /// Whom it asks.
    pub fn source(self) -> Option<MemberId> {
        match self {
            Self::Source(source) => Some(source),
            Self::Leads | Self::Leader | Self::Seeking => None,
        }
    }
}

/// How following goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// From where.
    pub supply: Supply,
    /// Applied here.
    pub index: LogIndex,
    /// The furthest that anybody reliable says it has applied.
    pub target: LogIndex,
    /// Entries a second, over the last seconds.
    pub rate: f64,
    /// Whom the operator prefers.
    pub preferred: Vec<MemberId>,
    /// Those that were asked, by id.
    pub sources: Vec<SourceReport>,
}

impl Progress {
    /// How many entries there are elsewhere and not here.
    pub fn behind(&self) -> u64 {
        self.target.saturating_sub(self.index)
    }

    /// In what time they are here, at this rate. `None` when nothing is missing, and when nothing comes.
    pub fn left(&self) -> Option<Duration> {
        match self.behind() {
            0 => None,
            // Nothing came: the quotient is no time.
            behind => Duration::try_from_secs_f64(behind as f64 / self.rate).ok(),
        }
    }
}

/// How one source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Who.
    pub member: MemberId,
    /// 0 to 100.
    pub reliability: u8,
    /// On the way there and back, as far as it is known.
    pub round_trip: Option<Duration>,
    /// How far it says it has applied the log.
    pub applied: LogIndex,
    /// How often what it sent was proven wrong.
    pub wrong: u64,
}

/// What was applied lately, for the rate.
#[derive(Debug, Default)]
pub(super) struct Gains(VecDeque<(Moment, u64)>);

impl Gains {
    pub(super) fn note(&mut self, gained: u64, now: Moment) {
        if self.0.len() == MAX_GAINS {
            self.0.pop_front();
        }
        self.0.push_back((now, gained));
    }

    /// Entries a second, over the last seconds.
    fn rate(&self, now: Moment) -> f64 {
        let recent = self.0.iter().filter(|(at, _)| *at + RATE_WINDOW > now);
        recent.map(|(_, gained)| *gained as f64).sum::<f64>() / RATE_WINDOW.as_secs_f64()
    }
}

impl Sync {
    /// Where this member gets the log from.
    pub fn supply(&self, now: Moment) -> Supply {
        match (self.leads, self.needs(now), self.following) {
            (true, ..) => Supply::Leads,
            (_, false, _) => Supply::Leader,
            (_, _, Some(source)) => Supply::Source(source),
            (_, _, None) => Supply::Seeking,
        }
    }

    /// How it goes.
    pub fn progress(&self, now: Moment) -> Progress {
        let reliable = |source: &&Source| source.unreliable_until.is_none_or(|until| until <= now);
        let told = self.sources.values().filter(reliable).map(|source| source.applied).max();
        let report = |(member, source): (&MemberId, &Source)| SourceReport {
            member: *member,
            reliability: source.reliability(),
            round_trip: source.round_trip(),
            applied: source.applied,
            wrong: source.wrong(),
        };
        let asked = self.sources.iter().filter(|(_, source)| source.was_asked());
        Progress {
            supply: self.supply(now),
            index: self.own,
            target: self.own.max(told.unwrap_or(0)),
            rate: self.gains.rate(now),
            preferred: self.preferred.clone(),
            sources: asked.map(report).collect(),
        }
    }
}
