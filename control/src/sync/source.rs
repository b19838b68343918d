//! One member as somebody to ask.

use std::time::Duration;

use mesh_model::LogIndex;

use super::Moment;

/// How reliable a member is taken to be that nobody has asked yet, of 100.
const UNTRIED: u8 = 50;

/// What answers and silence change: a member is quickly doubted and slowly trusted again.
const ANSWERED: u8 = 5;
const SILENT: u8 = 10;
const WRONG: u8 = 50;

/// The first pause after a member did not answer, and the longest: it may have been restarted, and when it is
/// back nobody says so but gossip.
const SILENCE_FIRST: Duration = Duration::from_millis(500);
const SILENCE_LONGEST: Duration = Duration::from_secs(8);

/// How long a member is left alone that has no place: its places are kept for about that long by those that
/// do not come back.
const BUSY_PAUSE: Duration = Duration::from_millis(1500);

/// How long a member is left alone that had nothing to tell: long enough to try some others.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// How long a member is left alone whose entries did not lead where the voters say. It is broken or it cheats, and
/// either takes somebody to look.
const WRONG_PAUSE: Duration = Duration::from_secs(60);

/// A member that may be asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    /// 0 to 100; `None` while it was never asked.
    reliability: Option<u8>,
    /// Failures in a row.
    silences: u32,
    not_before: Option<Moment>,
    round_trip: Option<Duration>,
    /// Answers that were proven wrong.
    wrong: u64,
    /// Gossip takes it for dead.
    pub(super) dead: bool,
    /// How far it says, by gossip, that it has applied the log.
    pub(super) applied: LogIndex,
    /// Until when that is not to be relied upon: it was said before and came to nothing.
    pub(super) unreliable_until: Option<Moment>,
}

impl Source {
    pub(super) fn reliability(&self) -> u8 {
        self.reliability.unwrap_or(UNTRIED)
    }

    pub(super) fn was_asked(&self) -> bool {
        self.reliability.is_some()
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether it has ever answered, and nothing is known of its silence.
    pub(super) fn answers(&self) -> bool {
        self.round_trip.is_some() && self.silences == 0
    }

    pub(super) fn wrong(&self) -> u64 {
        self.wrong
    }

    /// How often in a row it did not answer.
    pub(super) fn silences(&self) -> u32 {
        self.silences
    }

    /// When it may be asked.
    pub(super) fn free_at(&self) -> Option<Moment> {
        self.not_before
    }

    /// It is there, and nothing that it did has it rest.
    pub(super) fn may_be_asked(&self, now: Moment) -> bool {
        !self.dead && self.not_before.is_none_or(|at| at <= now)
    }

    /// It answered, `took` being the time on the way.
    pub(super) fn answered(&mut self, took: Duration) {
        self.reliability = Some(self.reliability().saturating_add(ANSWERED).min(100));
        self.silences = 0;
        self.not_before = None;
        // RFC 6298, section 2: an eighth of the news.
        self.round_trip = Some(self.round_trip.map_or(took, |before| (before * 7 + took) / 8));
    }

    pub(super) fn silent(&mut self, now: Moment) {
        self.reliability = Some(self.reliability().saturating_sub(SILENT));
        let pause = SILENCE_FIRST * (1 << self.silences.min(4));
        self.silences += 1;
        self.rest(now, pause.min(SILENCE_LONGEST));
    }

    pub(super) fn busy(&mut self, now: Moment) {
        self.silences = 0;
        self.rest(now, BUSY_PAUSE);
    }

    pub(super) fn idle(&mut self, now: Moment) {
        self.silences = 0;
        self.rest(now, IDLE_PAUSE);
    }

    pub(super) fn gave_wrong(&mut self, now: Moment) {
        self.reliability = Some(self.reliability().saturating_sub(WRONG));
        self.wrong += 1;
        self.rest(now, WRONG_PAUSE);
    }

    /// It was heard of: what was known of its silence is over.
    pub(super) fn stirred(&mut self) {
        if self.silences > 0 {
            self.silences = 0;
            self.not_before = None;
        }
    }

    /// As if it had never been asked.
    pub(super) fn forgive(&mut self) {
        let Self { dead, applied, round_trip, wrong, .. } = *self;
        *self = Self { dead, applied, round_trip, wrong, ..Self::default() };
    }

    fn rest(&mut self, now: Moment, pause: Duration) {
        self.not_before = Some(now + pause);
    }
}
