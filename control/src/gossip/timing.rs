//! How fast gossip goes.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

use super::packet::ROOM;

/// Members asked to probe in place of one whose own probe went unanswered, and members told per
/// round of gossip. Three is what SWIM and its descendants settled on: with 20 % loss, three
/// detours all fail in 2 of 10 cases where a single one fails in 6.
pub(super) const FANOUT: NonZeroUsize = NonZeroUsize::new(3).expect("not zero");

/// How fast gossip goes. All members of a mesh should agree on `probe_period` and `suspicion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// One member is probed this often. Half a probe (its answer counts too) times the number of
    /// members is what idling costs.
    pub probe_period: Duration,
    /// An answer that takes longer than this sets indirect probes off: above the round trip of any
    /// terrestrial path, below half of `probe_period` so that the detour has time.
    pub probe_rtt: Duration,
    /// How long a suspect of a mesh of up to ten members has to refute; grows with the logarithm of
    /// the size. Four periods: two more probes at least reach it and tell it.
    pub suspicion: Duration,
    /// News travels in rounds of this length.
    pub gossip_interval: Duration,
    /// Facts are compared with one random member this often.
    pub sync_interval: Duration,
    /// Own facts change at most this often, however fast the log grows.
    pub facts_interval: Duration,
    /// The first pause between two calls on a member that does not answer; doubles each time.
    pub reach_first: Duration,
    /// The longest such pause: a healed partition is noticed within it.
    pub reach_longest: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            probe_period: Duration::from_secs(1),
            probe_rtt: Duration::from_millis(300),
            suspicion: Duration::from_secs(4),
            gossip_interval: Duration::from_millis(250),
            sync_interval: Duration::from_secs(5),
            facts_interval: Duration::from_secs(1),
            reach_first: Duration::from_secs(1),
            reach_longest: Duration::from_secs(8),
        }
    }
}

impl Timing {
    /// The SWIM settings for a mesh of `members`.
    pub(super) fn swim(&self, members: usize) -> Config {
        Config {
            probe_period: self.probe_period,
            probe_rtt: self.probe_rtt,
            num_indirect_probes: FANOUT,
            max_transmissions: transmissions(members),
            suspect_to_down_after: self.suspicion_for(members),
            // Forgetting is ours: members go when the agreed view says so.
            remove_down_after: None,
            max_packet_size: NonZeroUsize::new(ROOM).expect("not zero"),
            notify_down_members: true,
            // Repairs lost news: one member's whole table, twice a minute.
            periodic_announce: Some(PeriodicParams {
                frequency: self.probe_period * 30,
                num_members: NonZeroUsize::MIN,
            }),
            // `Reach` calls on the dead and the never-heard alike.
            periodic_announce_to_down_members: None,
            periodic_gossip: Some(PeriodicParams {
                frequency: self.gossip_interval,
                num_members: FANOUT,
            }),
        }
    }

    fn suspicion_for(&self, members: usize) -> Duration {
        // Whole powers of two stand in for the logarithm to base ten: 3.3 of them make one decade.
        let decades = f64::from(members.max(1).ilog2()) / 10_f64.log2();
        self.suspicion.mul_f64(decades.max(1.0))
    }
}

/// How often each piece of news is passed on in a mesh of `members`: SWIM's lambda log n, with a
/// floor high enough that 20 % loss leaves a small mesh 1 chance in 400,000 of none arriving.
pub(super) fn transmissions(members: usize) -> NonZeroU8 {
    let doublings = u8::try_from(members.max(1).ilog2()).unwrap_or(u8::MAX);
    NonZeroU8::new(doublings.saturating_add(7)).unwrap_or(NonZeroU8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_meshes_decide_in_four_periods_large_ones_take_longer() {
        let timing = Timing::default();
        assert_eq!(timing.suspicion_for(3), Duration::from_secs(4));
        assert_eq!(timing.suspicion_for(0), Duration::from_secs(4));
        let large = timing.suspicion_for(1000);
        assert!(large > Duration::from_secs(10) && large < Duration::from_secs(13));
    }
}
