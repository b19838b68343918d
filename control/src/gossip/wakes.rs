//! When gossip must be woken, and why.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use foca::Timer;
use mesh_model::MemberId;

use super::swim_id::SwimId;

/// Why gossip wakes. At one instant the lesser goes first: SWIM wants the indirect probe of a round
/// before the next round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    IndirectProbe,
    Probe,
    Suspicion(MemberId),
    Announce,
    Gossip,
    Reach,
    Facts,
    Rumours,
    Sync,
}

impl Wake {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::IndirectProbe => "gossip indirect probe",
            Self::Probe => "gossip probe",
            Self::Suspicion(_) => "gossip suspicion",
            Self::Announce => "gossip announce",
            Self::Gossip => "gossip round",
            Self::Reach => "gossip reach",
            Self::Facts => "gossip own facts",
            Self::Rumours => "gossip rumours",
            Self::Sync => "gossip sync",
        }
    }

    /// The slot of a SWIM timer; `None` for those our settings never start.
    fn of(timer: &Timer<SwimId>) -> Option<Self> {
        match timer {
            Timer::SendIndirectProbe { .. } => Some(Self::IndirectProbe),
            Timer::ProbeRandomMember(_) => Some(Self::Probe),
            Timer::ChangeSuspectToDown { member_id, .. } => Some(Self::Suspicion(member_id.member)),
            Timer::PeriodicAnnounce(_) => Some(Self::Announce),
            Timer::PeriodicGossip(_) => Some(Self::Gossip),
            Timer::PeriodicAnnounceDown(_) | Timer::RemoveDown(_) => None,
        }
    }
}

/// All pending wakes, at most one per reason and so never more than members plus eight.
///
/// That is enough for SWIM: it starts a round only when the one before is over or void, and of
/// several suspicions of one member the first about its present incarnation decides.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    pending: BTreeMap<Wake, (Instant, Option<Timer<SwimId>>)>,
    /// The round of gossip that waits for something to say.
    resting: Option<Timer<SwimId>>,
}

impl Wakes {
    /// Wakes for one of our own reasons, replacing an earlier wish.
    pub(super) fn set(&mut self, wake: Wake, at: Instant) {
        self.pending.insert(wake, (at, None));
    }

    /// Like [`Self::set`], unless that reason comes up sooner anyway.
    pub(super) fn at_latest(&mut self, wake: Wake, at: Instant) {
        let sooner = self.pending.get(&wake).is_some_and(|(pending, _)| *pending <= at);
        if !sooner {
            self.set(wake, at);
        }
    }

    /// Wakes for SWIM.
    pub(super) fn set_swim(&mut self, timer: Timer<SwimId>, at: Instant) {
        let Some(wake) = Wake::of(&timer) else {
            return;
        };
        if wake == Wake::Gossip {
            // SWIM began anew: the one that rests is void.
            self.resting = None;
        }
        let repeats = matches!(wake, Wake::Suspicion(_))
            && matches!(self.pending.get(&wake), Some((_, Some(pending))) if *pending == timer);
        if !repeats {
            self.pending.insert(wake, (at, Some(timer)));
        }
    }

    /// Does not wake for a round of gossip: there is nothing to say.
    pub(super) fn rest_rounds(&mut self) {
        if let Some((_, timer)) = self.pending.remove(&Wake::Gossip) {
            self.resting = timer;
        }
    }

    /// Wakes at `at` for the round that rests.
    pub(super) fn resume_rounds(&mut self, at: Instant) {
        if let Some(timer) = self.resting.take() {
            self.set_swim(timer, at);
        }
    }

    /// The next wake.
    pub(super) fn next(&self) -> Option<(Instant, Wake)> {
        self.pending.iter().map(|(wake, (at, _))| (*at, *wake)).min()
    }

    /// Takes the next wake if it is due, with its SWIM timer if it has one.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Wake, Option<Timer<SwimId>>)> {
        let (at, wake) = self.next()?;
        if at > now {
            return None;
        }
        let (_, timer) = self.pending.remove(&wake)?;
        Some((wake, timer))
    }

    /// Moves everything back by `delay`, keeping the distances.
    pub(super) fn postpone(&mut self, delay: Duration) {
        for (at, _) in self.pending.values_mut() {
            *at += delay;
        }
    }

    pub(super) fn forget_suspicion(&mut self, member: MemberId) {
        self.pending.remove(&Wake::Suspicion(member));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test supplies time")]

    use super::*;

    fn suspicion(incarnation: u16) -> Timer<SwimId> {
        Timer::ChangeSuspectToDown {
            member_id: SwimId::any_life_of(MemberId(1)),
            incarnation,
            token: 0,
        }
    }

    #[test]
    fn the_earliest_comes_first_and_only_when_due() {
        let now = Instant::now();
        let mut wakes = Wakes::default();
        wakes.set(Wake::Sync, now + Duration::from_secs(2));
        wakes.set(Wake::Reach, now + Duration::from_secs(1));
        assert!(wakes.take_due(now).is_none());
        let later = now + Duration::from_secs(3);
        assert_eq!(wakes.take_due(later), Some((Wake::Reach, None)));
        assert_eq!(wakes.take_due(later), Some((Wake::Sync, None)));
        assert_eq!(wakes.take_due(later), None);
    }

    #[test]
    fn a_round_that_rests_is_not_woken_for_until_it_resumes() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let mut wakes = Wakes::default();
        wakes.set_swim(Timer::PeriodicGossip(1), soon);
        wakes.rest_rounds();
        wakes.rest_rounds();
        assert_eq!(wakes.next(), None);
        wakes.resume_rounds(late);
        assert_eq!(wakes.next(), Some((late, Wake::Gossip)));
        wakes.resume_rounds(soon);
        assert_eq!(wakes.take_due(late), Some((Wake::Gossip, Some(Timer::PeriodicGossip(1)))));

        wakes.set_swim(Timer::PeriodicGossip(1), soon);
        wakes.rest_rounds();
        wakes.set_swim(Timer::PeriodicGossip(2), late);
        wakes.resume_rounds(soon);
        assert_eq!(wakes.take_due(late), Some((Wake::Gossip, Some(Timer::PeriodicGossip(2)))));
    }

    #[test]
    fn a_repeated_suspicion_does_not_win_time_a_new_one_does() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let mut wakes = Wakes::default();
        wakes.set_swim(suspicion(0), soon);
        wakes.set_swim(suspicion(0), late);
        assert_eq!(wakes.next().map(|next| next.0), Some(soon));
        wakes.set_swim(suspicion(1), late);
        assert_eq!(wakes.next().map(|next| next.0), Some(late));
    }
}
